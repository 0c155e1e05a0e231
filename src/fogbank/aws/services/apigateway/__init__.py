"""Amazon API Gateway, REST APIs: what they are made of, and the addresses they answer at."""
