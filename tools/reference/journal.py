"""Every event of the journal with its fields, as Markdown."""

import inspect
from collections.abc import Mapping, Sequence
from dataclasses import MISSING, fields
from typing import Any, get_args, get_origin, get_type_hints

from opsbook.core.model.events import KINDS, Fact, key
from opsbook.incidents import facts
from tools.reference.text import sentence, table

_HEAD = """\
A record's `journal.jsonl` has a line of JSON for each event, in the order of the events: `seq` (its number, from 1),
`time` (UTC, ISO 8601, with milliseconds), `type`, `data` (the fields below), `prev` (the SHA-256 of the line before).
A line is written before the run goes on, with secrets replaced by their marks.

Journals of earlier versions stay readable: a field is never renamed, and a new one may be missing. Readers ignore
unknown types and fields. A missing optional field has no value.
"""

_INCIDENTS = """\
The journal of an incident (`records/incidents/ID/journal.jsonl`) is of the same kind, with these events:
"""

_NAMES: dict[Any, str] = {str: "text", int: "number", float: "number", bool: "true or false", Any: "any"}
_NAMES |= {Mapping: "object", Sequence: "list", type(None): "null"}


def body() -> str:
    own = [name for name, kind in KINDS.items() if kind.__module__ == facts.__name__]
    runs = [name for name in KINDS if name not in own]
    return "\n".join([_HEAD, _table(runs), _INCIDENTS, _table(own), *map(_section, [*runs, *own])])


def _table(names: Sequence[str]) -> str:
    rows = [(f"[{name}](#{name})", _about(KINDS[name])) for name in names]
    return table(("event", "what happened"), rows)


def _about(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]


def _section(name: str) -> str:
    kind = KINDS[name]
    rows = [
        (f"`{field}`", _json(shown) + ("" if always else ", if there is any"), sentence(meaning))
        for field, shown, meaning, always in told(kind)
    ]
    fields = table(("field", "type", "meaning"), rows) if rows else "It says nothing more.\n"
    return "\n".join([f"## {name}\n", f"{_about(kind)} Since format {kind.since}.\n", fields])


def told(kind: type[Fact]) -> list[tuple[str, Any, str, bool]]:
    """The fields of a kind: name in the journal, type, meaning, and whether it is required."""
    hints = get_type_hints(kind, include_extras=True)
    found = []
    for each in fields(kind):
        hint = hints[each.name]
        found.append((key(each), hint.__origin__, str(hint.__metadata__[0]), each.default is MISSING))
    return found


def _json(kind: Any) -> str:
    """A type as JSON has it."""
    if kind in _NAMES:
        return _NAMES[kind]
    if get_origin(kind) in _NAMES:
        return _NAMES[get_origin(kind)]
    return " or ".join(map(_json, get_args(kind)))
