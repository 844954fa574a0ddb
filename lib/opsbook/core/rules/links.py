"""L001 to L003: links and images that lead nowhere."""

import posixpath
from collections.abc import Mapping
from pathlib import PurePosixPath

from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Found, Known, at
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


CHECKS = (_links,)
