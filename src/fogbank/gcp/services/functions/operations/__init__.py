"""The APIs: each generation's own, and what of other services is only another face of functions."""
