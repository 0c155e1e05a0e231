"""What a command says when it cannot go on."""


class Problem(Exception):
    """One message for the person: what is wrong, where, and what to do. Printed without a traceback."""
