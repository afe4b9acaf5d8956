"""The command-line client of Portico."""

__version__ = "0.1.0"
