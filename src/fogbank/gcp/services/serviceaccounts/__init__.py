"""Service accounts and their keys (google.iam.admin.v1.IAM)."""
