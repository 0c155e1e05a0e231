"""Secret Manager's rpcs, by noun."""
