"""Errors that the person who started fogbank must see, each a whole sentence: what, where, what to do."""


class StartError(Exception):
    """The server cannot start: a port in use, another server on the same state, a state of a newer version."""
