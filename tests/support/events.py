"""Events as a journal has them, where a test says only what it is about."""

from typing import Any

from opsbook.core.model.events import shape


def whole(kind: str, /, **data: Any) -> dict[str, Any]:
    """The data of an event with everything that has to be there; what the test does not say is empty."""
    return {each.key: each.empty for each in shape(kind) if not each.optional} | data
