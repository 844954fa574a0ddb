"""Environments: list and show them, and manage their ports on this machine."""
