"""EventBridge's operations, by noun."""
