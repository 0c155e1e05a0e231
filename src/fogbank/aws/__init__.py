"""The AWS skin: wire protocols, services, the CloudFormation engine, and the arrows between services."""
