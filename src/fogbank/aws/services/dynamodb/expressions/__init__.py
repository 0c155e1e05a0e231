"""DynamoDB's expression language: condition, filter, key condition, update and projection expressions."""
