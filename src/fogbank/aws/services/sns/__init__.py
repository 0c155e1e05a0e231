"""Amazon SNS: topics, and who is told what is published to them."""
