"""Cloud Tasks' rpcs, by noun."""
