"""Static analysis of a cell's code: names, calls, literal arguments."""

import ast
import builtins
import re
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from opsbook.core.model.person import MANUAL_CHOICES, input_name
from opsbook.core.model.runbook import Cell, Step

BUILTINS = frozenset(dir(builtins))


@dataclass(frozen=True)
class Call:
    """A call in a cell. `name` is dotted; `line` and `column` refer to the document."""

    name: str
    node: ast.Call
    line: int
    column: int

    def argument(self, keyword: str, position: int | None = None) -> ast.expr | None:
        """What is given by this name, or else at this position; None if it is not given."""
        by_position = self.node.args[position : position + 1] if position is not None else []
        named = [each.value for each in self.node.keywords if each.arg == keyword]
        return next(iter([*named, *by_position]), None)

    def literal(self, position: int | None, keyword: str) -> str | None:
        """A text argument, if it is a literal. Without a position, it is passed by its name."""
        value = getattr(self.argument(keyword, position), "value", None)
        return value if isinstance(value, str) else None

    def literals(self, position: int, keyword: str) -> tuple[str, ...]:
        """A list of texts, if it is a literal."""
        node = self.argument(keyword, position)
        items = node.elts if isinstance(node, ast.List | ast.Tuple) else []
        values = [item.value for item in items if isinstance(item, ast.Constant)]
        return tuple(value for value in values if isinstance(value, str)) if len(values) == len(items) else ()

    def flag(self, keyword: str) -> bool | None:
        """A keyword written as True or False."""
        value = getattr(self.argument(keyword), "value", None)
        return value if isinstance(value, bool) else None

    def keys(self, keyword: str) -> frozenset[str] | None:
        """The keys of a literal dict: empty if the argument is absent, None if the keys are computed."""
        if any(given.arg is None for given in self.node.keywords):
            return None
        node = self.argument(keyword)
        if node is None or (isinstance(node, ast.Constant) and node.value is None):
            return frozenset()
        if not isinstance(node, ast.Dict) or not all(isinstance(key, ast.Constant) for key in node.keys):
            return None
        return frozenset(str(key.value) for key in node.keys if isinstance(key, ast.Constant))


_FOR_IPYTHON = re.compile(r"^([ \t]*)(?:%%?\w|!)[^\n]*", re.MULTILINE)
"""Lines that only IPython understands: %matplotlib inline, !ls."""

_KEPT = 256
"""Cells whose analysis is cached, since every rule asks for it."""


@lru_cache(_KEPT)
def tree(cell: Cell) -> ast.Module | SyntaxError:
    """The cell's syntax tree, or why it has none. Cells may await at the top, as in Jupyter."""
    code = parsed(cell.source, ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    assert isinstance(code, ast.Module | SyntaxError)
    return code


def parsed(source: str, flags: int = 0) -> ast.AST | SyntaxError:
    """The syntax tree of a text, or why it has none. Python's warnings are suppressed."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree: ast.AST = compile(source, "<cell>", "exec", ast.PyCF_ONLY_AST | flags, dont_inherit=True)
    except SyntaxError as error:
        return error
    except ValueError as error:
        # An invalid character or, in older Pythons, a NUL.
        return SyntaxError(str(error))
    return tree


def without_magics(cell: Cell) -> Cell:
    """The cell with `pass` for each line that only IPython understands."""
    return replace(cell, source=_FOR_IPYTHON.sub(r"\1pass", cell.source))


@lru_cache(_KEPT)
def _nodes(cell: Cell) -> tuple[ast.AST, ...]:
    """Every node of a cell; none if it is not Python."""
    code = tree(cell)
    return tuple(ast.walk(code)) if isinstance(code, ast.Module) else ()


@lru_cache(_KEPT)
def calls(cell: Cell) -> tuple[Call, ...]:
    """Every call in the cell."""
    found = (node for node in _nodes(cell) if isinstance(node, ast.Call))
    return tuple(Call(dotted(node.func), node, cell.line + node.lineno - 1, node.col_offset + 1) for node in found)


def dotted(node: ast.expr) -> str:
    """`a.b.c` for a chain of names; empty for anything else."""
    if isinstance(node, ast.Attribute):
        before = dotted(node.value)
        return f"{before}.{node.attr}" if before else node.attr
    return node.id if isinstance(node, ast.Name) else ""


def bound(cell: Cell) -> set[str]:
    """Names the cell defines: assignments, imports, functions, loop variables, parameters of functions."""
    found: set[str] = set()
    for node in _nodes(cell):
        match node:
            case ast.Name(id=name, ctx=ast.Store() | ast.Del()):
                found.add(name)
            case ast.alias(name=name, asname=alias):
                found.add(alias or name.split(".")[0])
            case ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name) | ast.ClassDef(name=name):
                found.add(name)
            case ast.arg(arg=name) | ast.ExceptHandler(name=str() as name):
                found.add(name)
            case (
                ast.MatchAs(name=str() as name)
                | ast.MatchStar(name=str() as name)
                | ast.MatchMapping(rest=str() as name)
            ):
                found.add(name)
            case _ if type(node).__name__ in _OF_TYPES:
                found.add(getattr(node, "name", ""))
    return found


_OF_TYPES = ("ParamSpec", "TypeVar", "TypeVarTuple")
"""Nodes of `def first[T](…)`, from Python 3.12 on."""


def imported(cell: Cell) -> Iterator[tuple[int, int, str, str]]:
    """Names the cell imports from modules: line and column in the document, name, module."""
    for node in _nodes(cell):
        if isinstance(node, ast.ImportFrom) and not node.level:
            for each in node.names:
                yield cell.line + each.lineno - 1, each.col_offset + 1, each.name, node.module or ""


def used(cell: Cell) -> Iterator[tuple[str, int, int]]:
    """Names the cell reads, each with line and column in the document."""
    return _read(cell, _nodes(cell))


def used_at_once(cell: Cell) -> Iterator[tuple[str, int, int]]:
    """Names the cell reads when it runs: not those that its functions read when they are called."""
    return _read(cell, _at_once(tree(cell)))


def _read(cell: Cell, nodes: Iterable[ast.AST]) -> Iterator[tuple[str, int, int]]:
    for node in nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            yield node.id, cell.line + node.lineno - 1, node.col_offset + 1


def _at_once(tree: ast.Module | SyntaxError) -> Iterator[ast.AST]:
    left: list[ast.AST] = [tree] if isinstance(tree, ast.Module) else []
    while left:
        node = left.pop()
        yield node
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            left += node.args.defaults + [default for default in node.args.kw_defaults if default]
            left += getattr(node, "decorator_list", [])
        else:
            left += ast.iter_child_nodes(node)


@dataclass(frozen=True)
class PageQuestion:
    """A question whose name is known before the run. `choices` is empty for free text and for computed choices."""

    name: str
    step: str
    kind: str
    text: str
    choices: tuple[str, ...] = ()


def questions(steps: Iterable[Step]) -> list[PageQuestion]:
    """Every question that these steps may ask, in order; a manual step asks one with its id as the name."""
    found = []
    for step in steps:
        if step.manual:
            found.append(PageQuestion(step.id, step.id, "manual", step.title, MANUAL_CHOICES))
        for cell in step.cells:
            found += [_question(call, name, step) for call in calls(cell) if (name := question_name(call))]
    return found


def question_name(call: Call) -> str | None:
    """The literal name of a question, if the call is one."""
    if call.name == "input":
        return input_name(call.literal(0, "prompt") or "")
    return call.literal(0, "name") if call.name in ("ask", "confirm") else None


def _question(call: Call, name: str, step: Step) -> PageQuestion:
    choices = ("yes", "no") if call.name == "confirm" else call.literals(2, "choices")
    text = call.literal(0, "prompt") if call.name == "input" else call.literal(1, "question")
    return PageQuestion(name, step.id, call.name, (text or name).strip(), choices)
