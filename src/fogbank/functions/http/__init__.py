"""Versions that are web applications: their events are HTTP requests, and an instance may be at several at a time."""
