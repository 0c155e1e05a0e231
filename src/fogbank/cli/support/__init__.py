"""What several commands share: options, the running server, the way they print."""
