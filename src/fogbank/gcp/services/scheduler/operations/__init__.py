"""Cloud Scheduler's rpcs."""
