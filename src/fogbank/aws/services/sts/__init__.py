"""AWS STS: who a caller is, and keys for a while."""
