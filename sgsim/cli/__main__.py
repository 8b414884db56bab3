"""`python -m sgsim.cli` is `sgsim`."""

from sgsim.cli.main import main

main()
