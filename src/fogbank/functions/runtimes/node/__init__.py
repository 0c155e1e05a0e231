"""Node: it cannot fork, so warm processes wait and each becomes an instance once."""
