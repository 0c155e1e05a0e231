"""Instances of Google's functions: what a function is to the engine, and what Google says around its requests."""

from fogbank.gcp.instances.function import Function
from fogbank.gcp.instances.versions import RUNTIMES, is_runnable, version_of

__all__ = ["RUNTIMES", "Function", "is_runnable", "version_of"]
