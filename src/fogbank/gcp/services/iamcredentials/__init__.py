"""Tokens on request (IAM Credentials, OAuth 2.0, the metadata server), and the public keys that verify them."""
