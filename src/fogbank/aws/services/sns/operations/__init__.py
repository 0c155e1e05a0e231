"""SNS' operations, a file for each noun."""
