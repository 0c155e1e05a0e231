"""Pub/Sub: topics, and subscriptions that lend their messages until these are acknowledged."""
