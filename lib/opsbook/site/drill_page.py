"""What the page of a drill keeps back: a trainee must not read what is broken, and what mends it.

It is left out, not folded: search, the table of contents and the source of the page would show what is folded.
"""

from collections.abc import Iterator

from opsbook.core.model.runbook import Runbook

SHOWN = ("overview", "symptoms", "contacts")
"""Sections that the page of a drill has, by their titles in lower case: what a trainee is told at the start."""


def hidden(runbook: Runbook) -> frozenset[int]:
    """Lines of the source, from 1, that the page of a drill does not have; of any other page none."""
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


def start(runbook: Runbook) -> Iterator[str]:
    """How to begin, and where the rest is."""
    place = "" if runbook.front.environments else " -e ENVIRONMENT"
    yield from ("```console", f"$ opsbook drill start {runbook.name}{place}", "```", "")
    yield "What is broken, how that is done and what mends it are not on this page, nor found by search:"
    yield f"`opsbook drill stop` says it when the drill is over. Trainers read it in `{runbook.path.as_posix()}`."
    yield ""
