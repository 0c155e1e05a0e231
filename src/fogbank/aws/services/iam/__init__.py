"""AWS IAM: roles, users and policies, kept as records."""
