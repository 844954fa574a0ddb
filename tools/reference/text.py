"""Helpers for the pages of the reference: tables, fences, and docstrings of names."""

import ast
import inspect
import itertools
import re
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from types import ModuleType

_MODULES = re.compile(r"\b(?:[A-Za-z_]\w*\.)+(?=[A-Za-z_])")


def table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A Markdown table."""
    lines = [" | ".join(cell.replace("\n", " ").replace("|", "\\|") for cell in row) for row in [names, *rows]]
    lines.insert(1, " | ".join("---" for _ in names))
    return "".join(f"| {line} |\n" for line in lines)


def fence(language: str, text: str) -> str:
    """A fence around the text."""
    return f"```{language}\n{text.rstrip()}\n```\n"


def link(heading: str) -> str:
    """The link to a heading on the same page, as GitHub and MkDocs derive it: letters, digits, - and _."""
    return "#" + re.sub(r"[^\w\s-]", "", heading).strip().lower().replace(" ", "-")


def sentence(text: str) -> str:
    """The text with a capital and a full stop."""
    text = text.strip()
    return text[:1].upper() + text[1:] + ("" if text.endswith((".", ":", "?")) else ".")


def documented(owner: type | ModuleType) -> dict[str, str]:
    """The docstring below each name that a module or a class sets; Python has it in the source only."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(owner)))
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else tree.body
    return {
        name: inspect.cleandoc(after.value.value)
        for before, after in itertools.pairwise(body)
        if isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant) and isinstance(after.value.value, str)
        for name in _set(before)
    }


def _set(node: ast.stmt) -> Iterator[str]:
    """The names that a statement sets."""
    targets = node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
    return (target.id for target in targets if isinstance(target, ast.Name))


def annotation(kind: object) -> str:
    """A type as an author would write it."""
    return unqualified(inspect.formatannotation(kind))


def unqualified(text: str) -> str:
    """The code without the modules of its names, and without the ~ of a type variable."""
    return _MODULES.sub("", text).replace("~", "")
