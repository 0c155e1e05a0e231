"""Artifact Registry, as far as deploying functions looks at it: the repository that their images would lie in."""
