"""`python -m fogbank`."""

from fogbank.cli.main import run

run()
