"""The http effect. The only module that uses httpx."""

import json as jsonlib
import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import Interrupted, perform
from opsbook.core.effects.clean import first_lines, revealed
from opsbook.core.effects.show import Shown
from opsbook.errors import EffectFailed
from opsbook.params import Secret

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
LIMIT = 8 * 1024 * 1024
"""Characters of an answer that are kept; use command() to fetch more."""

Expected = int | Collection[int] | None


@dataclass(frozen=True, repr=False)
class Response(Shown):
    """An HTTP answer. `headers` have lower-case names; `seconds` is the time the call took."""

    method: str
    url: str
    status: int
    headers: Mapping[str, str]
    text: str
    seconds: float

    @cached_property
    def json(self) -> Any:
        """The body as JSON. Raises EffectFailed if it is not JSON."""
        try:
            return jsonlib.loads(self.text)
        except (ValueError, RecursionError) as error:
            cut = f"more than {LIMIT} characters" if len(self.text) >= LIMIT else first_lines(self.text)
            raise EffectFailed(f"{self.method} {self.url} answered no JSON: {cut}", self) from error

    def headline(self) -> str:
        head = f"{self.method} {self.url} -> {self.status} in {self.seconds * 1000:.0f} ms"
        return f"{head}\n{first_lines(self.text)}".rstrip()


def http(
    method: str,
    url: str,
    *,
    json: Any = None,
    data: str | bytes | None = None,
    headers: Mapping[str, str | Secret] | None = None,
    expect: Expected = None,
    timeout: float = 30.0,
    changes: bool | None = None,
    idempotent: bool = False,
    pretend: Any = None,
    ignore: Sequence[str] = (),
    key: str | None = None,
) -> Response:
    """Call a URL. GET, HEAD and OPTIONS read; everything else changes, unless `changes=False` says it does not.

    `expect` is the status, or the statuses, that mean success; None accepts any below 400. `timeout` is in
    seconds. Raises EffectFailed for another status or no connection. A changing call whose answer was lost
    ends as interrupted: its outcome is unknown. A check does not make it, and returns `pretend`.
    `ignore` names parts of the answer that change by themselves, such as `["instance"]`.
    """
    method = method.upper()
    request = {
        "method": method,
        "url": url,
        "json": json,
        "data": data.decode("utf-8", errors="replace") if isinstance(data, bytes) else data,
        "headers": headers,
        "expect": expect if expect is None or isinstance(expect, int) else sorted(expect),
    }
    changing = method not in _READS if changes is None else changes

    def work(_: EffectCall) -> tuple[Response, Any]:
        sent = {"json": revealed(json), "content": data, "headers": revealed(headers)}
        response = send(method, url, timeout, changing=changing, **sent)
        good, words = _expected(expect)
        if response.status not in good:
            said = f"{method} {url} answered {response.status}, expected {words}: {first_lines(response.text)}"
            raise EffectFailed(said, response)
        return response, {**response.to_json(), "changed": changing}

    rules = {"idempotent": idempotent, "key": key, "pretend": pretend, "ignore": ignore, "decode": Response.of}
    return perform("http", request, f"{method} {url}", work, changes=changing, **rules)


def send(
    method: str, url: str, timeout: float, *, changing: bool = False, whole: float = math.inf, **sent: Any
) -> Response:
    """Make one request, of what httpx takes. Raises EffectFailed and Interrupted.

    `timeout` is for each part of it, in seconds; `whole` for all of it, however slowly the answer comes.
    """
    import time

    import httpx

    started = time.monotonic()
    try:
        # trust_env is off: proxy settings of the operator's shell must not affect a runbook.
        with httpx.Client(trust_env=False, timeout=timeout) as client, client.stream(method, url, **sent) as answer:
            content = bytearray()
            for part in answer.iter_bytes():
                # A character has up to four bytes; what is not kept is read all the same.
                content += part if len(content) < 4 * LIMIT else b""
                if time.monotonic() - started > whole:
                    raise httpx.ReadTimeout(f"it took longer than {whole:g} s")
    except (httpx.ConnectError, httpx.ConnectTimeout, httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise EffectFailed(f"{method} {url}: no connection: {error}", untouched=True) from error
    except httpx.HTTPError as error:
        if changing:
            raise Interrupted(f"{method} {url}: the answer was lost: {error or type(error).__name__}") from error
        raise EffectFailed(f"{method} {url}: {error or type(error).__name__}") from error
    text = content.decode(answer.encoding or "utf-8", errors="replace")[:LIMIT]
    return Response(method, url, answer.status_code, dict(answer.headers), text, time.monotonic() - started)


def _expected(expect: Expected) -> tuple[Collection[int], str]:
    """The statuses that mean success, and their words."""
    if expect is None:
        return range(400), "a status below 400"
    codes = [expect] if isinstance(expect, int) else sorted(expect)
    return codes, " or ".join(map(str, codes))
