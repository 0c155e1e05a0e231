"""Fogbank: serverless apps for the clouds, run unmodified on one's own machine."""

from fogbank import compiled

__version__ = "0.1.0"

compiled.use()
