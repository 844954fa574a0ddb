"""A training record of a drill that went well."""

from opsbook.training.trained import Drilled, Feedback

GOOD = Drilled(
    kind="training",
    run="20261120T181203Z-instance-down-7f3k",
    seal="0" * 64,
    drill="instance-down",
    environment="training",
    person="ann",
    operator="ann@host",
    started="2026-11-20T18:12:10.000Z",
    ended="2026-11-20T18:14:10.000Z",
    par=120.0,
    diagnosed=30.0,
    mended=100.0,
    hints=0,
    wrong=(),
    feedback=Feedback(5, "Good."),
)
