"""Each way to a token, in a file of its own."""
