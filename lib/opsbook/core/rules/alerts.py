"""L004 to L006: alerts, and the way from an alert to its runbook. Rule files are read in core/catalog/alerts.py."""

from collections.abc import Iterable

from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Alert, Found, Known, at, front_line
from opsbook.core.source.problem import Problem


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
