"""Which alerts of a service fire, as Alertmanager knows it: a gate of a promotion."""

from collections.abc import Mapping, Sequence
from typing import Any

import httpx

from opsbook import EffectFailed, effect, here


@effect(changes=False)
def firing(alertmanager: str, service: str, severities: Sequence[str], required: bool) -> dict[str, Any]:
    """The alerts of a service in this environment that fire and are neither silenced nor inhibited.

    `alertmanager` is its address; the rest is the environment's `settings: alerts:`. Returns `fire`, a name for each
    alert with what it is about, and `said`, the same on one line. Where Alertmanager does not answer, `fire` is None;
    with `required` it raises EffectFailed.
    """
    try:
        with httpx.Client(trust_env=False, timeout=5) as client:
            found = look(client, alertmanager, here.environment, service, severities)
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        why = f"Alertmanager at {alertmanager} does not say which alerts fire: {error}"
        if required:
            raise EffectFailed(why) from error
        return {"fire": None, "said": f"nobody watches: {why}"}
    return {"fire": found, "said": f"firing: {', '.join(found)}" if found else "none fires"}


def look(client: httpx.Client, alertmanager: str, place: str, service: str, severities: Sequence[str]) -> list[str]:
    """The same as `fire` of `firing`, outside of a run. Raises httpx.HTTPError, and ValueError if nobody can say."""

    def asked(*about: str) -> list[dict[str, Any]]:
        params: dict[str, Any] = {"active": True, "silenced": False, "inhibited": False}
        params["filter"] = [f'environment="{place}"', *about]
        answer = client.get(f"{alertmanager}/api/v2/alerts", params=params).raise_for_status()
        return [each["labels"] for each in answer.json()]

    # Without Prometheus no alert fires either.
    if not asked('alertname="Watchdog"'):
        raise ValueError(f"the alert Watchdog of {place}, which is always on, is missing: is Prometheus down?")
    return sorted({_name(each) for each in asked(f'service="{service}"', f'severity=~"{"|".join(severities)}"')})


def _name(labels: Mapping[str, str]) -> str:
    what = labels.get("instance") or labels.get("file")
    return labels["alertname"] + (f" ({what})" if what else "")


def none_began(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    """What the gate found, of two answers of `firing`.

    Raises EffectFailed if an alert fires that did not before, and if nobody watches any more.

    One that fired before does not count: what is promoted may be what mends it.
    """
    if now["fire"] is None and before["fire"] is not None:
        raise EffectFailed(f"since the promotion began, {now['said']}")
    if now["fire"] is None:
        return str(now["said"])
    if began := [each for each in now["fire"] if each not in (before["fire"] or [])]:
        raise EffectFailed(f"since the promotion began, these alerts fire: {', '.join(began)}")
    return "none fires" if not now["fire"] else f"fired before, and still do: {', '.join(now['fire'])}"
