"""What the pages did not foresee of an incident, as a change to them: a patch for git."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.model.front import split
from opsbook.core.model.outcome import Outcome
from opsbook.core.source import front
from opsbook.errors import InputError
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings

_NAME = re.compile(r"[A-Za-z_:][\w:.-]*")
"""Names of alerts that Prometheus takes without quotes: an alert is text from outside."""

_LISTED = re.compile(r"(?m)^(alerts:[ \t]*\[)([^\]\n]*)(\][ \t]*(?:#.*)?)$")
_BELOW = re.compile(r"(?m)^alerts:[ \t]*\n(?P<indent>[ \t]*)- ")


class Proposed(NamedTuple):
    """The page that mended an incident, the alerts that it does not name, and the patch that has it name them."""

    page: str
    alerts: list[str]
    patch: str


def write(settings: Settings, found: Incident, outcomes: Mapping[str, str], folder: Path) -> Proposed | None:
    """Write the patch into the folder of the review. `outcomes` is how each run ended.

    None if every alert has a page, or if no page was run well: then nobody can say which one helps.
    """
    named = {name for entry in catalog.entries(settings) for name in entry.front.alerts}
    names = sorted({each.name for each in found.alerts.values() if _NAME.fullmatch(each.name)} - named)
    helped = [fact.runbook for run, fact in found.runs.items() if outcomes[run] == Outcome.SUCCEEDED]
    if not names or not helped:
        return None
    try:
        path = catalog.find(settings, helped[-1])
        before = files.read(path, within=settings.content).decode()
    except (InputError, OSError, UnicodeDecodeError):
        return None
    after, shown = _naming(before, names), path.relative_to(settings.root).as_posix()
    if not set(names) <= {*front.parse(after, shown)[0].alerts}:
        return None
    lines = difflib.unified_diff(before.splitlines(True), after.splitlines(True), f"a/{shown}", f"b/{shown}")
    file = folder / "page.patch"
    files.write_atomic(file, "".join(lines).encode())
    return Proposed(helped[-1], names, file.relative_to(settings.root).as_posix())


def _naming(text: str, names: list[str]) -> str:
    """The page with these alerts in its front matter, written as the others there."""
    block, _ = split(text)
    if block is None:
        return f"---\nalerts: [{', '.join(names)}]\n---\n\n{text}"
    if listed := _LISTED.search(block):
        more = ", ".join(filter(None, [listed[2].strip(), *names]))
        new = _LISTED.sub(lambda match: f"{match[1]}{more}{match[3]}", block, count=1)
    elif below := _BELOW.search(block):
        at = below.end("indent")
        new = block[:at] + "".join(f"- {name}\n{below['indent']}" for name in names) + block[at:]
    else:
        new = f"{block}\nalerts: [{', '.join(names)}]"
    return text.replace(block, new, 1)
