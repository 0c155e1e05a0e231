"""Secret Manager: secrets, their versions, and what is told of them."""
