"""Application Auto Scaling's operations, by noun."""
