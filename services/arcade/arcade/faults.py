"""Fault switches for drills: they make this instance slow, failing or unready on purpose."""

import asyncio
import random
from dataclasses import asdict, dataclass
from typing import Any

from arcade import jsontext
from arcade.errors import ArcadeError, MalformedError

MAX_SLOW_MS = 30_000


@dataclass
class Faults:
    """The switches of one instance: milliseconds of delay, share of failures (0 to 1), not ready."""

    slow_ms: int = 0
    error_rate: float = 0.0
    unready: bool = False

    def as_json(self) -> dict[str, Any]:
        """The switches as they are set."""
        return asdict(self)

    def replace(self, body: bytes) -> None:
        """Set the switches named in the JSON object `body`, and clear the others. Raises MalformedError."""
        wanted = _parse(body)
        self.slow_ms, self.error_rate, self.unready = wanted.slow_ms, wanted.error_rate, wanted.unready

    async def apply(self) -> None:
        """Wait, and fail, as the switches say. Raises ArcadeError for a failure."""
        if self.slow_ms:
            await asyncio.sleep(self.slow_ms / 1000)
        if random.random() < self.error_rate:  # noqa: S311 - which request fails is no secret
            raise ArcadeError("the fault switch error_rate made this request fail")


def _parse(body: bytes) -> Faults:
    try:
        given = jsontext.loads(body)
    except ValueError as error:
        raise MalformedError(f"the body is not JSON: {error}") from error
    if not isinstance(given, dict) or not given.keys() <= Faults.__annotations__.keys():
        raise MalformedError("the body must be an object with slow_ms, error_rate, unready")
    return Faults(
        slow_ms=round(_number(given, "slow_ms", MAX_SLOW_MS)),
        error_rate=_number(given, "error_rate", 1.0),
        unready=_flag(given, "unready"),
    )


def _number(given: dict[str, Any], name: str, highest: float) -> float:
    value = given.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= highest:
        raise MalformedError(f"{name} must be a number from 0 to {highest:g}")
    return float(value)


def _flag(given: dict[str, Any], name: str) -> bool:
    value = given.get(name, False)
    if not isinstance(value, bool):
        raise MalformedError(f"{name} must be true or false")
    return value
