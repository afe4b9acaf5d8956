"""How dates and times are written; Django looks here before it asks its own tables."""
