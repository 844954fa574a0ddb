"""What arguments say of a runbook, an environment and values, and prompts for what is missing."""

import argparse
import contextlib
import getpass
import json
import re
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import yaml

from opsbook import files
from opsbook.console.text import say
from opsbook.core.catalog import catalog
from opsbook.core.model.parameter import Parameter
from opsbook.core.model.text import flat, nearest
from opsbook.core.planning import bind, drafts
from opsbook.errors import InputError
from opsbook.files import parse_yaml
from opsbook.settings import Settings


def labels(options: argparse.Namespace) -> dict[str, str]:
    """The given labels; the last value of one that was given twice."""
    return {name: values[-1] for name, values in bind.pairs(options.label).items()}


def request(options: argparse.Namespace) -> drafts.RunRequest:
    """The request as typed. Raises InputError for arguments that are not NAME=VALUE, and for an unusable file."""
    given: dict[str, Any] = _file(options.params_file) if options.params_file else {}
    for name, values in bind.pairs(options.parameter).items():
        # Given once, it is one text, which may hold a list; `-p hosts=a -p hosts=b` gives a list.
        given[name] = values[0] if len(values) == 1 else values
    return drafts.RunRequest(options.runbook, options.environment, given)


def named(settings: Settings, options: argparse.Namespace, otherwise: str = "") -> drafts.RunRequest:
    """The request with runbook and environment; missing ones are asked for at the terminal.

    Raises InputError if nobody can be asked; `otherwise` is a hint at another way.
    """
    asked = request(options)
    missing = [name for name, value in (("a RUNBOOK", asked.runbook), ("-e ENV", asked.environment)) if not value]
    if missing and not asks():
        hint = f"{otherwise} opsbook list has the runbooks, opsbook env list the environments.".strip()
        raise InputError(f"What to run? {' and '.join(missing)} is missing.", hint)
    runbook = asked.runbook or chosen("What to run?", "runbook", [each.name for each in catalog.entries(settings)])
    return replace(asked, runbook=runbook, environment=asked.environment or place(settings, runbook))


def place(settings: Settings, runbook: str = "") -> str:
    """Ask for an environment; with a runbook, for one in which it may run."""
    return chosen("Where?", "environment", drafts.places(settings, runbook))


def asks() -> bool:
    """Whether a person at this terminal can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()


def agreed(question: str, otherwise: tuple[str, str] = ("Not started.", "Nothing ran.")) -> None:
    """Ask for a yes. Raises InputError, with this message and hint, for anything else."""
    say(f"{question} [y/N] ", end="")
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise InputError(*otherwise)


def chosen(question: str, name: str, known: Sequence[str]) -> str:
    """Ask for one of the known names; a unique prefix is enough. Raises InputError if nobody answers."""
    if not known:
        raise InputError(f"There is no {name} to choose from.", "opsbook doctor says what the project lacks.")
    say(f"{question} {', '.join(known)}", to=sys.stderr)
    while True:
        typed = _line(name, f"The {name} is missing.").strip()
        fits = [typed] if typed in known else [each for each in known if typed and each.startswith(typed)]
        if len(fits) == 1:
            return fits[0]
        said = f"{typed} may be {', '.join(fits)}." if fits else f"There is no {name} {typed}. {nearest(typed, known)}"
        say(f"  {said}", to=sys.stderr)


def _line(name: str, missing: str) -> str:
    """What is typed behind a name. Raises InputError with this message at the end of the input."""
    say(f"{name}: ", end="", to=sys.stderr)
    line = sys.stdin.readline()
    if not line:
        raise InputError(missing, "Nothing ran.")
    return line


def answers(options: argparse.Namespace) -> dict[str, str]:
    """Answers given on the command line."""
    return {name: values[-1] for name, values in bind.pairs(getattr(options, "answer", [])).items()}


def unseen(names: Sequence[str]) -> dict[str, str]:
    """Ask for secrets again, at a hidden prompt. Without a terminal, none."""
    if not asks():
        return {}
    return {name: getpass.getpass(f"{name} (a secret): ", sys.stderr) for name in names}


def _file(path: Path) -> dict[str, str | list[str] | None]:
    """Every scalar as the text that was typed: 1.10 stays 1.10. Only null is None."""
    try:
        content = _content(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.", "Check the path.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not YAML: {files.yaml_says(error)}.", "Write one NAME: VALUE a line.") from error
    if content in (None, ""):
        return {}
    if not isinstance(content, dict) or not all(map(_usable, content, content.values())):
        raise InputError(f"{path} does not map names to values or lists of values.", "Write one NAME: VALUE a line.")
    return content


def _content(text: str) -> Any:
    """JSON is YAML but for its tabs, its long names and its emoji: what begins like JSON is read as that first."""
    if text.lstrip().startswith("{"):
        with contextlib.suppress(ValueError, RecursionError):
            return json.loads(text, parse_int=str, parse_float=str, parse_constant=str, object_pairs_hook=_mapping)
    return parse_yaml(text, _TypedLoader)


class _TypedLoader(yaml.BaseLoader):
    """Every scalar as text, except for null."""


_TypedLoader.add_implicit_resolver("tag:yaml.org,2002:null", re.compile("~|null|Null|NULL|"), ["~", "n", "N", ""])
_TypedLoader.add_constructor("tag:yaml.org,2002:null", lambda *_: None)


def _mapping(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """A JSON object. Raises ValueError for a duplicate name; the YAML parser then reports its line."""
    found = {name: _typed(value) for name, value in pairs}
    if len(found) != len(pairs):
        raise ValueError("a name is there twice")
    return found


def _typed(value: Any) -> Any:
    """`true` and `false` as text, as written in the file."""
    if isinstance(value, list):
        return [_typed(item) for item in value]
    return json.dumps(value) if isinstance(value, bool) else value


def _usable(name: object, value: object) -> bool:
    texts = value if isinstance(value, list) else [value or ""]
    return isinstance(name, str) and all(isinstance(text, str) for text in texts)


def complete(settings: Settings, wanted: drafts.RunRequest) -> drafts.Draft:
    """Draft the request; asks at the terminal for missing values, and for secrets at a hidden prompt."""
    drafted = drafts.draft(settings, wanted)
    if drafted.bound.problems or not asks():
        return drafted
    given, typed = dict(wanted.given), {}
    for parameter in drafted.bound.missing:
        if parameter.secret:
            about = flat(parameter.description) or "a secret"
            typed[parameter.name] = getpass.getpass(f"{parameter.name} ({about}): ", sys.stderr)
        else:
            given[parameter.name] = _prompt(parameter, drafted)
    return drafts.draft(settings, replace(wanted, given=given, typed_secrets=typed))


def _prompt(parameter: Parameter, drafted: drafts.Draft) -> str:
    choices = drafted.environment.choices.get(parameter.choice_of or "", ())
    about = parameter.description or parameter.name
    among = f" ({', '.join(choices)})" if choices else f" ({parameter.kind})"
    while True:
        say(f"{about}{among}", to=sys.stderr)
        text = _line(parameter.name, f"Parameter {parameter.name} is missing.").rstrip("\n")
        try:
            bind.check(parameter, text, drafted.environment)
        except ValueError as error:
            say(f"  {error}", to=sys.stderr)
            continue
        return text
