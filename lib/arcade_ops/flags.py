"""Who gets a feature, as the instances see it."""

import httpx

from arcade_ops.identity import mark, owner, said_by
from opsbook import EffectFailed, effect

SAMPLE = 200
"""Made-up players who are asked for: enough to tell a share within ten per cent."""


@effect(changes=False)
def share_of(flag: str, balancer: str) -> dict[str, float]:
    """The share of the players for whom a flag is on, in per cent, by instance of the pool.

    `balancer` is the load balancer's state page. Raises EffectFailed if one does not answer or has no such flag.
    """
    with httpx.Client(trust_env=False, timeout=5) as client:
        try:
            state = client.get(balancer).raise_for_status().json()
            return {each["name"]: _share(client, each["url"], flag) for each in state["instances"] if each["pool"]}
        except (httpx.HTTPError, ValueError, LookupError, TypeError) as error:
            raise EffectFailed(f"the instances do not say who gets {flag}: {error!r}") from error


def _share(client: httpx.Client, url: str, flag: str) -> float:
    given = 0
    for number in range(SAMPLE):
        answer = client.get(f"{url}/flags", params={"player": f"nobody-{number}"}).raise_for_status()
        if (said := said_by(answer.headers, None)) != mark():
            raise EffectFailed(f"{url} is answered by {owner(said)}")
        given += bool(answer.json()[flag])
    return 100 * given / SAMPLE
