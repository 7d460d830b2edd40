"""`python3 -m preflight` is the same program as `preflight`."""

from preflight.cli import main

main()
