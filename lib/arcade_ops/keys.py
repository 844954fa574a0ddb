"""Whether partners still use an API key, as the instances count it."""

import time
from collections import Counter

import httpx
from prometheus_client.parser import text_string_to_metric_families

from arcade_ops.identity import mark, owner, said_by
from opsbook import EffectFailed, effect


@effect(changes=False)
def unused(balancer: str, newest: str, calm: float, patience: float) -> dict[str, int]:
    """Wait until nobody has used another API key than `newest` for `calm` seconds; how often each was used meanwhile.

    `balancer` is the load balancer's state page. Raises EffectFailed if somebody still does after `patience` seconds,
    and if an instance does not answer.
    """
    until = time.monotonic() + patience
    with httpx.Client(trust_env=False, timeout=5) as client:
        first = before = _used(client, balancer)
        quiet = time.monotonic()
        while time.monotonic() - quiet < calm:
            time.sleep(min(0.5, calm))
            now = _used(client, balancer)
            others = {name: count - before[name] for name, count in now.items() if name != newest}
            if any(count > 0 for count in others.values()):
                quiet = time.monotonic()
                if quiet > until:
                    named = ", ".join(f"{name} ({count} times)" for name, count in others.items() if count > 0)
                    raise EffectFailed(f"these keys are still used: {named}")
            before = now
    return {name: now[name] - first[name] for name in now}


def _used(client: httpx.Client, balancer: str) -> Counter[str]:
    """How often each key was used since its instance started."""
    found: Counter[str] = Counter()
    try:
        state = client.get(balancer).raise_for_status()
        if (said := said_by(state.headers, state.json())) != mark():
            raise EffectFailed(f"the load balancer at {balancer} is one of {owner(said)}")
        for instance in (each for each in state.json()["instances"] if each["pool"]):
            text = client.get(f"{instance['url']}/metrics").raise_for_status().text
            for family in text_string_to_metric_families(text):
                for sample in family.samples:
                    if sample.name == "arcade_logins_total" and sample.labels["outcome"] == "ok":
                        found[sample.labels["key"]] += int(sample.value)
    except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
        raise EffectFailed(f"nobody can say which keys are used: {error!r}") from error
    return found
