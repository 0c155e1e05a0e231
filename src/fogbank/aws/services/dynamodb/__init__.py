"""Amazon DynamoDB: tables of items, their indexes, expressions, transactions and time to live."""
