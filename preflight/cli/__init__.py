"""The command line: composes the other modules. The only folder that prints and exits.

`main` is the outermost handler; each file beside it holds the commands it is named after. paramiko and psycopg are
imported only by commands that ask something, so that `--help`, `lint` and `show` start fast."""

from preflight.cli.main import main

__all__ = ["main"]
