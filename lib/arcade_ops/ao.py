"""The AO process as its readers see it: they have no key, and change nothing."""

import json
from typing import Any

import httpx

from opsbook import EffectFailed, effect

SECONDS = 30
"""How long a reader waits: an upgrade is one message among others, and they take turns."""


@effect(changes=False)
def leaderboard(process: str, compute_unit: str) -> dict[str, Any]:
    """Who leads, by the process at the URL of its compute unit: `Games`, and `Leaderboard` with rank, player and wins.

    Raises EffectFailed if it does not answer.
    """
    tags = [{"name": "Action", "value": "Leaderboard"}, {"name": "Limit", "value": "5"}]
    asked = {"Id": "", "Owner": "reader", "Target": process, "Data": "", "Tags": tags}
    url = f"{compute_unit}/dry-run?process-id={process}"
    try:
        answer = httpx.post(url, json=asked, trust_env=False, timeout=SECONDS).raise_for_status().json()
        if answer.get("Error") or not answer.get("Messages"):
            raise EffectFailed(f"the process {process} does not answer: {answer.get('Error', 'no reply')}")
        return dict(json.loads(answer["Messages"][0]["Data"]))
    except (httpx.HTTPError, ValueError, AttributeError, TypeError, LookupError) as error:
        raise EffectFailed(f"the process {process} does not answer at {compute_unit}: {error}") from error
