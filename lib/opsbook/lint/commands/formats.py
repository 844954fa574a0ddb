"""Machine-readable problems: JSON, GitHub annotations, SARIF."""

import re
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import PurePosixPath
from typing import Any
from urllib.parse import quote

import opsbook
from opsbook.console.text import json_text
from opsbook.core.source.problem import Problem
from opsbook.lint import documented
from opsbook.lint.documented import Rule, rules

_SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


def as_json(problems: Sequence[Problem], prefix: str) -> str:
    """A JSON list; paths are relative to the project, without the prefix."""
    return json_text([asdict(problem) for problem in problems], indent=2)


def as_github(problems: Sequence[Problem], prefix: str) -> str:
    """A GitHub workflow command for each problem, which runners read from the log."""
    names = {rule.code: rule.name for rule in rules()}
    lines = []
    for problem in problems:
        place = {
            "file": str(PurePosixPath(prefix, problem.path)),
            "line": str(problem.line),
            "col": str(problem.column),
            "title": f"{problem.code} {names[problem.code]}",
        }
        level = "warning" if problem.warning else "error"
        properties = ",".join(f"{key}={_data(value, ':,')}" for key, value in place.items())
        lines.append(f"::{level} {properties}::{_data(problem.message)}")
    return "\n".join(lines)


def _data(text: str, more: str = "") -> str:
    """The text with percent signs, line ends and these signs escaped."""
    return re.sub(f"[%\r\n{more}]", lambda match: f"%{ord(match[0]):02X}", text)


def as_sarif(problems: Sequence[Problem], prefix: str) -> str:
    """SARIF 2.1.0, with every rule; paths are relative to where the caller is."""
    driver = {"name": "opsbook", "semanticVersion": opsbook.__version__, "rules": [_rule(rule) for rule in rules()]}
    run = {
        "tool": {"driver": driver},
        "columnKind": "unicodeCodePoints",
        "results": [_result(problem, prefix) for problem in problems],
    }
    return json_text({"$schema": _SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2)


def _rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.code,
        "name": "".join(word.capitalize() for word in rule.name.split("-")),
        "shortDescription": {"text": rule.text},
        "fullDescription": {"text": f"{rule.text} {rule.why}"},
        "help": {"text": f"{rule.text} {rule.why}", "markdown": documented.one(rule)},
        "defaultConfiguration": {"level": "warning" if rule.warning else "error"},
    }


def _result(problem: Problem, prefix: str) -> dict[str, Any]:
    codes = [rule.code for rule in rules()]
    place = {
        "artifactLocation": {"uri": quote(bytes(PurePosixPath(prefix, problem.path))), "uriBaseId": "%SRCROOT%"},
        "region": {"startLine": problem.line, "startColumn": problem.column},
    }
    return {
        "ruleId": problem.code,
        "ruleIndex": codes.index(problem.code),
        "level": "warning" if problem.warning else "error",
        "message": {"text": problem.message},
        "locations": [{"physicalLocation": place}],
    }


FORMATS: dict[str, Callable[[Sequence[Problem], str], str]] = {"json": as_json, "github": as_github, "sarif": as_sarif}
