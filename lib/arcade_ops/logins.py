"""Which addresses ask for what only partners may read, without a key that is valid."""

import ipaddress
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from opsbook import EffectFailed, effect, here

_LINE = re.compile(r"(\d{4}-\d\d-\d\d \d\d:\d\d:\d\d),\d+ WARNING login refused from (\S+)$")
_MOST = 20


@effect(changes=False)
def refused(seconds: float) -> list[dict[str, Any]]:
    """The addresses that were refused in the last `seconds`: address and count, most first.

    At most 20, from the logs of the instances. Raises EffectFailed if one cannot be read.
    """
    try:
        counted = Counter(_addresses(time.time() - seconds))
    except OSError as error:
        raise EffectFailed(f"{error.filename} cannot be read: {error.strerror}", untouched=True) from error
    return [{"address": each, "count": count} for each, count in counted.most_common(_MOST)]


@effect(changes=False)
def blocked() -> dict[str, str]:
    """The addresses that the load balancer does not serve, each with the run that has blocked it; hand without one.

    Raises EffectFailed if they cannot be read.
    """
    folder = _folder() / "caddy/blocked"
    try:
        return {path.name: path.read_text(encoding="utf-8") or "hand" for path in sorted(folder.glob("*"))}
    except OSError as error:
        raise EffectFailed(f"{error.filename} cannot be read: {error.strerror}", untouched=True) from error


def addresses(text: str) -> list[str]:
    """The addresses in a text, separated by commas, as the load balancer writes them.

    Raises EffectFailed for what is none.
    """
    wanted = {each.strip() for each in text.split(",")} - {""}
    try:
        return sorted({str(ipaddress.ip_address(each)) for each in wanted})
    except ValueError as error:
        raise EffectFailed(f"{error}: nobody is blocked", untouched=True) from error


def _addresses(since: float) -> Iterator[str]:
    for log in sorted((_folder() / "logs").glob("arcade-*.log*")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            found = _LINE.match(line)
            if found and datetime.fromisoformat(found[1]).astimezone().timestamp() >= since:
                yield found[2]


def _folder() -> Path:
    return Path(here.state, "env", here.environment)
