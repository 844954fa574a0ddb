"""record.json as it is read back. A list of records needs nothing else of a sealed one, so this loads nothing else."""

import json
from collections.abc import Mapping
from typing import Any

_LONGEST = 1e12
"""Seconds. No run takes longer; infinity, NaN and numbers beyond any clock are no times."""

_NONE = type(None)
_NUMBER = (float, int, _NONE)
_STEP = {**dict.fromkeys(("step", "title", "section", "status"), (str,)), "seconds": _NUMBER}
_EFFECT = dict.fromkeys(("key", "step", "summary", "status"), (str,)) | {"changes": (bool,), "changed": (bool, _NONE)}
_SUMMARY = {
    **dict.fromkeys(("run", "runbook", "title", "environment", "operator"), (str, _NONE)),
    **dict.fromkeys(("started", "ended", "outcome"), (str, _NONE)),
    **dict.fromkeys(("steps", "effects", "unknown"), (list,)),
    **{"parameters": (dict, _NONE), "reason": (str,), "seconds": _NUMBER, "gaps": (int,)},
}
"""The shape of record.json, as far as anything relies on it. Other keys are kept as they are."""


def read(text: bytes) -> dict[str, Any]:
    """The content of a record.json. Raises ValueError for anything else."""
    found: dict[str, Any] = json.loads(text.decode())
    if not (
        _fits(found, _SUMMARY)
        and all(_fits(step, _STEP) for step in found["steps"])
        and all(_fits(effect, _EFFECT) for effect in found["effects"])
        and all(isinstance(each, str) for each in found["unknown"])
        and all(each["seconds"] == in_seconds(each["seconds"]) for each in (found, *found["steps"]))
    ):
        raise ValueError("it has not the shape of a summary")
    # Half of a pair of surrogates, which no terminal and no file takes.
    json.dumps(found, ensure_ascii=False).encode()
    return found


def _fits(value: Any, shape: Mapping[str, tuple[type, ...]]) -> bool:
    """Whether it has these keys, with values of exactly these kinds: JSON's true is no number."""
    return isinstance(value, dict) and all(type(value.get(name, ...)) in kinds for name, kinds in shape.items())


def in_seconds(value: float | None) -> float | None:
    """A duration, if it can be one."""
    return value if value is not None and abs(value) < _LONGEST else None
