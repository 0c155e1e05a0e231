"""Amazon CloudWatch Logs: groups and streams of lines."""
