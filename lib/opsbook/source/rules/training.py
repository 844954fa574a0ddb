"""T: the training plan. It is read, and compared with the pages, in source/training_plan.py."""

from opsbook.source.rules.base import Rule

_PAGE = """\
---
title: Restart the cache
kind: maintenance
owner: platform
reviewed: 2026-11-20
---

# Restart the cache

## Steps

### Restart it
Restart the cache on every host, one after the other.
"""

_PLAN = """\
roles:
  on-call: {runbooks: [restart-cache]}
people:
  ann: {roles: [on-call]}
"""

_GOOD = {"runbooks/restart-cache.md": _PAGE, "training.yml": _PLAN}

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
