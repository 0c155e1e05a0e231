"""Secrets Manager: secrets with their versions, the labels that move between them, rotation by a function."""
