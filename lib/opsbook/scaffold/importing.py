"""Make a page of what a team has: a shell script, a Rundeck job, a notebook (`opsbook new NAME --from FILE`).

What it does is kept as it is written. What cannot be kept is said in the page, where it is missing.
"""

import re
import shlex
import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from opsbook import files, html
from opsbook.core.model.front import Kind
from opsbook.core.model.text import one_line
from opsbook.errors import InputError
from opsbook.incidents import store, timeline
from opsbook.incidents.facts import NoteAdded
from opsbook.scaffold import writing
from opsbook.settings import Settings

_ARGUMENT = re.compile(r"\$(?:([1-9])|\{([1-9])(?::?[-=]([^}]*))?\})")
_OPTION = re.compile(r"\$\{option\.([\w.-]+)\}|@option\.([\w.-]+)@")
_RD = re.compile(r"\bRD_OPTION_([A-Z0-9_]+)\b")
_NAME = re.compile(r"[^a-zA-Z0-9_]+")
_HEADING = re.compile(r"^#+\s+(.+)$", re.MULTILINE)
_TICKS = re.compile(r"^`{3,}", re.MULTILINE)
_NODES = (
    "In Rundeck its commands ran on the nodes `{filter}`. A shell cell runs where opsbook runs: what belongs on hosts "
    "becomes a playbook."
)


@dataclass(frozen=True)
class Step:
    """A step of the page: prose, or code in a language."""

    title: str
    prose: str = ""
    code: str = ""
    language: str = "bash"

    def text(self) -> str:
        ticks = "`" * max([3, *(len(found) + 1 for found in _TICKS.findall(self.code))])
        code = f"\n{ticks}{self.language}\n{self.code.strip(chr(10))}\n{ticks}\n" if self.code.strip() else ""
        return f"\n### {one_line(self.title, 120)}\n{self.prose.strip()}\n{code}".replace("\n\n\n", "\n\n")


@dataclass(frozen=True)
class Imported:
    """What a file says: lines for the Overview, of the parameters cell, and the steps."""

    title: str
    overview: Sequence[str]
    steps: Sequence[Step]
    parameters: Sequence[str] = ()
    imports: Sequence[str] = ()

    def page(self, kind: Kind, title: str, author: writing.Author) -> str:
        """The text of the page."""
        cell = "\n".join([*self.imports, *([""] if self.imports else []), *self.parameters])
        parameters = f'\n## Parameters\n\n```python tags=["parameters"]\n{cell}\n```\n' if self.parameters else ""
        about = [line for line in self.overview if line.strip()] or ["When to use it, and when not, in two sentences."]
        told = {
            "__KIND__": kind,
            "__SUMMARY__": writing.scalar(one_line(about[0], 150)),
            "__OVERVIEW__": "\n\n".join(about),
            "__PARAMETERS__": parameters,
            "__STEPS__": "".join(step.text() for step in self.steps),
        }
        return writing.part("imported.md", author, title or self.title, told)


def imported(path: Path) -> Imported:
    """What to make a page of. Raises InputError for a file that cannot be read, or of an unknown kind."""
    try:
        text = files.read_text(path, within=files.ANYWHERE)
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} cannot be read: {error}.", "Name a script, a job of Rundeck, or a notebook."
        ) from error
    if path.suffix == ".ipynb":
        return _notebook(path, text)
    if path.suffix in (".yml", ".yaml"):
        return _rundeck(path, text)
    if path.suffix in (".sh", ".bash") or re.match(r"#!.*\b(ba|z|da|k)?sh\b", text):
        return _script(path, text)
    raise InputError(
        f"{path} is nothing that a page can be made of.", "Name a shell script, a job of Rundeck (YAML), or a notebook."
    )


# -- a shell script


def of_incident(settings: Settings, wanted: str) -> Imported:
    """What was run in an incident, for the page that was missing. Raises InputError."""
    found = store.load(store.find(settings, wanted))
    if not found.commands:
        raise InputError(f"Nothing was run with opsbook exec in {found.id}.", "A page needs something that it does.")
    steps = []
    for each in found.commands:
        end = "Nobody knows how it ended." if each.exit is None else f"It ended with {each.exit}."
        about = f"Run by {each.by} in {found.id}. {end} Say what to expect, or leave it out."
        steps.append(Step(f"{each.number}: {Path(each.argv[0]).name}", about, shlex.join(each.argv)))
    title = html.cell(found.title)
    notes = [html.cell(entry.text) for entry in timeline.entries(found) if entry.kind == NoteAdded.type]
    about = f"Made of {found.id} ({title}): what was run, in its order. Take out what did not help."
    return Imported(title, [about, *(f"- {one_line(note, 300)}" for note in notes)], steps)


def _script(path: Path, text: str) -> Imported:
    """One step: a script shares its variables, and so do the lines of a step. Arguments become parameters."""
    lines = text.split("\n")
    body = lines[1:] if lines[0].startswith("#!") else lines
    about = []
    while body and (body[0].startswith("#") or not body[0].strip()):
        about.append(body.pop(0).lstrip("# ").rstrip())
    code = "\n".join(body)
    given = {(found[1] or found[2]): found[3] for found in _ARGUMENT.finditer(code)}
    known = [str(number) for number in range(1, int(max(given, default="0")) + 1)]
    parameters = [
        _parameter(f"argument_{each}", f"Argument {each} of the script", default=given.get(each)) for each in known
    ]
    first = "set -- " + " ".join(f'"$argument_{each}"' for each in known) + "\n" if known else ""
    title = path.stem.replace("-", " ").replace("_", " ").capitalize()
    return Imported(title, [" ".join(filter(None, about))], [Step(title, code=first + code)], parameters)


def _parameter(name: str, about: str, *, kind: str = "str", default: Any = None) -> str:
    value = "" if default is None else f" = {default!r}"
    return f"{name}: {kind}{value}   # {one_line(about, 200)}".rstrip(" #")


# -- a job of Rundeck


def _rundeck(path: Path, text: str) -> Imported:
    try:
        found = files.parse_yaml(text)
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not valid YAML: {files.yaml_says(error)}.", "Export the job again.") from error
    jobs = found if isinstance(found, list) else [found]
    job = jobs[0] if jobs else None
    commands = job.get("sequence", {}).get("commands") if isinstance(job, dict) else None
    if not isinstance(job, dict) or not isinstance(commands, list):
        raise InputError(f"{path} is no job of Rundeck.", "Export one as YAML: it has a sequence with commands.")
    if len(jobs) > 1:
        raise InputError(f"{path} has {len(jobs)} jobs.", "Export one: a page is one job.")
    options = [each for each in job.get("options") or () if isinstance(each, dict)]
    names = {str(each.get("name")): _NAME.sub("_", str(each.get("name"))) for each in options}
    nodes = (job.get("nodefilters") or {}).get("filter")
    said = [str(job.get("description") or ""), _NODES.format(filter=nodes) if nodes else "", _lost(job)]
    parameters = [_option(each, names) for each in options]
    imports = [line for line in _IMPORTS if any(re.search(rf"\b{line.split()[-1]}\b", each) for each in parameters)]
    steps = [_command(number, each, names) for number, each in enumerate(commands, 1)]
    return Imported(str(job.get("name") or path.stem), said, steps, parameters, imports)


_IMPORTS = ("from typing import Literal", "from opsbook.params import Secret")


def _lost(job: Mapping[str, Any]) -> str:
    """What a page has no place for."""
    kept = {"schedule": "its schedule (use cron or CI)", "notification": "its notifications", "timeout": "its timeout"}
    lost = [told for key, told in kept.items() if job.get(key)]
    return f"Not taken over: {', '.join(lost)}." if lost else ""


def _option(option: Mapping[str, Any], names: Mapping[str, str]) -> str:
    name, about = names[str(option.get("name"))], str(option.get("description") or option.get("label") or "")
    values = [str(each) for each in option.get("values") or ()]
    kind = f"Literal[{', '.join(map(repr, values))}]" if values and option.get("enforced") else "str"
    default = option.get("value")
    if option.get("secure") or option.get("valueExposed"):
        return _parameter(name, about, kind="Secret")
    if option.get("multivalued"):
        return _parameter(name, about, kind="list[str]", default=str(default).split(",") if default else None)
    return _parameter(
        name, about, kind=kind, default=None if default is None and option.get("required") else str(default or "")
    )


def _command(number: int, command: Any, names: Mapping[str, str]) -> Step:
    """A step of the page for a step of the job; prose for what only Rundeck has."""
    told: Mapping[str, Any] = command if isinstance(command, dict) else {}
    title = str(told.get("description") or f"Step {number}")
    if code := told.get("exec") or told.get("script"):
        arguments = f"set -- {told['args']}\n" if told.get("args") and told.get("script") else ""
        return Step(title, code=_options_in(arguments + _plain(str(code)), names))
    if (job := told.get("jobref")) and isinstance(job, dict):
        return Step(title, f"Run the job *{job.get('name')}*, in Rundeck or as a page of its own.")
    what = next((str(told[key]) for key in ("scriptfile", "scripturl", "type") if told.get(key)), "a step")
    return Step(title, f"Do by hand what Rundeck did here ({what}), or write it as code.")


def _plain(code: str) -> str:
    return code.split("\n", 1)[1] if code.startswith("#!") and "\n" in code else code


def _options_in(code: str, names: Mapping[str, str]) -> str:
    """Options as variables of the shell, however the job names them."""
    variables = {re.sub(r"[^A-Z0-9_]", "_", name.upper()): mine for name, mine in names.items()}
    code = _OPTION.sub(
        lambda found: f"${{{names.get(found[1] or found[2], _NAME.sub('_', found[1] or found[2]))}}}", code
    )
    return _RD.sub(lambda found: variables.get(found[1], found[0]), code)


# -- a notebook


def _notebook(path: Path, text: str) -> Imported:
    """A step for each heading; code before the first one is a step, too. The parameters cell stays one."""
    import nbformat

    try:
        with warnings.catch_warnings(action="ignore"):
            # Of ids that cells of older notebooks lack.
            book = nbformat.reads(text, as_version=4)
    except Exception as error:
        raise InputError(
            f"{path} is no notebook: {one_line(str(error), 200)}.", "Name a file that Jupyter opens."
        ) from error
    title = path.stem.replace("-", " ").capitalize()
    about: list[str] = []
    parameters: list[str] = []
    steps: list[Step] = []
    for cell in book.cells:
        if cell.cell_type == "code" and "parameters" in cell.metadata.get("tags", ()):
            parameters += cell.source.split("\n")
        elif cell.cell_type == "code" and cell.source.strip():
            last = steps.pop() if steps and not steps[-1].code else Step(f"Step {len(steps) + 1}")
            steps.append(Step(last.title, last.prose, *_cell(cell.source)))
        elif cell.cell_type == "markdown":
            prose = _HEADING.sub("", cell.source).strip()
            if (heading := _HEADING.search(cell.source)) and steps:
                steps.append(Step(heading[1], prose))
            elif heading:
                title, about = heading[1], [*about, prose]
                steps.append(Step("Begin"))
            elif prose:
                steps.append(Step(f"Step {len(steps) + 1}", prose))
    kept = [step for step in steps if step.code or step.prose]
    return Imported(title, about, kept, parameters)


def _cell(source: str) -> Iterator[str]:
    """Code and its language."""
    magic = re.match(r"%%(bash|sh)[^\n]*\n", source)
    yield source[magic.end() :] if magic else source
    yield magic[1] if magic else "python"
