"""How an instance of each language is born."""
