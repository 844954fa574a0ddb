"""Environments: what there is, and the ports of each on this machine."""
