"""Values on their way between Python and Lua."""

from collections.abc import Callable
from typing import Any

MAX_DEPTH = 32
MAX_INTEGER = 2**63 - 1


def to_lua(value: object, table: Callable[[Any], Any], array: Callable[[Any], Any], depth: int = 0) -> Any:
    """A JSON-like value for Lua. Raises ValueError when it is nested too deep or a number is too big."""
    if depth > MAX_DEPTH:
        raise ValueError("the value is nested too deep")
    if isinstance(value, list):
        return array(table([to_lua(item, table, array, depth + 1) for item in value]))
    if isinstance(value, dict):
        return table({str(key): to_lua(item, table, array, depth + 1) for key, item in value.items()})
    if isinstance(value, int) and not -MAX_INTEGER <= value <= MAX_INTEGER:
        raise ValueError("the number is too big")
    return value


def to_python(
    value: Any, lua_type: Callable[[Any], str | None], is_array: Callable[[Any], bool], depth: int = 0
) -> Any:
    """A Lua value as JSON-like Python: tables with the keys 1..n become lists, others become objects."""
    if depth > MAX_DEPTH:
        raise ValueError("a value is nested too deep")
    kind = lua_type(value)
    if kind is None:
        return value
    if kind != "table":
        raise ValueError(f"a {kind} is no data")
    items = {key: to_python(item, lua_type, is_array, depth + 1) for key, item in value.items()}
    if is_array(value) or (items and sorted(items, key=str) == sorted(range(1, len(items) + 1), key=str)):
        return [items[index] for index in range(1, len(items) + 1) if index in items]
    return {key: items[key] for key in sorted(items, key=_key)}


def _key(key: object) -> str:
    if not isinstance(key, str):
        raise ValueError(  # noqa: TRY004 - callers expect the one error that means "no data"
            f"{key!r} is no key: a table has either the keys 1 to n or names"
        )
    return key
