"""What the pages did not foresee of an incident, as a change to them: a patch for git."""

import difflib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import yaml

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


class Proposed(NamedTuple):
    """The page that mended an incident, the alerts that it does not name, and the patch that has it name them."""

    page: str
    alerts: list[str]
    patch: str


def write(settings: Settings, found: Incident, outcomes: Mapping[str, str], folder: Path) -> Proposed | None:
    """Write the patch into the folder of the review. `outcomes` is how each run ended.

    None if every alert has a page, or if no page was run well: then nobody can say which one helps.
    """
    pages = (each for each in catalog.entries(settings) if each.front.kind != "training")
    named = {name for entry in pages for name in entry.front.alerts}
    names = sorted({each.name for each in found.alerts.values() if _NAME.fullmatch(each.name)} - named)
    helped = [fact.runbook for run, fact in found.runs.items() if outcomes[run] == Outcome.SUCCEEDED]
    if not names or not helped:
        return None
    try:
        path = catalog.find(settings, helped[-1])
        before = files.read(path, within=settings.content).decode()
    except (InputError, OSError, UnicodeDecodeError):
        return None
    after, shown = naming(before, names), path.relative_to(settings.root).as_posix()
    if not set(names) <= {*front.parse(after, shown)[0].alerts}:
        return None
    file = folder / "page.patch"
    files.write_atomic(file, changes(before, after, shown).encode())
    return Proposed(helped[-1], names, file.relative_to(settings.root).as_posix())


def naming(text: str, names: list[str]) -> str:
    """The page with these alerts in its front matter, written as the others there; unchanged if that is no YAML."""
    new, end = ", ".join(names), "\r\n" if "\r\n" in text else "\n"
    block, _ = split(text)
    if block is None:
        mark = text[: text.startswith("\ufeff")]
        return f"{mark}---{end}alerts: [{new}]{end}---{end}{end}{text.removeprefix(mark)}"
    try:
        root = yaml.compose(block, files.PlainLoader)
    except yaml.YAMLError:
        return text
    keys = root.value if isinstance(root, yaml.MappingNode) else []
    told = next((value for key, value in keys if key.value == "alerts"), None)
    if told is None:
        begin = stop = len(block.rstrip())
        more = f"{end}alerts: [{new}]"
    elif not isinstance(told, yaml.SequenceNode) or not told.value:
        begin, stop = told.start_mark.index, told.end_mark.index
        alone = [] if isinstance(told, yaml.SequenceNode) or begin == stop else [block[begin:stop]]
        more = f"{' ' * (begin == stop)}[{', '.join([*alone, new])}]"
    elif told.flow_style:
        begin = stop = told.value[-1].end_mark.index
        more = f", {new}"
    else:
        # Behind the line of the last one, with what is said of it there.
        last = told.value[-1].end_mark.index
        begin = stop = last + len(block[last:].partition("\n")[0].rstrip("\r"))
        more = "".join(f"{end}{' ' * told.start_mark.column}- {name}" for name in names)
    return text.replace(block, block[:begin] + more + block[stop:], 1)


def changes(before: str, after: str, shown: str) -> str:
    """The change, as git reads it."""
    one, other = (re.findall(r"[^\n]*\n|[^\n]+$", text) for text in (before, after))
    lines = difflib.unified_diff(one, other, f"a/{shown}", f"b/{shown}")
    return "".join(line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n" for line in lines)
