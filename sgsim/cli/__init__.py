"""The command line: one file per verb, arguments in, exit code out."""
