"""The operations of Lambda, by noun."""
