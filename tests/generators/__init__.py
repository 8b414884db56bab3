"""Generators behind tests/strategies.py."""
