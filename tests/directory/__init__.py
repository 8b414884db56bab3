"""Principals, credentials, images and snapshots."""
