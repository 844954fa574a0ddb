"""A runbook as the commands that a person would type, for when opsbook itself is in the way.

Cells are read, never executed: what only a run could know stands in angle brackets.
"""

import ast
import json
import shlex
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from opsbook.core.model.ansible import sources
from opsbook.core.model.environment import Environment
from opsbook.core.model.front import Shell
from opsbook.core.model.planned import Planned
from opsbook.core.model.runbook import SHELLS, Cell, Role, Step
from opsbook.core.model.shell import leaves_something, variable
from opsbook.core.source import names


class Unknown(LookupError):
    """A value that only a run can know."""


def _fails(node: ast.expr) -> Any:
    raise Unknown(ast.unparse(node))


class KnownValues:
    """The values of names, as far as simple assignments give them."""

    def __init__(self, environment: Environment, known: Mapping[str, Any]) -> None:
        self._environment = environment
        self._known = dict(known)
        self._sources: dict[str, str] = {}

    def assign(self, name: str, node: ast.expr) -> None:
        """The page gives this name the value of an expression."""
        try:
            self._known[name] = self._value(node, _fails)
        except Unknown:
            self._known.pop(name, None)
            self._sources[name] = ast.unparse(node)

    def unknown(self, node: ast.expr) -> dict[str, str]:
        """The sources of the names in an expression that only a run knows."""
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        return {name: source for name, source in self._sources.items() if name in used and name not in self._known}

    def shown(self, node: ast.expr) -> Any:
        """The value of an expression, with its source in angle brackets where only a run knows it."""
        return self._value(node, lambda inner: f"<{ast.unparse(inner)}>")

    def _value(self, node: ast.expr, unknown: Callable[[ast.expr], Any]) -> Any:
        """The value of an expression; what only a run knows in it is what `unknown` makes of it."""
        match node:
            case ast.Dict():
                found: Any = self._dict(node, unknown)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                found = [self._value(each, unknown) for each in items]
            case ast.JoinedStr(values=parts):
                found = "".join(str(self._value(each, unknown)) for each in parts)
            case ast.FormattedValue(value=value):
                found = self._value(value, unknown)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                one, other = self._value(left, unknown), self._value(right, unknown)
                found = one + other if type(one) is type(other) else f"{one}{other}"
            case _:
                found = self._named(node, unknown)
        return found

    def _dict(self, node: ast.Dict, unknown: Callable[[ast.expr], Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            shown = self._value(value, unknown)
            if key is not None:
                found[str(self._value(key, unknown))] = shown
            elif isinstance(shown, dict):
                found |= shown
            else:
                found[f"**{ast.unparse(value)}"] = shown
        return found

    def _named(self, node: ast.expr, unknown: Callable[[ast.expr], Any]) -> Any:
        """The value of a name, or of what belongs to one."""
        policy = self._environment.policy
        try:
            match node:
                case ast.Constant(value=value):
                    found = value
                case ast.Name(id=name):
                    found = self._known[name]
                case ast.Attribute(value=ast.Name(id="here"), attr="environment"):
                    found = self._environment.name
                case ast.Call(func=ast.Attribute(value=ast.Name(id="here"), attr="url"), args=[service]):
                    found = policy.urls[self._value(service, _fails)].rstrip("/")
                case ast.Subscript(value=ast.Attribute(value=ast.Name(id="here"), attr="settings"), slice=index):
                    found = policy.settings[self._value(index, _fails)]
                case ast.Subscript(value=ast.Name(id=name), slice=index):
                    found = self._known[name][self._value(index, _fails)]
                case _:
                    found = unknown(node)
        except (LookupError, TypeError):
            return unknown(node)
        return found


_WRITTEN = frozenset({"note", "attach", "value", "print", "done"})
"""Functions that do nothing outside of the record, or only ask for what is known."""


@dataclass(frozen=True)
class ManualStep:
    """A step as text to read and lines to type; a line that begins with # says something to the reader."""

    section: str
    title: str
    undo: bool
    text: str
    expected: str
    lines: tuple[str, ...]


def values(planned: Planned) -> list[str]:
    """Shell commands that set the parameters, as shell cells have them. Secrets are named, not shown."""
    plan = planned.plan
    given = [f"export {name}={shlex.quote(variable(value))}" for name, value in plan.parameters.items()]
    return given + [f"export {name}=…   # a secret: {reference}" for name, reference in plan.secrets.items()]


def steps(planned: Planned, playbooks: str) -> Iterator[ManualStep]:
    """Every step in the order of a run; those of the rollback last. `playbooks` is the folder of playbooks."""
    reader = _Reader(planned, playbooks)
    runbook = planned.runbook
    for step in (*runbook.forward(), *runbook.undo()):
        lines = [line for part in _parts(step, runbook.front.shell) for line in reader.part(part)]
        if lines or step.manual:
            undo, text = step.role is Role.UNDO, step.prose.strip() if step.manual else ""
            yield ManualStep(step.section, step.title, undo, text, step.expected, tuple(lines))


def _parts(step: Step, shell: Shell) -> Iterator[list[Cell]]:
    """The cells of a step; shell cells that go on in one shell are one part."""
    for is_shell, found in groupby(step.cells, key=lambda cell: cell.language in SHELLS):
        cells = list(found)
        yield from [cells] if is_shell and shell == "step" else [[cell] for cell in cells]


class _Reader:
    """Reads one cell after another; remembers what simple assignments give."""

    def __init__(self, planned: Planned, playbooks: str) -> None:
        self._playbooks = Path(playbooks)
        self._environment = planned.environment
        secrets = {name: f"<{name}>" for name in planned.plan.secrets}
        self._known = KnownValues(planned.environment, {**planned.plan.parameters, **secrets})

    def part(self, cells: list[Cell]) -> Iterator[str]:
        """The lines to type for one cell, or for shell cells that go on in one shell."""
        if cells[0].language in SHELLS:
            lines = [line for cell in cells for line in cell.body.split("\n")]
            # In a shell of its own: the next step begins in the project's folder, with the variables above.
            yield from ["(", *lines, ")"] if leaves_something("\n".join(lines)) else lines
        else:
            yield from self._python(cells[0])

    def _python(self, cell: Cell) -> Iterator[str]:
        tree = names.tree(cell)
        rest: list[str] = []
        for node in tree.body if isinstance(tree, ast.Module) else ():
            yield from self._statement(node, rest)
        if rest:
            yield f"# In Python, from line {cell.line} of the page, besides what is above:"
            yield from (f"#   {line}" for text in rest for line in text.split("\n"))

    def _statement(self, node: ast.stmt, rest: list[str]) -> Iterator[str]:
        """The lines of a statement; adds to `rest` what is no command and not plain either."""
        if isinstance(node, ast.Import | ast.ImportFrom):
            return
        if isinstance(node, ast.If | ast.For | ast.While | ast.With):
            inner = [line for each in node.body for line in self._statement(each, rest)]
            if inner:
                yield f"# {ast.unparse(node).split(chr(10))[0]}"
                yield from inner
            below = [line for each in getattr(node, "orelse", ()) for line in self._statement(each, rest)]
            yield from (["# else:", *below] if below else ())
            return
        found = [line for call in _calls(node) for line in self._call(call)]
        yield from found
        if isinstance(node, ast.Assert):
            yield f"# It must hold: {ast.unparse(node.test)}"
            yield from (f"#   where {name} = {source}" for name, source in self._known.unknown(node.test).items())
        elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and not found:
            self._known.assign(node.targets[0].id, node.value)
        elif not found and _does(node):
            rest.append(ast.unparse(node))

    def _call(self, call: ast.Call) -> Iterator[str]:
        """What a person types instead of an effect; nothing for any other call."""
        given = {each.arg: each.value for each in call.keywords if each.arg}
        first = call.args[0] if call.args else None
        match names.dotted(call.func):
            case "playbook" if first is not None:
                yield self._playbook(first, given)
            case "command" if first is not None:
                words = self._known.shown(first)
                line = shlex.join(map(str, words)) if isinstance(words, list) else str(words)
                yield f"(cd {shlex.quote(str(self._known.shown(given['cwd'])))} && {line})" if "cwd" in given else line
            case "http" if len(call.args) > 1:
                yield self._http(call.args[0], call.args[1], given)
            case "wait_until" if first is not None:
                yield f"# Wait until: {self._known.shown(first)}"
            case "ask" | "confirm" if len(call.args) > 1:
                yield f"# Decide: {self._known.shown(call.args[1])}"
            case "secret" if first is not None:
                name = str(self._known.shown(first))
                yield f"# The secret {name}: {self._environment.policy.secrets.get(name, 'as its owner says')}"

    def _playbook(self, name: ast.expr, given: Mapping[str, ast.expr]) -> str:
        words = [
            "ansible-playbook",
            *(word for source in sources(Path(), self._environment.inventory) for word in ("-i", source)),
            str(self._playbooks / str(self._known.shown(name))),
        ]
        for option, flag in (("limit", "-l"), ("tags", "-t"), ("skip_tags", "--skip-tags")):
            words += [flag, str(self._known.shown(given[option]))] if option in given else []
        words += ["--check", "--diff"] if "check" in given and self._known.shown(given["check"]) is True else []
        if "vars" in given:
            words += ["-e", json.dumps(self._known.shown(given["vars"]), ensure_ascii=False, default=str)]
        return shlex.join(words)

    def _http(self, method: ast.expr, url: ast.expr, given: Mapping[str, ast.expr]) -> str:
        words = ["curl", "-sS", "-X", str(self._known.shown(method)), str(self._known.shown(url))]
        if "json" in given:
            words += ["--json", json.dumps(self._known.shown(given["json"]), ensure_ascii=False, default=str)]
        expected = f"   # expect {self._known.shown(given['expect'])}" if "expect" in given else ""
        return shlex.join(words) + expected


def _calls(node: ast.stmt) -> list[ast.Call]:
    """The calls of a statement in the order of the text."""
    found = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    return sorted(found, key=lambda call: (call.lineno, call.col_offset))


def _does(node: ast.stmt) -> bool:
    """Whether a statement calls something that may be more than a calculation."""
    called = {names.dotted(call.func) for call in _calls(node)}
    return any(name and name not in names.BUILTINS and name not in _WRITTEN and "." not in name for name in called)
