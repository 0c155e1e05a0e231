"""The operations of Secrets Manager, by noun."""
