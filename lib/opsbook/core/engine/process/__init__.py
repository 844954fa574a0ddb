"""The processes of a run: keeper, kernel, their process tree, and the protocols between them."""

MARK = "OPSBOOK_RUN"
"""Variable in the environment of every process of a run; its value is the run's id."""
