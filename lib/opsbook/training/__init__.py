"""Drills with their clock, and who has passed what: the plan, sign-offs, certificates."""
