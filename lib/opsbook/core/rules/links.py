"""L001 to L003: links and images that lead nowhere."""

import posixpath
from pathlib import PurePosixPath

from opsbook.core.model.runbook import Runbook
from opsbook.core.model.text import nearest
from opsbook.core.rules.base import Found, Known, Rule, at
from opsbook.core.source.links import anchors as find_anchors
from opsbook.core.source.links import links, prose
from opsbook.core.source.problem import Problem

_STEPS = "## Steps\n\n### Restart it\nRestart it as {link} says.\n"
_PAGE = (
    "---\ntitle: {title}\nkind: maintenance\nowner: platform\nreviewed: 2026-11-20\n---\n\n# {title}\n\n"
    "## Steps\n\n### Act\n{text}\n"
)
_OTHER = _PAGE.format(title="Restart the cache", text="Restart it.")

RULES = (
    Rule(
        code="L001",
        name="dead-link",
        text="A relative link or an image leads to a file that is not there.",
        why="Whoever follows it in an incident loses minutes. Links to other machines are not looked at.",
        bad=_STEPS.format(link="[the manual](../docs/manual.md)"),
        good=_STEPS.format(link="[the manual](https://docs.example.org/manual)"),
        soft=True,
    ),
    Rule(
        code="L002",
        name="no-such-runbook",
        text="A link leads to a runbook or a procedure that is not there.",
        why="A page that sends its reader on has to know where to.",
        bad={
            "runbooks/cache-full.md": _PAGE.format(title="Full", text="See [the restart](restart.md)."),
            "runbooks/restart-cache.md": _OTHER,
        },
        good={
            "runbooks/cache-full.md": _PAGE.format(title="Full", text="See [the restart](restart-cache.md)."),
            "runbooks/restart-cache.md": _OTHER,
        },
        soft=True,
    ),
    Rule(
        code="L003",
        name="no-such-anchor",
        text="A link leads to a heading of the same page that is not there.",
        why="The browser stays where it is, and says nothing.",
        bad=_STEPS.format(link="[the contact](#contact)") + "\n## Contacts\n#platform\n",
        good=_STEPS.format(link="[the contact](#contacts)") + "\n## Contacts\n#platform\n",
        soft=True,
    ),
)


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
