"""IAM policies of other services' resources: kept and given back, and not enforced."""
