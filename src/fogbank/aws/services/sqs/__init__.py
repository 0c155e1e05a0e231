"""Amazon SQS: queues that lend messages until they are deleted."""
