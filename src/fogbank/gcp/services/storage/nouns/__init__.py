"""What can be asked of Cloud Storage by the JSON API: a class for each of its nouns."""
