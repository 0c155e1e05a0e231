"""AWS CloudFormation: stacks, as the deploy tools see them."""
