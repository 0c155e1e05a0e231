"""Resource Manager: every project is there as soon as somebody names it. Its policy is kept by IAM."""
