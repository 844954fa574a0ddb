"""What a file that people write may hold: a dataclass says it, and reads it.

Pydantic knows every case and every message, and takes longer to load than most commands take in all. So a value that
is plainly what its annotation says is taken as it is, and pydantic gets, and decides, whatever leaves any doubt.
"""

import dataclasses
import datetime
import json
import operator
import re
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING
from functools import cache
from typing import (
    TYPE_CHECKING,
    Annotated,
    Any,
    ClassVar,
    Literal,
    Self,
    TypeVar,
    Union,
    cast,
    get_args,
    get_origin,
    get_type_hints,
)

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter

DOUBTS = (ValueError, TypeError, LookupError, RecursionError)
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_LIMITS: Mapping[str, Callable[[Any, Any], bool]] = {"min_length": lambda value, n: len(value) >= n, "ge": operator.ge}


T = TypeVar("T")


def _once(make: Callable[[Any], T]) -> Callable[[Any], T]:
    # mypy looks for the hash of a class in its instances.
    return cache(make)


class Misfit(ValueError):
    """A value is not of the shape; `problems` are what pydantic says of it, each with `loc`, `type` and `msg`."""

    def __init__(self, problems: Sequence[Mapping[str, Any]]) -> None:
        self.problems = problems


class Check:
    """In an annotation: a function that gives the value, or raises ValueError; and limits, by pydantic's names."""

    def __init__(self, function: Callable[[Any], Any], *, before: bool = False, **limits: int) -> None:
        self._function, self._before, self._limits = function, before, limits

    def plain(self, kind: Any, value: Any, strict: bool) -> Any:
        found = _plain(kind, self._function(value) if self._before else value, strict)
        if not all(_LIMITS[name](found, limit) for name, limit in self._limits.items()):
            raise ValueError
        return found if self._before else self._function(found)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        schema = {**handler(source), **self._limits}
        if self._before:
            return core_schema.no_info_before_validator_function(self._function, schema)
        return core_schema.no_info_after_validator_function(self._function, schema)


def key(default: Any = MISSING, *, make: Any = MISSING, about: str = "", examples: Any = ()) -> Any:
    """A field of a shape: its default, or what makes one; and what `docs/reference/` says of it."""
    told = {"description": about, "examples": list(examples)}
    return dataclasses.field(default=default, default_factory=make, metadata=told)


class Shape:
    """A frozen dataclass that can be read. A strict one takes no list for a tuple, and no text for a date."""

    strict: ClassVar[bool] = False

    @classmethod
    def read(cls, value: Any) -> Self:
        """The value of a mapping. Raises Misfit, with everything that is wrong with it."""
        try:
            return cls.plain(value)
        except DOUBTS:
            return cls.thorough(value)

    @classmethod
    def plain(cls, value: Any) -> Self:
        """The value of what leaves no doubt. Raises one of DOUBTS otherwise, though it may be right."""
        return cast(Self, _made(cls, value, cls.strict))

    @classmethod
    def thorough(cls, value: Any) -> Self:
        """The value as pydantic reads it. Raises Misfit."""
        from pydantic import ValidationError

        try:
            return cls(**dict(cls.model().model_validate(value)))
        except ValidationError as error:
            raise Misfit(error.errors()) from error

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """What it is made of."""
        return tuple(_hints(cls))

    @classmethod
    def model(cls) -> "type[BaseModel]":
        """The same as a model of pydantic."""
        return _model(cls)

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(lambda found: cls(**dict(found)), handler(cls.model()))


def from_json(kind: type[T], text: bytes | str, *, strict: bool = False) -> T:
    """A dataclass, or another kind of value, that was written as JSON. Raises ValueError."""
    try:
        return cast(T, _plain(kind, json.loads(text.decode() if isinstance(text, bytes) else text), strict))
    except DOUBTS:
        return _adapter(kind).validate_json(text, strict=strict or None)  # type: ignore[no-any-return]


@_once
def _adapter(kind: Any) -> "TypeAdapter[Any]":
    from pydantic import TypeAdapter

    return TypeAdapter(kind)


@_once
def _model(kind: Any) -> "type[BaseModel]":
    from pydantic import ConfigDict, Field, create_model

    keys: dict[str, Any] = {}
    for each in dataclasses.fields(kind):
        given: dict[str, Any] = {"default": each.default, "default_factory": each.default_factory, **each.metadata}
        field = Field(**{name: value for name, value in given.items() if value is not MISSING})
        keys[each.name] = (_hints(kind)[each.name], field)
    return create_model(kind.__name__, __config__=ConfigDict(extra="forbid", strict=kind.strict), **keys)


@_once
def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name] for each in dataclasses.fields(kind)}


def _plain(kind: Any, value: Any, strict: bool) -> Any:
    """The value as one of this kind. Raises one of DOUBTS unless nothing about it is in doubt."""
    if dataclasses.is_dataclass(kind):
        return _made(kind, value, getattr(kind, "strict", strict))
    written, read = _KINDS[get_origin(kind) or kind]
    if written and type(value) is not written:
        raise TypeError
    return read(value, get_args(kind), strict)


def _made(kind: Any, value: Any, strict: bool) -> Any:
    hints = _hints(kind)
    if type(value) is not dict or (issubclass(kind, Shape) and not value.keys() <= hints.keys()):
        raise TypeError
    return kind(**{name: _plain(hints[name], value[name], strict) for name in hints.keys() & value.keys()})


def _checked(value: Any, args: Any, strict: bool) -> Any:
    kind, check = args
    return check.plain(kind, value, strict)


def _optional(value: Any, args: Any, strict: bool) -> Any:
    (kind,) = (each for each in args if each is not type(None))
    return None if value is None else _plain(kind, value, strict)


def _many(value: list[Any], args: Any, strict: bool) -> tuple[Any, ...]:
    if strict or args[1] is not ...:
        raise TypeError
    return tuple(_plain(args[0], each, strict) for each in value)


def _date(value: str, _args: Any, strict: bool) -> datetime.date:
    if strict or not _DATE.fullmatch(value):
        raise ValueError
    return datetime.date.fromisoformat(value)


def _table(value: dict[Any, Any], args: Any, strict: bool) -> dict[Any, Any]:
    return {_plain(args[0], name, strict): _plain(args[1], each, strict) for name, each in value.items()}


_KINDS: Mapping[Any, tuple[type | None, Callable[[Any, Any, bool], Any]]] = {
    str: (str, lambda value, _args, _strict: value.encode().decode()),  # half of a pair of surrogates is no text
    int: (int, lambda value, _args, _strict: value),
    bool: (bool, lambda value, _args, _strict: value),
    Literal: (str, lambda value, args, _strict: args[args.index(value)]),
    Annotated: (None, _checked),
    Union: (None, _optional),
    types.UnionType: (None, _optional),
    list: (list, lambda value, args, strict: [_plain(args[0], each, strict) for each in value]),
    dict: (dict, _table),
    Mapping: (dict, _table),
    tuple: (list, _many),
    datetime.date: (str, _date),
}
"""How a value of each kind is read, and the type that it has where it is written plainly."""
