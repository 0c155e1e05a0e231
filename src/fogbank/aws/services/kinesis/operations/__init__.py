"""Kinesis' operations, by what they are about."""
