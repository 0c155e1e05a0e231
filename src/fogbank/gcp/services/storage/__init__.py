"""Cloud Storage: buckets and objects, over its JSON and XML APIs."""
