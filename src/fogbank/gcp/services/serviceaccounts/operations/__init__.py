"""A file for each noun."""
