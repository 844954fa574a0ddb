"""Drills with their clock, and who has passed what: training plan, sign-offs, certificates."""
