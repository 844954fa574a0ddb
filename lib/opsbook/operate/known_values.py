"""What expressions of a page give without running it, from parameters and settings of the environment."""

import ast
from collections.abc import Mapping
from typing import Any

from opsbook.core.model.environment import Environment


class Unknown(Exception):
    """A value that only a run can know."""


class KnownValues:
    """The values of names, as far as simple assignments give them."""

    def __init__(self, environment: Environment, known: Mapping[str, Any]) -> None:
        self._environment = environment
        self._known = dict(known)
        self._sources: dict[str, str] = {}

    def assign(self, name: str, node: ast.expr) -> None:
        """The page gives this name the value of an expression."""
        try:
            self._known[name] = self._value(node)
        except Unknown:
            self._known.pop(name, None)
            self._sources[name] = ast.unparse(node)

    def unknown(self, node: ast.expr) -> dict[str, str]:
        """The sources of the names in an expression that only a run knows."""
        used = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        return {name: source for name, source in self._sources.items() if name in used and name not in self._known}

    def shown(self, node: ast.expr) -> Any:
        """The value of an expression, with its source in angle brackets where only a run knows it."""
        match node:
            case ast.Dict():
                found: Any = self._dict(node)
            case ast.List(elts=items) | ast.Tuple(elts=items):
                found = [self.shown(each) for each in items]
            case ast.JoinedStr(values=parts):
                found = "".join(str(self.shown(each)) for each in parts)
            case ast.FormattedValue(value=value):
                found = self.shown(value)
            case ast.BinOp(left=left, op=ast.Add(), right=right):
                found = self._sum(self.shown(left), self.shown(right))
            case _:
                found = self._or_source(node)
        return found

    def _or_source(self, node: ast.expr) -> Any:
        try:
            return self._value(node)
        except Unknown:
            return f"<{ast.unparse(node)}>"

    def _dict(self, node: ast.Dict) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in zip(node.keys, node.values, strict=True):
            shown = self.shown(value)
            if key is not None:
                found[str(self.shown(key))] = shown
            elif isinstance(shown, dict):
                found |= shown
            else:
                found[f"**{ast.unparse(value)}"] = shown
        return found

    def _sum(self, left: Any, right: Any) -> Any:
        return left + right if type(left) is type(right) else f"{left}{right}"

    def _value(self, node: ast.expr) -> Any:
        """The value of an expression. Raises Unknown."""
        match node:
            case ast.Constant(value=value):
                found = value
            case ast.Name(id=name) if name in self._known:
                found = self._known[name]
            case ast.Attribute(value=ast.Name(id="here"), attr="environment"):
                found = self._environment.name
            case ast.Call(func=ast.Attribute(value=ast.Name(id="here"), attr="url"), args=[service]):
                found = self._item(self._environment.policy.urls, service).rstrip("/")
            case ast.Subscript(value=ast.Attribute(value=ast.Name(id="here"), attr="settings"), slice=index):
                found = self._item(self._environment.policy.settings, index)
            case ast.Subscript(value=ast.Name(id=name), slice=index) if name in self._known:
                found = self._item(self._known[name], index)
            case ast.Dict() | ast.List() | ast.Tuple() | ast.JoinedStr() | ast.BinOp(op=ast.Add()):
                found = self._whole(node)
            case _:
                raise Unknown
        return found

    def _item(self, holder: Any, index: ast.expr) -> Any:
        try:
            return holder[self._value(index)]
        except (KeyError, IndexError, TypeError) as error:
            raise Unknown from error

    def _whole(self, node: ast.expr) -> Any:
        """What is made of other values, if all of them are known."""
        for each in ast.walk(node):
            if isinstance(each, ast.Name | ast.Call | ast.Subscript) and not _is_here(each):
                self._value(each)
        return self.shown(node)


def _is_here(node: ast.AST) -> bool:
    return isinstance(node, ast.Name) and node.id == "here"
