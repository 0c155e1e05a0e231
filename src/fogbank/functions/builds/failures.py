"""A build that came to nothing."""

from __future__ import annotations


class BuildFailed(Exception):
    """The message is the end of the build's log, for the operation's error."""

    @property
    def log(self) -> str:
        return str(self)
