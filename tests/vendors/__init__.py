"""Responses in the shapes in which identity providers really send them, one module per vendor, really signed."""
