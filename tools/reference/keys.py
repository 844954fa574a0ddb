"""Keys of a file, from the pydantic model that reads it; what is said of them is in keys.yml beside this file."""

import copy
import datetime
import types
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, Union

import yaml
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from opsbook.shapes import Shape, model
from tools.reference.text import fence, link, sentence, table

Write = Callable[[str, Any], str]
"""Formats an example for the file: the key's name, its value."""

TEXTS: dict[str, dict[str, dict[str, Any]]] = yaml.safe_load(Path(__file__).with_name("keys.yml").read_text("utf-8"))
"""By the class that reads a file, each of its keys: `about`, and perhaps `examples`."""

_WORDS = {
    str: "text",
    int: "a whole number",
    bool: "true or false",
    float: "a number",
    datetime.date: "a date",
    Any: "anything",
}
_MANY = {"text": "texts", "a whole number": "whole numbers"}


def keys(of: type[BaseModel], write: Write, level: str = "##") -> str:
    """A table of all keys, then each with its example."""
    found = dict(_fields(of))
    rows = [(f"[{name}]({link(name)})", words(field.annotation), _default(field)) for name, field in found.items()]
    parts = [table(("key", "what it takes", "unless given"), rows)]
    parts += [_one(name, field, write, level) for name, field in found.items()]
    return "\n".join(parts)


def _fields(of: type[BaseModel], before: str = "") -> Iterator[tuple[str, FieldInfo]]:
    """Every key with its text and examples, and those of the tables in it behind a dot."""
    for name, known in of.model_fields.items():
        field, told = copy.copy(known), TEXTS[of.__name__][name]
        field.description, field.examples = told["about"], told.get("examples")
        yield before + name, field
        if (inner := _table(field.annotation)) is not None:
            yield from _fields(inner, f"{before}{name}.")


def _table(kind: Any) -> type[BaseModel] | None:
    """The model of a key that holds other keys."""
    kinds = [each for each in (kind, *typing.get_args(kind)) if isinstance(each, type)]
    models = [_model(each) for each in kinds if issubclass(each, BaseModel | Shape)]
    return models[0] if models and typing.get_origin(kind) is not dict else None


def _model(kind: type[BaseModel | Shape]) -> type[BaseModel]:
    return model(kind) if issubclass(kind, Shape) else kind


def _one(name: str, field: FieldInfo, write: Write, level: str) -> str:
    lines = [f"{level} `{name}`\n", f"{sentence(field.description or '')}\n"]
    if choices := _choices(field.annotation):
        lines.append(f"One of {', '.join(f'`{choice}`' for choice in choices)}.\n")
    return "\n".join(lines + [write(name, example) for example in field.examples or ()])


def _choices(kind: Any) -> tuple[Any, ...]:
    return typing.get_args(kind) if typing.get_origin(kind) is Literal else ()


def words(kind: Any) -> str:
    """A type in words."""
    if kind in _WORDS:
        return _WORDS[kind]
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is Literal:
        return "a word"
    if origin is typing.Annotated:
        return words(inner[0])
    if origin in (Union, types.UnionType):
        return " or ".join(words(each) for each in inner if each is not type(None))
    if origin is dict:
        return f"names, each with {words(inner[1])}"
    return _collection(kind, inner)


def _collection(kind: Any, inner: tuple[Any, ...]) -> str:
    if inner:
        each = words(inner[0])
        return f"a list of {_MANY.get(each, each)}"
    return f"a table of {', '.join(_model(kind).model_fields)}"


def _default(field: FieldInfo) -> str:
    if field.is_required():
        return "has to be given"
    value = field.get_default(call_default_factory=True)
    if value in (None, "", (), [], {}) or isinstance(value, BaseModel | Shape):
        return "nothing"
    return f"`{str(value).lower() if isinstance(value, bool) else value}`"


def yaml_example(name: str, value: Any) -> str:
    """The key in a YAML file."""
    flat = None if isinstance(value, list) else False
    text = yaml.safe_dump({name: value}, default_flow_style=flat, allow_unicode=True, sort_keys=False, width=100)
    return fence("yaml", text)


def toml_example(name: str, value: Any) -> str:
    """The key in a TOML file; texts, lists and numbers are written as in JSON."""
    import json

    parent, _, key = name.rpartition(".")
    return fence("toml", (f"[{parent}]\n" if parent else "") + f"{key} = {json.dumps(value, ensure_ascii=False)}")
