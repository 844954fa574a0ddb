"""Releases: which there are, and which one is where, since when and by which run."""
