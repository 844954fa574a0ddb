"""Locks that keep two runs from one target, and the queue for them."""
