"""The parameters cell, read with `ast` and never run."""

import ast
import dataclasses
import datetime
from typing import Any

from opsbook.model.parameter import Base, Parameter, Scalar
from opsbook.model.runbook import Cell
from opsbook.source.problem import Problem

_BASES: dict[str, Base] = {
    "str": "str",
    "int": "int",
    "float": "float",
    "bool": "bool",
    "Secret": "secret",
    "Duration": "duration",
}
_CHOICES = frozenset({"Host", "Group", "Service", "Release"})
_ALLOWED = (
    "str int float bool list[...] ... | None Literal[...] Annotated[...] datetime.date "
    "Secret Duration Host Group Service Release"
)


_TAKEN = frozenset(
    {
        *("BASHOPTS", "BASH_ENV", "ENV", "EUID", "HOME", "IFS", "LANG", "LD_LIBRARY_PATH", "LD_PRELOAD", "PATH"),
        *("PPID", "PS4", "PWD", "PYTHONPATH", "SHELL", "SHELLOPTS", "TMPDIR", "UID", "USER"),
    }
)
"""No parameter may have these names."""


class _Bad(Exception):
    """Something in the cell that is not part of the parameter language."""

    def __init__(self, node: ast.AST, message: str) -> None:
        super().__init__(message)
        self.line = getattr(node, "lineno", 1)
        self.column = getattr(node, "col_offset", 0) + 1


def parse(cell: Cell, path: str) -> tuple[tuple[Parameter, ...], list[Problem]]:
    """The parameters of the cell in the order written, and every problem found in it."""
    offset = cell.line - 1
    try:
        tree = ast.parse(cell.source)
    except SyntaxError as error:
        where = Problem(path, offset + (error.lineno or 1), error.offset or 1, "P001", f"not Python: {error.msg}")
        return (), [where]
    found: list[Parameter] = []
    problems: list[Problem] = []
    for node in tree.body:
        try:
            parameter = _new(_statement(node, cell.source.split("\n")), node, found)
        except _Bad as bad:
            problems.append(Problem(path, offset + bad.line, bad.column, "P002", str(bad)))
            continue
        if parameter:
            found.append(dataclasses.replace(parameter, line=offset + parameter.line))
    return tuple(found), problems


def _new(parameter: Parameter | None, node: ast.stmt, found: list[Parameter]) -> Parameter | None:
    if parameter and any(known.name == parameter.name for known in found):
        raise _Bad(node, f"parameter {parameter.name} is there twice")
    return parameter


def _statement(node: ast.stmt, lines: list[str]) -> Parameter | None:
    if isinstance(node, ast.Import | ast.ImportFrom):
        return None
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
        return None
    if not isinstance(node, ast.AnnAssign) or not isinstance(node.target, ast.Name):
        raise _Bad(node, "only annotated parameters belong here, such as `count: int = 3  # How many`")
    parameter = _annotation(node.annotation, Parameter(node.target.id, "str", node.lineno))
    if node.target.id.startswith("_"):
        raise _Bad(node, f"a parameter's name may not start with _: {node.target.id}")
    if node.target.id in _TAKEN or node.target.id.startswith("OPSBOOK_"):
        raise _Bad(node, f"{node.target.id} is a variable that programs rely on, and shell cells get parameters so")
    parameter = dataclasses.replace(parameter, description=_comment(lines[(node.end_lineno or 1) - 1]))
    return _with_default(parameter, node.value) if node.value is not None else parameter


def _comment(line: str) -> str:
    """The trailing comment of a line; a # inside quotes is no comment."""
    import io
    import tokenize

    try:
        tokens = list(tokenize.generate_tokens(io.StringIO(line.lstrip()).readline))
    except (tokenize.TokenError, IndentationError):
        return line.rpartition("#")[2].strip() if "#" in line else ""
    return next((t.string.lstrip("# ").strip() for t in tokens if t.type == tokenize.COMMENT), "")


def _annotation(node: ast.expr, parameter: Parameter) -> Parameter:
    name = _name(node)
    if name in _BASES:
        return dataclasses.replace(parameter, base=_BASES[name])
    if name in ("date", "datetime.date"):
        return dataclasses.replace(parameter, base="date")
    if name in _CHOICES:
        return dataclasses.replace(parameter, choice_of=name)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        return _union(node, parameter)
    if isinstance(node, ast.Subscript):
        return _subscript(node, parameter)
    raise _Bad(node, f"{ast.unparse(node)} is no parameter type; there is: {_ALLOWED}")


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _union(node: ast.BinOp, parameter: Parameter) -> Parameter:
    if not (isinstance(node.right, ast.Constant) and node.right.value is None):
        raise _Bad(node, "the only union is `... | None`")
    return dataclasses.replace(_annotation(node.left, parameter), optional=True)


def _subscript(node: ast.Subscript, parameter: Parameter) -> Parameter:
    outer = _name(node.value)
    if outer == "list" and not parameter.many:
        return dataclasses.replace(_annotation(node.slice, parameter), many=True)
    if outer == "Literal":
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        choices = tuple(_literal(item) for item in items)
        return dataclasses.replace(parameter, base=_base_of(choices, node), choices=choices)
    if outer == "Annotated" and isinstance(node.slice, ast.Tuple):
        parameter = _annotation(node.slice.elts[0], parameter)
        for extra in node.slice.elts[1:]:
            parameter = _constraint(extra, parameter)
        return parameter
    raise _Bad(node, f"{ast.unparse(node)} is no parameter type; there is: {_ALLOWED}")


def _constraint(node: ast.expr, parameter: Parameter) -> Parameter:
    name = _name(node.func) if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Call) and not node.keywords:
        values = [_literal(arg) for arg in node.args]
        match name, values:
            case "Between", [int() | float() as low, int() | float() as high] if low <= high:
                return dataclasses.replace(parameter, low=float(low), high=float(high))
            case "Pattern", [str() as regex]:
                return dataclasses.replace(parameter, pattern=_regex(regex, node))
    raise _Bad(node, f"{ast.unparse(node)} is no constraint; there is: Between(low, high), Pattern('regex')")


def _regex(text: str, node: ast.expr) -> str:
    import re

    try:
        re.compile(text)
    except re.error as error:
        raise _Bad(node, f"not a regular expression: {error}") from error
    return text


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _Bad(node, f"{ast.unparse(node)} is no literal; write the value itself") from None


def _base_of(choices: tuple[Scalar, ...], node: ast.expr) -> Any:
    kinds = {type(choice).__name__ for choice in choices}
    if len(kinds) == 1 and (kind := kinds.pop()) in ("str", "int", "bool"):
        return kind
    raise _Bad(node, "the values of a Literal must all be text, all whole numbers or all true/false")


def _with_default(parameter: Parameter, node: ast.expr) -> Parameter:
    if parameter.secret:
        raise _Bad(node, f"{parameter.name} is a secret: a secret has no default")
    default = _default(node)
    if default is None and not parameter.optional:
        raise _Bad(node, f"{parameter.name} cannot be None; annotate it as `... | None`")
    if default is not None:
        default = _checked_default(parameter, default, node)
    return dataclasses.replace(parameter, default=default, required=False)


def _default(node: ast.expr) -> Any:
    """A literal, or Duration("...") and date(...) spelled as calls with literal arguments."""
    if isinstance(node, ast.Call):
        arguments = [_literal(argument) for argument in node.args]
        name = _name(node.func)
        if name == "Duration" and len(arguments) == 1:
            return arguments[0]
        if name in ("date", "datetime.date") and len(arguments) == 3:
            try:
                return datetime.date(*arguments).isoformat()
            except (TypeError, ValueError) as error:
                raise _Bad(node, str(error)) from error
    return _literal(node)


_PYTHON: dict[str, type | tuple[type, ...]] = {
    "str": str,
    "int": int,
    "float": (int, float),
    "bool": bool,
    "date": str,
    "duration": str,
}


def _checked_default(parameter: Parameter, default: Any, node: ast.expr) -> Any:
    items = default if parameter.many and isinstance(default, list) else [default]
    for item in items:
        fits = isinstance(item, _PYTHON[parameter.base]) and (parameter.base == "bool" or not isinstance(item, bool))
        if not fits or (parameter.many and not isinstance(default, list)):
            raise _Bad(node, f"the default {ast.unparse(node)} is not {parameter.kind}")
    try:
        return parameter.convert([str(item) for item in items] if parameter.many else str(default))
    except ValueError as error:
        raise _Bad(node, f"the default of {parameter.name}: {error}") from error
