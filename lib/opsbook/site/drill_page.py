"""Keep the fault and its repair out of a drill's page: trainees must not read them.

They are left out, not folded: search, the table of contents and the page's source would reveal them.
"""

from opsbook.core.model.runbook import Runbook

SHOWN = ("overview", "symptoms", "contacts")
"""Sections on the page of a drill, by their titles in lower case."""


def hidden(runbook: Runbook) -> frozenset[int]:
    """Lines of the source, from 1, to leave out of a drill's page; none for any other page."""
    if runbook.front.drill is None:
        return frozenset()
    sections = sorted(runbook.sections, key=lambda section: section.line)
    ends = [section.line for section in sections[1:]] + [runbook.source.count("\n") + 2]
    return frozenset(
        line
        for section, end in zip(sections, ends, strict=True)
        if section.title.strip().lower() not in SHOWN
        for line in range(section.line, end)
    )
