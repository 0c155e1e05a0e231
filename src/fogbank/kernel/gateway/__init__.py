"""HTTP/1.1, written here because every request pays for it."""

from fogbank.kernel.gateway.limits import Limits
from fogbank.kernel.gateway.routes import Routes
from fogbank.kernel.gateway.server import Gateway

__all__ = ["Gateway", "Limits", "Routes"]
