"""Pub/Sub's rpcs, by noun."""
