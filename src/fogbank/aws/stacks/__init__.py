"""The CloudFormation engine: a template becomes a plan, the plan is applied, and all of it recorded."""
