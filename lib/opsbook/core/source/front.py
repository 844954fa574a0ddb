"""Front matter: the YAML between the first two `---` lines."""

import re
from dataclasses import replace
from enum import Enum

import yaml

from opsbook.core.model.front import MKDOCS_KEYS, Drill, FrontMatter, split
from opsbook.core.model.text import nearest, one_line
from opsbook.core.source.problem import Problem
from opsbook.files import parse_yaml
from opsbook.shapes import Misfit

_BOM = "\ufeff"
_IGNORED = MKDOCS_KEYS | {"jupyter", "jupytext"}
_KEY = re.compile(r"[A-Za-z_][\w-]*\s*:(\s|$)")
_FOREIGN = "foreign"
"""The kind of every problem in another tool's front matter: its author meant no key of ours."""

_TOP = re.compile(r"^([A-Za-z_][\w-]*)\s*:", re.MULTILINE)

_OWN = frozenset(FrontMatter.names()) - {"title", "summary"}
"""Our keys, but for those that pages of other tools have too."""

_SINGULAR = {"alert": "alerts", "environment": "environments", "locks": "lock"}
"""Slips of keys that limit where a page may run."""


class WrittenFor(Enum):
    """Whose page it is, by its front matter: one with none, or with that of another tool, is nobody's."""

    OPSBOOK = 1
    JUPYTER = 2
    NOBODY = 3


def written_for(text: str) -> WrittenFor:
    """Whom the page was written for. A key of ours decides, also in another spelling; others' keys do not."""
    block, _ = split(text)
    keys = set(_TOP.findall(block or ""))
    if any((meant(key) or _SINGULAR.get(key, key)) in _OWN for key in keys):
        return WrittenFor.OPSBOOK
    return WrittenFor.JUPYTER if keys & {"jupyter", "jupytext"} else WrittenFor.NOBODY


def parse(text: str, path: str) -> tuple[FrontMatter, list[Problem]]:
    """Validated front matter and its problems; only valid keys are kept. Another tool's is no error."""
    block, _ = split(text)
    if block is None:
        return FrontMatter(), _missed(text.removeprefix(_BOM).split("\n"), path)
    ours = written_for(text) is WrittenFor.OPSBOOK
    matter, problems = _read(block, path, ours=ours)
    return matter, problems if ours else [replace(problem, warning=True) for problem in problems]


def _read(block: str, path: str, *, ours: bool) -> tuple[FrontMatter, list[Problem]]:
    try:
        values = parse_yaml(block)
    except yaml.YAMLError as error:
        return FrontMatter(), [_yaml_problem(error, block, path)]
    if values is None:
        return FrontMatter(), []
    if not isinstance(values, dict):
        return FrontMatter(), [Problem(path, 2, 1, "F001", "the front matter is not a list of `key: value` lines")]
    return _validate({k: v for k, v in values.items() if k not in _IGNORED}, block, path, ours=ours)


def _missed(lines: list[str], path: str) -> list[Problem]:
    """Text that is meant as front matter but not recognized as such."""
    if lines[0].rstrip() == "---":
        return [Problem(path, 1, 1, "F001", "the front matter has no closing ---")]
    written = [(number, line) for number, line in enumerate(lines, 1) if line.strip()][:2]
    if len(written) == 2 and written[0][1].rstrip() == "---" and _KEY.match(written[1][1]):
        text = "the front matter does not begin on the first line; remove the blank lines before ---"
        return [Problem(path, written[0][0], 1, "F005", text)]
    return []


def _yaml_problem(error: yaml.YAMLError, block: str, path: str) -> Problem:
    mark = getattr(error, "problem_mark", None)
    what = one_line(getattr(error, "problem", None) or str(error))
    # YAML also ends lines where editors do not, such as at U+2028.
    line, column = (min(mark.line, block.count("\n")) + 2, mark.column + 1) if mark else (2, 1)
    return Problem(path, line, column, "F001", f"the front matter is not valid YAML: {what}")


def _validate(values: dict[str, object], block: str, path: str, *, ours: bool) -> tuple[FrontMatter, list[Problem]]:
    try:
        return FrontMatter.read(values), []
    except Misfit as error:
        problems = [_problem(e["loc"], e["type"] if ours else _FOREIGN, e["msg"], block, path) for e in error.problems]
        bad = {str(e["loc"][0]) for e in error.problems if e["loc"]}
    good = {k: v for k, v in values.items() if str(k) not in bad and k in FrontMatter.names()}
    return FrontMatter.read(good), problems


def _problem(where: tuple[int | str, ...], kind: str, message: str, block: str, path: str) -> Problem:
    key = str(where[0]) if where else ""
    line = next((n for n, text in enumerate(block.split("\n"), 2) if text.startswith(f"{key}:")), 2)
    named = ".".join(map(str, where))
    if kind == _FOREIGN:
        return Problem(path, line, 1, "F002", f"opsbook does not read {named}")
    if kind == "extra_forbidden":
        known = Drill.names() if key == "drill" and len(where) > 1 else [*FrontMatter.names(), *_IGNORED]
        return Problem(path, line, 1, "F002", f"unknown key {named}. {nearest(str(where[-1]), known)}")
    return Problem(path, line, 1, "F003", f"{named}: {message[0].lower()}{message[1:]}")


def meant(key: str) -> str | None:
    """The known key that matches apart from case and hyphens; None if there is none."""
    plain = key.lower().replace("-", "_")
    return plain if plain in FrontMatter.names() and plain != key else None
