"""Runs: start, watch, answer, approve, go on with, undo, cancel."""
