"""L001 to L006: links and images that lead nowhere, and the way from an alert to its runbook.

Rule files are read in core/catalog/alerts.py.
"""

import posixpath
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath

from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Alert, Found, Known, at, front_line
from opsbook.core.source.links import Link, links, prose
from opsbook.core.source.links import anchors as find_anchors
from opsbook.core.source.problem import Problem


def _links(runbook: Runbook, known: Known) -> Found:
    """L001, L002, L003: a link to a file, a document or a heading that is not there."""
    if known.exists is None:
        return
    text = prose(runbook.source)
    anchors = find_anchors(text)
    for link in links(text):
        found = _led_to(runbook, known, link)
        if found is None:
            yield _dead(runbook, known, link)
        elif link.anchor and not link.anchor.startswith(("fn", "_")):
            there = known.anchors(found) if link.path and known.anchors and found.endswith(".md") else None
            yield from _missed(runbook, link, anchors if not link.path else there)


def _led_to(runbook: Runbook, known: Known, link: Link) -> str | None:
    """The path of the project that a link leads to, with / for its root; None if nothing is there."""
    assert known.exists is not None
    if link.path.startswith("/"):
        inside = link.path.strip("/")
        return next((path for path in (f"docs/{inside}", inside) if known.exists(path)), None)
    leads = _place(runbook, link)
    return leads if not link.path or known.exists(leads) else None


def _place(runbook: Runbook, link: Link) -> str:
    return posixpath.normpath(posixpath.join(runbook.path.parent.as_posix(), link.path))


def _missed(runbook: Runbook, link: Link, anchors: Mapping[str, str] | None) -> Found:
    if anchors is not None and link.anchor not in anchors:
        page = link.path or "this page"
        said = f"no heading of {page} has the anchor #{link.anchor}. {nearest(link.anchor, anchors)}"
        yield at(runbook, link.line, "L003", said, column=link.column)


def _dead(runbook: Runbook, known: Known, link: Link) -> Problem:
    line, column, leads = link.line, link.column, _place(runbook, link)
    path = PurePosixPath(leads)
    if path.parts[0] in ("runbooks", "procedures") and path.suffix == ".md":
        text = f"there is no {leads}. {nearest(path.stem, known.documents)}"
        return at(runbook, line, "L002", text, column=column)
    return at(runbook, line, "L001", f"the link leads to {leads}, which is not there", column=column)


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


CHECKS = (_links, _alerts)
