"""What a file that people write may hold: a dataclass says it, and reads it.

Pydantic knows every case and every message, and takes longer to load than most commands take in all. So a value that
is plainly what its annotation says is taken as it is, and pydantic gets, and decides, whatever leaves any doubt.
"""

import dataclasses
import datetime
import json
import operator
import types
import typing
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeVar, Union, cast, get_args, get_origin

if TYPE_CHECKING:
    from pydantic import BaseModel, TypeAdapter

DOUBTS = (ValueError, TypeError, LookupError, RecursionError, AttributeError)
"""What is raised where a value is not plain, or an annotation is one that only pydantic knows."""

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

    def plain(self, value: Any, args: Any, read: Callable[[Any, Any], Any]) -> Any:
        kind, _ = args
        found = read(kind, self._function(value) if self._before else value)
        if not all(_LIMITS[name](found, limit) for name, limit in self._limits.items()):
            raise ValueError
        return found if self._before else self._function(found)

    def __get_pydantic_core_schema__(self, source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        schema = {**handler(source), **self._limits}
        if self._before:
            return core_schema.no_info_before_validator_function(self._function, schema)
        return core_schema.no_info_after_validator_function(self._function, schema)


@typing.dataclass_transform(frozen_default=True, kw_only_default=True)
@dataclasses.dataclass(frozen=True)
class Shape:
    """A frozen dataclass that can be read. A strict one takes no list for a tuple, and no text for a date."""

    strict: ClassVar[bool] = False

    def __init_subclass__(cls, *, strict: bool = False) -> None:
        cls.strict = strict
        dataclasses.dataclass(frozen=True, kw_only=True)(cls)

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
            return cls(**dict(model(cls).model_validate(value)))
        except ValidationError as error:
            raise Misfit(error.errors()) from error

    @classmethod
    def names(cls) -> tuple[str, ...]:
        """What it is made of."""
        return tuple(_hints(cls))

    @classmethod
    def __get_pydantic_core_schema__(cls, _source: Any, handler: Callable[[Any], Any]) -> Any:
        from pydantic_core import core_schema

        return core_schema.no_info_after_validator_function(lambda found: cls(**dict(found)), handler(model(cls)))


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
def model(kind: Any) -> "type[BaseModel]":
    """The model of pydantic with the fields of a shape."""
    from pydantic import ConfigDict, create_model

    keys: dict[str, Any] = {each.name: (_hints(kind)[each.name], each) for each in dataclasses.fields(kind)}
    return create_model(kind.__name__, __config__=ConfigDict(extra="forbid", strict=kind.strict), **keys)


@_once
def _hints(kind: Any) -> dict[str, Any]:
    hints = typing.get_type_hints(kind, include_extras=True)
    return {each.name: hints[each.name] for each in dataclasses.fields(kind)}


def _plain(kind: Any, value: Any, strict: bool) -> Any:
    """The value as one of this kind. Raises one of DOUBTS unless nothing about it is in doubt."""
    if dataclasses.is_dataclass(kind):
        return _made(kind, value, getattr(kind, "strict", strict))
    origin = get_origin(kind) or kind
    written, read = _KINDS[origin]
    if (written and type(value) is not written) or (strict and origin in (tuple, datetime.date)):
        raise TypeError
    return read(value, get_args(kind), lambda inner, each: _plain(inner, each, strict))


def _made(kind: Any, value: Any, strict: bool) -> Any:
    hints = _hints(kind)
    if type(value) is not dict or (issubclass(kind, Shape) and not value.keys() <= hints.keys()):
        raise TypeError
    return kind(**{name: _plain(hints[name], value[name], strict) for name in hints.keys() & value.keys()})


def _optional(value: Any, args: Any, read: Callable[[Any, Any], Any]) -> Any:
    (kind,) = (each for each in args if each is not type(None))
    return None if value is None else read(kind, value)


def _many(value: list[Any], args: Any, read: Callable[[Any, Any], Any]) -> tuple[Any, ...]:
    if args[1] is not ...:
        raise TypeError
    return tuple(read(args[0], each) for each in value)


def _date(value: str, _args: Any, _read: Any) -> datetime.date:
    found = datetime.date.fromisoformat(value)
    if str(found) != value:
        raise ValueError
    return found


def _table(value: dict[Any, Any], args: Any, read: Callable[[Any, Any], Any]) -> dict[Any, Any]:
    return {read(args[0], name): read(args[1], each) for name, each in value.items()}


_KINDS: Mapping[Any, tuple[type | None, Callable[[Any, Any, Any], Any]]] = {
    str: (str, lambda value, _args, _read: value.encode().decode()),  # half of a pair of surrogates is no text
    int: (int, lambda value, _args, _read: value),
    bool: (bool, lambda value, _args, _read: value),
    Literal: (str, lambda value, args, _read: args[args.index(value)]),
    Annotated: (None, lambda value, args, read: args[1].plain(value, args, read)),
    Union: (None, _optional),
    types.UnionType: (None, _optional),
    list: (list, lambda value, args, read: [read(args[0], each) for each in value]),
    dict: (dict, _table),
    Mapping: (dict, _table),
    tuple: (list, _many),
    datetime.date: (str, _date),
}
"""How a value of each kind is read, and the type that it has where it is written plainly."""
