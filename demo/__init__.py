"""What `make run` adds to Portico: an identity provider with a portal page, and sample data. Not for production."""
