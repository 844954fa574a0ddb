"""T: the training plan. It is read, and compared with the pages, in training/plan_file.py."""

from opsbook.core.rules.base import PAGE, Rule

_PLAN = """\
roles:
  on-call: {runbooks: [restart-cache]}
people:
  ann: {roles: [on-call]}
"""

_GOOD = {"runbooks/restart-cache.md": PAGE, "training.yml": _PLAN}

RULES = (
    Rule(
        code="T001",
        name="bad-training-plan",
        text="`training.yml` cannot be read, or names a page, a role or a key that is not there.",
        why="Nobody could be told what there is left to learn, and the docs site could not show it.",
        bad={**_GOOD, "training.yml": _PLAN.replace("[restart-cache]", "[restart-cahce]")},
        good=_GOOD,
    ),
)
