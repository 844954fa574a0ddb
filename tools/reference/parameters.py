"""The types of the parameters cell, as Markdown. opsbook itself parses every example and converts every value."""

import datetime
import inspect
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from opsbook import params
from opsbook.core.model.environment import SCHEMES, Environment, Policy
from opsbook.core.model.parameter import Parameter
from opsbook.core.model.runbook import Cell
from opsbook.core.planning import bind
from opsbook.core.source import parameters
from tools.reference.text import documented, fence, sentence, table


@dataclass(frozen=True)
class Type:
    """A type: a line of the cell, and values to type for it, right and wrong. A tuple is several `-p` options.

    `about` is empty where opsbook.params says what it is.
    """

    name: str
    line: str
    typed: tuple[str | tuple[str, ...], ...]
    about: str = ""


TYPES = (
    Type("str", 'reason: str = "maintenance"  # Why it is done', ("1.10", "two words", ""), "Text, exactly as typed."),
    Type("int", "count: int = 3  # How many", ("5", "-1", "1.5"), "A whole number."),
    Type("float", "ratio: float = 0.5  # How much", ("0.25", "1e3", "nan"), "A number."),
    Type("bool", "force: bool = False  # Whether it must", ("true", "no", "On", "1"), "True or false."),
    Type("datetime.date", "day: datetime.date  # Which day", ("2026-11-20", "20.11.2026"), "A day."),
    Type("Duration", 'pause: Duration = Duration("90s")  # How long', ("90s", "1.5h", "90")),
    Type("Secret", "token: Secret  # What the service asks for", ("env:TOKEN", "file:~/token", "hunter2hunter2")),
    Type("Host", "host: Host  # Which host", ("app-1", "app-3")),
    Type("Group", "group: Group  # Which hosts", ("app", "apps")),
    Type("Service", 'service: Service = "arcade"  # What', ("arcade", "arcad")),
    Type("Release", "version: Release  # Which version", ("1.4.0", "1.3.0")),
    Type(
        "Literal[...]",
        'how: Literal["rolling", "canary"] = "rolling"  # In which way',
        ("canary", "Canary"),
        "One of the values in the brackets: all of them texts, all whole numbers, or all true and false.",
    ),
    Type(
        "list[...]",
        "hosts: list[Host]  # Which hosts",
        ("app-1,app-2", ("app-1", "app-2"), "app-1,app-3"),
        "Several values of the type in the brackets; none of secrets.",
    ),
    Type(
        "... | None",
        "limit: int | None = None  # At most so many",
        ("5", ""),
        "The type before it, or nothing.",
    ),
    Type("Between", "percent: Annotated[int, Between(1, 50)] = 10  # Which share", ("50", "51")),
    Type("Pattern", 'ticket: Annotated[str, Pattern("OPS-[0-9]+")]  # Where it is written', ("OPS-17", "see OPS-17")),
)

_ENVIRONMENT = Environment(
    name="dev",
    policy=Policy(),
    inventory="",
    hosts=("app-1", "app-2"),
    choices={"Host": ("app-1", "app-2"), "Group": ("app",), "Service": ("arcade",), "Release": ("1.4.0", "1.5.0")},
)
"""The environment of the examples."""

_HEAD = """\
The cell below `## Parameters` has one line for each parameter: name, type, default, and a comment that describes it. It
is parsed, never run. A parameter without default is required; opsbook asks for it at a terminal.

````markdown
## Parameters

```python tags=["parameters"]
import datetime
from typing import Annotated, Literal
from opsbook.params import Between, Duration, Group, Host, Pattern, Release, Secret, Service

count: int = 3  # How many
```
````

On the command line a value is `-p NAME=VALUE`; a `--params-file` takes the same texts. In a file, `null` (in YAML
also `~` or nothing) is None for a parameter with `| None`, and refused for others; `"null"` in quotes is text. The
examples use an environment `dev` with the hosts app-1 and app-2 in the group app, the service arcade, and its releases
1.4.0 and 1.5.0.
"""

_MAKE: dict[str, Callable[[Any], object]] = {"date": datetime.date.fromisoformat, "duration": params.Duration}
"""Converts the text in a record to the value in the cell."""


def body() -> str:
    return "\n".join([_HEAD, *map(_section, TYPES)])


def _section(kind: Type) -> str:
    parameter = read(kind.line)
    parts = [f"## `{kind.name}`\n", f"{_about(kind)}\n", fence("python", kind.line)]
    parts.append(f"Asked for as: {parameter.kind}.\n")
    return "\n".join([*parts, table(("typed", "in the cell, or why not"), [_row(parameter, t) for t in kind.typed])])


def _about(kind: Type) -> str:
    text = kind.about or documented(params).get(kind.name) or inspect.getdoc(getattr(params, kind.name)) or ""
    if kind.name == "Secret":
        text += f" What is typed is where it comes from: {', '.join(f'`{scheme}:…`' for scheme in SCHEMES)}."
    return sentence(text)


def read(line: str) -> Parameter:
    """The parameter that one line of the cell declares."""
    found, problems = parameters.parse(Cell("parameters", line, 1), "example")
    if problems:
        raise ValueError(f"{line}: {problems[0]}")
    return found[0]


def _row(parameter: Parameter, typed: str | tuple[str, ...]) -> tuple[str, str]:
    """A row: the value as typed, and the value in the cell or why it is refused."""
    pieces = (typed,) if isinstance(typed, str) else typed
    shown = " ".join(f"-p {shlex.quote(f'{parameter.name}={piece}')}" for piece in pieces)
    bound = bind.bind([parameter], {parameter.name: typed if isinstance(typed, str) else list(typed)}, _ENVIRONMENT)
    if bound.problems:
        return f"`{shown}`", f"refused: {bound.problems[0]}"
    return f"`{shown}`", f"`{_made(parameter, bound)}`"


def _made(parameter: Parameter, bound: bind.Bound) -> str:
    """The value in the cell."""
    if parameter.secret:
        return repr(params.Secret(""))
    value = bound.values[parameter.name]
    return repr(_MAKE[parameter.base](value) if parameter.base in _MAKE else value)
