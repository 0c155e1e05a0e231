"""A folder of Google functions: which there are, what each is triggered by, and how they are deployed."""
