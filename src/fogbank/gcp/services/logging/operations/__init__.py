"""Cloud Logging's rpcs, by noun."""
