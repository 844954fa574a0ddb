"""JSON as the service reads and writes it: strict, and never an error other than ValueError."""

import json
from typing import Any, NoReturn


def loads(text: str | bytes) -> Any:
    """The parsed value. Raises ValueError for bad JSON, NaN, endless nesting, and lone surrogates."""
    try:
        value = json.loads(text, parse_constant=_refuse_constant)
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except RecursionError as error:
        raise ValueError("the JSON is nested too deep") from error
    return value


def dumps(value: object) -> str:
    """Compact JSON text. Raises ValueError for numbers JSON does not have."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False, separators=(",", ":"))


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(f"{name} is not JSON")
