"""Amazon S3: buckets of objects."""
