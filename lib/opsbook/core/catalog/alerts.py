"""The alert rules of the project: Prometheus rule files below alerts/, also as PrometheusRule objects."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

from opsbook import files
from opsbook.core.model.text import one_line
from opsbook.core.rules.lint import Alert
from opsbook.core.source.problem import Problem
from opsbook.files import parse_yaml

FOLDER = "alerts"


def read(root: Path) -> tuple[list[Alert] | None, list[Problem]]:
    """The alerts of every rule file, None without rule files; and a problem for each unreadable file."""
    paths = sorted(path for path in (root / FOLDER).rglob("*") if path.suffix in (".yml", ".yaml") and path.is_file())
    found: list[Alert] = []
    problems = []
    for path in paths:
        shown = path.relative_to(root).as_posix()
        try:
            found += _file(files.read_text(path, within=files.ANYWHERE), shown)
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            text = f"these alert rules cannot be read: {one_line(files.yaml_says(error))}"
            problems.append(Problem(shown, 1, 1, "L006", text, warning=True))
    return (found if paths else None), problems


def _file(text: str, shown: str) -> Iterator[Alert]:
    lines = text.split("\n")
    for part in re.split(r"(?m)^---.*$", text):
        for rule in _rules(parse_yaml(part)):
            name, annotations = rule.get("alert"), rule.get("annotations")
            url = annotations.get("runbook_url") if isinstance(annotations, dict) else None
            if isinstance(name, str):
                yield Alert(name, shown, _line(lines, name), url if isinstance(url, str) else None)


def _rules(content: Any) -> Iterator[dict[str, Any]]:
    """The rules of one YAML document; none if it is not a rule file."""
    spec = content.get("spec", content) if isinstance(content, dict) else {}
    for group in _list(spec, "groups"):
        yield from (rule for rule in _list(group, "rules") if isinstance(rule, dict))


def _list(holder: Any, key: str) -> list[Any]:
    value = holder.get(key) if isinstance(holder, dict) else None
    return value if isinstance(value, list) else []


def _line(lines: list[str], name: str) -> int:
    """The line of the alert's runbook_url; without one, the alert's own."""
    named = re.compile(rf"\s*(?:-\s+)?alert:\s*['\"]?{re.escape(name)}['\"]?\s*(?:#.*)?$")
    start = next((number for number, line in enumerate(lines) if named.match(line)), 0)
    end = next((n for n, line in enumerate(lines[start + 1 :], start + 1) if re.match(r"\s*-\s", line)), len(lines))
    return next((n for n in range(start, end) if lines[n].lstrip().startswith("runbook_url:")), start) + 1
