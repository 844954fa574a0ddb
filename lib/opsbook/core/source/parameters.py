"""The parameters cell, parsed with `ast` and never run."""

import ast
import dataclasses
import datetime
import math
import re
import warnings
from typing import Any

from opsbook.core.model.parameter import Base, Parameter, Scalar, check_text
from opsbook.core.model.runbook import Cell
from opsbook.core.model.text import one_line
from opsbook.core.source.names import parsed
from opsbook.core.source.problem import Problem

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
    tree = parsed(cell.source)
    if isinstance(tree, SyntaxError):
        where = Problem(path, offset + (tree.lineno or 1), tree.offset or 1, "P001", f"not Python: {tree.msg}")
        return (), [where]
    assert isinstance(tree, ast.Module)
    # Python's line ends; a page with other line ends is reported by another rule.
    lines = re.split(r"\r\n?|\n", cell.source)
    found: list[Parameter] = []
    problems: list[Problem] = []
    for node in tree.body:
        try:
            parameter = _new(_statement(node, lines), node, found)
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
    parameter = dataclasses.replace(parameter, description=_comment(node, lines))
    return _with_default(parameter, node.value) if node.value is not None else parameter


def _comment(node: ast.stmt, lines: list[str]) -> str:
    """What stands behind a statement, and is no part of it."""
    behind = lines[(node.end_lineno or 1) - 1].encode()[node.end_col_offset :].decode()
    return behind.partition("#")[2].lstrip("# ").strip()


def _annotation(node: ast.expr, parameter: Parameter) -> Parameter:
    name = _name(node)
    if name in _BASES:
        return dataclasses.replace(parameter, base=_BASES[name])
    if name in ("date", "datetime.date"):
        return dataclasses.replace(parameter, base="date")
    if name in _CHOICES:
        return dataclasses.replace(parameter, choice_of=name)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
        if not (isinstance(node.right, ast.Constant) and node.right.value is None):
            raise _Bad(node, "the only union is `... | None`")
        return dataclasses.replace(_annotation(node.left, parameter), optional=True)
    if isinstance(node, ast.Subscript):
        return _subscript(node, parameter)
    raise _Bad(node, f"{_shown(node)} is no parameter type; there is: {_ALLOWED}")


def _shown(node: ast.expr) -> str:
    """The source of a node, in a few words."""
    try:
        return one_line(ast.unparse(node), 60)
    except ValueError:
        return "a number of thousands of digits"


def _name(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_name(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""


def _subscript(node: ast.Subscript, parameter: Parameter) -> Parameter:
    outer = _name(node.value)
    if outer == "list" and not parameter.many:
        parameter = _annotation(node.slice, parameter)
        if parameter.secret:
            raise _Bad(node, "a secret is one value; make a parameter for each")
        return dataclasses.replace(parameter, many=True)
    if outer == "Literal":
        items = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        choices = tuple(_literal(item) for item in items)
        return dataclasses.replace(parameter, base=_base_of(choices, node), choices=choices)
    if outer == "Annotated" and isinstance(node.slice, ast.Tuple) and node.slice.elts:
        parameter = _annotation(node.slice.elts[0], parameter)
        for extra in node.slice.elts[1:]:
            parameter = _constraint(extra, parameter)
        return parameter
    raise _Bad(node, f"{_shown(node)} is no parameter type; there is: {_ALLOWED}")


def _constraint(node: ast.expr, parameter: Parameter) -> Parameter:
    name = _name(node.func) if isinstance(node, ast.Call) else ""
    if isinstance(node, ast.Call) and not node.keywords:
        values = [_literal(arg) for arg in node.args]
        match name, values:
            case "Between", [int() | float() as low, int() | float() as high] if low <= high:
                _fitting(parameter, ("int", "float", "duration"), node)
                return dataclasses.replace(parameter, low=_limit(low, node), high=_limit(high, node))
            case "Pattern", [str() as regex]:
                _fitting(parameter, ("str", "int", "float", "bool", "date", "duration"), node)
                return dataclasses.replace(parameter, pattern=_regex(regex, node))
    raise _Bad(node, f"{_shown(node)} is no constraint; there is: Between(low, high), Pattern('regex')")


def _fitting(parameter: Parameter, bases: tuple[Base, ...], node: ast.expr) -> None:
    """Raises _Bad for a constraint that this type cannot check: authors would rely on it."""
    if parameter.base not in bases:
        raise _Bad(node, f"{_shown(node)} says nothing of {parameter.kind}")


def _limit(number: float, node: ast.expr) -> float:
    try:
        limit = float(number)
    except OverflowError:
        limit = math.inf
    if not math.isfinite(limit):
        raise _Bad(node, f"{_shown(node)} has a limit that is no number")
    return limit


def _regex(text: str, node: ast.expr) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            re.compile(text)
    except (re.error, OverflowError) as error:
        raise _Bad(node, f"not a regular expression: {error}") from error
    return text


def _literal(node: ast.expr) -> Any:
    try:
        return ast.literal_eval(node)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        raise _Bad(node, f"{_shown(node)} is no literal; write the value itself") from None


def _base_of(choices: tuple[Scalar, ...], node: ast.expr) -> Any:
    kinds = {type(choice).__name__ for choice in choices}
    if len(kinds) == 1 and (kind := kinds.pop()) in ("str", "int", "bool"):
        for choice in choices:
            _written(choice, node)
        return kind
    raise _Bad(node, "the values of a Literal must all be text, all whole numbers or all true/false")


def _written(value: object, node: ast.expr) -> str:
    """The value as a user would type it."""
    try:
        text = str(value)
        check_text(text)
    except ValueError as error:
        raise _Bad(node, f"{_shown(node)} cannot be a value: {error}") from error
    return text


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
    """A literal, or Duration("...") and date(...) written as calls with literal arguments."""
    if isinstance(node, ast.Call) and not node.keywords:
        arguments = [_literal(argument) for argument in node.args]
        name = _name(node.func)
        if name == "Duration" and len(arguments) == 1:
            return arguments[0]
        if name in ("date", "datetime.date") and len(arguments) == 3:
            try:
                return datetime.date(*arguments).isoformat()
            except (TypeError, ValueError, OverflowError) as error:
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
            raise _Bad(node, f"the default {_shown(node)} is not {parameter.kind}")
    texts = [_written(item, node) for item in items]
    try:
        return [parameter.one(text) for text in texts] if parameter.many else parameter.one(texts[0])
    except ValueError as error:
        raise _Bad(node, f"the default of {parameter.name}: {error}") from error
