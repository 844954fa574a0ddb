"""Which addresses ask for what only partners may read, without a key that is valid."""

import ipaddress
import re
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import psutil

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


def addresses(text: str, *, own: bool = False) -> list[str]:
    """The addresses in a text, separated by commas, as the load balancer writes them.

    Raises EffectFailed for what is none and, unless `own` is set, for those of this machine: without them nobody could
    look at the service.
    """
    wanted = {each.strip() for each in text.split(",")} - {""}
    try:
        found = {_plain(ipaddress.ip_address(each)) for each in wanted}
    except ValueError as error:
        raise EffectFailed(f"{error}: nobody is blocked", untouched=True) from error
    here_too = sorted(found & {each.address for card in psutil.net_if_addrs().values() for each in card})
    if here_too and not own:
        raise EffectFailed(f"{', '.join(here_too)} is this machine: nobody is blocked", untouched=True)
    return sorted(found)


def _plain(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> str:
    """As the load balancer writes it: an IPv4 address that came by IPv6 is an IPv4 address. Raises ValueError."""
    if isinstance(address, ipaddress.IPv6Address):
        if address.scope_id:
            raise ValueError(f"{address} has a zone")
        return str(address.ipv4_mapped or address)
    return str(address)


def _addresses(since: float) -> Iterator[str]:
    for log in sorted((_folder() / "logs").glob("arcade-*.log*")):
        for line in log.read_text(encoding="utf-8", errors="replace").splitlines():
            found = _LINE.match(line)
            if found and datetime.fromisoformat(found[1]).astimezone().timestamp() >= since:
                yield found[2]


def _folder() -> Path:
    return Path(here.state, "env", here.environment)
