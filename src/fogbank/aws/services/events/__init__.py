"""Amazon EventBridge: rules that fire by the clock."""
