"""One file per arrow between two services."""
