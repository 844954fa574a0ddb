"""L004 to L006: alerts, and the way from an alert to its runbook. Rule files are read in core/catalog/alerts.py."""

from collections.abc import Iterable

from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Alert, Found, Known, Rule, at, front_line
from opsbook.core.source.problem import Problem

_PAGE = """\
---
title: The cache is full
kind: incident
owner: platform
reviewed: 2026-11-20
alerts: [CacheFull]
---

# The cache is full

## Mitigation

### Empty it
Restart the cache.
"""

_RULES = """\
groups:
  - name: cache
    rules:
      - alert: CacheFull
        expr: cache_used_ratio > 0.95
        annotations:
          runbook_url: https://runbooks.example.org/cache-full/?host={{ $labels.host }}
"""

_GOOD = {"runbooks/cache-full.md": _PAGE, "alerts/cache.yml": _RULES}

RULES = (
    Rule(
        code="L004",
        name="no-such-alert",
        text="The front matter names an alert that no rule file below `alerts/` has.",
        why="`opsbook list --alert` would find a page for an alert that never fires, and none for the one that does.",
        bad={**_GOOD, "runbooks/cache-full.md": _PAGE.replace("[CacheFull]", "[CacheIsFull]")},
        good=_GOOD,
        soft=True,
    ),
    Rule(
        code="L005",
        name="dead-runbook-url",
        text="The `runbook_url` of an alert does not end in the name of a document.",
        why="It is the link that somebody opens at 3 a.m.",
        bad={**_GOOD, "alerts/cache.yml": _RULES.replace("cache-full/", "cache-is-full/")},
        good=_GOOD,
    ),
    Rule(
        code="L006",
        name="alerts-unreadable",
        text="A file below `alerts/` is not YAML.",
        why="Its alerts are not known, so L004 is silent until it can be read.",
        bad={**_GOOD, "alerts/cache.yml": _RULES.replace("groups:", "groups: [")},
        good=_GOOD,
        warning=True,
    ),
)


def _alerts(runbook: Runbook, known: Known) -> Found:
    """L004: an alert that no rule file has."""
    for alert in runbook.front.alerts if known.alerts is not None else ():
        if alert not in (known.alerts or ()):
            text = f"no file below alerts/ has the alert {alert}. {nearest(alert, known.alerts or ())}"
            yield at(runbook, front_line(runbook, "alerts"), "L004", text)


def urls(alerts: Iterable[Alert], documents: frozenset[str]) -> Iterable[Problem]:
    """L005: an alert whose runbook_url leads to no document."""
    for alert in alerts:
        name = _document(alert.url or "")
        if alert.url and "{" not in name and name not in documents:
            text = f"the runbook_url of {alert.name} leads to {name}, which is no document. {nearest(name, documents)}"
            yield Problem(alert.path, alert.line, 1, "L005", text)


def _document(url: str) -> str:
    """The name that a runbook_url ends in: https://x/runbooks/cache-full/?host=y#steps leads to cache-full."""
    path = url.partition("#")[0].partition("?")[0].rstrip("/").removesuffix("/index.html")
    return path.rpartition("/")[2].removesuffix(".html").removesuffix(".md")


CHECKS = (_alerts,)
