"""Cloud Logging: entries that functions and clients write, found again by the Logging query language."""
