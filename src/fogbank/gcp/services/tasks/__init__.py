"""Cloud Tasks: HTTP requests that are sent when they are due, as fast as their queue may, until they succeed."""
