"""L001 to L003: links and images that lead nowhere."""

import posixpath
from pathlib import PurePosixPath

from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Found, Known, at
from opsbook.core.source.links import anchors as find_anchors
from opsbook.core.source.links import links, prose
from opsbook.core.source.problem import Problem


def _links(runbook: Runbook, known: Known) -> Found:
    """L001, L002, L003: a link to a file, a document or a heading that is not there."""
    if known.exists is None:
        return
    text = prose(runbook.source)
    anchors = find_anchors(text)
    for link in links(text):
        if link.path and not link.path.startswith("/"):
            leads = posixpath.normpath(posixpath.join(runbook.path.parent.as_posix(), link.path))
            if not known.exists(leads):
                yield _dead(runbook, known, link.line, link.column, leads)
        elif not link.path and link.anchor and not link.anchor.startswith(("fn", "_")) and link.anchor not in anchors:
            said = f"no heading of this page has the anchor #{link.anchor}. {nearest(link.anchor, anchors)}"
            yield at(runbook, link.line, "L003", said, column=link.column)


def _dead(runbook: Runbook, known: Known, line: int, column: int, leads: str) -> Problem:
    path = PurePosixPath(leads)
    if path.parts[0] in ("runbooks", "procedures") and path.suffix == ".md":
        text = f"there is no {leads}. {nearest(path.stem, known.documents)}"
        return at(runbook, line, "L002", text, column=column)
    return at(runbook, line, "L001", f"the link leads to {leads}, which is not there", column=column)


CHECKS = (_links,)
