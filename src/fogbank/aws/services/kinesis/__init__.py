"""Amazon Kinesis Data Streams: records by partition key, kept in order for a day or more, for any number of readers."""
