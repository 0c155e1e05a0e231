"""Fogbank: serverless apps for the clouds, run unmodified on one's own machine."""

__version__ = "0.1.0"
