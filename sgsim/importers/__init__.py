"""Foreign configuration → Environment and changes, and back. What AWS's JSON looks like is known only here."""

from sgsim.importers.environment import read_environment

__all__ = ["read_environment"]
