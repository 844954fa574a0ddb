"""Rolling, blue-green and canary under load: what is lost, who gets how much, and how each of them goes back."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.platform.conftest import RELEASES, Platform

pytestmark = pytest.mark.slow

GOOD = ("1.0.0", "1.1.0")
OTHER = {"blue": "green", "green": "blue"}


@pytest.fixture(scope="module")
def deployed(platform: Platform) -> Platform:
    """Two good releases and the broken ones built, the first good one served."""
    platform.have(*RELEASES)
    platform.serve(GOOD[0])
    return platform


def deploy(platform: Platform, version: str, strategy: str, *more: str) -> dict[str, Any]:
    """The summary of a deploy."""
    platform.run("deploy-service", "-p", f"version={version}", "-p", f"strategy={strategy}", *more)
    return platform.summary()


def now_and_next(platform: Platform) -> tuple[str, str]:
    """The good version that serves, and the other one."""
    (now,) = platform.versions()
    return now, GOOD[1 - GOOD.index(now)]


def requests(url: str) -> int:
    """How many requests an instance has answered, as it says itself, without the one that asks."""
    families = text_string_to_metric_families(httpx.get(f"{url}/metrics", timeout=60, trust_env=False).text)
    samples = [sample for family in families for sample in family.samples]
    return int(sum(sample.value for sample in samples if sample.name == "arcade_http_requests_total"))


def pools(platform: Platform) -> tuple[list[str], list[str]]:
    """URLs of the instances in the pool: of the colour that serves, and of the other one."""
    traffic = platform.traffic()
    pool = [each for each in traffic["instances"] if each["pool"]]
    stable = [each["url"] for each in pool if each["colour"] == traffic["serving"]]
    return stable, [each["url"] for each in pool if each["url"] not in stable]


class Counts:
    """What the instances themselves answered while a canary had a share, read again and again."""

    def __init__(self, platform: Platform) -> None:
        self._platform = platform
        self._stop = threading.Event()
        self._rounds: list[tuple[int, int]] = []
        self.failure: Exception | None = None

    def watch(self) -> None:
        try:
            while not self._stop.wait(0.2):
                stable, canary = pools(self._platform)
                if self._platform.traffic()["share"] and canary:
                    self._round(stable, canary)
        except Exception as error:
            self.failure = error

    def _round(self, stable: list[str], canary: list[str]) -> None:
        # Each instance also counted the earlier rounds of this.
        asked = len(self._rounds)
        with_canary = sum(requests(url) - asked for url in canary)
        self._rounds.append((sum(requests(url) - asked for url in stable), with_canary))

    def stop(self) -> None:
        self._stop.set()

    def share(self) -> tuple[float, int]:
        """The canary's share of the requests between the first and the last round, and how many there were."""
        assert self.failure is None, self.failure
        (stable, canary), (stable_after, canary_after) = self._rounds[0], self._rounds[-1]
        total = stable_after - stable + canary_after - canary
        return (canary_after - canary) / total, total


@contextmanager
def counted(platform: Platform) -> Iterator[Counts]:
    counts = Counts(platform)
    thread = threading.Thread(target=counts.watch)
    thread.start()
    try:
        yield counts
    finally:
        counts.stop()
        thread.join()


def assert_settled(platform: Platform, version: str, colour: str) -> None:
    """One colour serves the version, and the other one is stopped."""
    traffic = platform.traffic()
    assert (traffic["serving"], traffic["share"]) == (colour, 0)
    assert platform.versions() == {version}
    for instance in traffic["instances"]:
        if instance["colour"] == colour:
            assert instance["pool"], instance
            assert httpx.get(f"{instance['url']}/version", timeout=60, trust_env=False).json()["version"] == version
        else:
            assert not instance["pool"], instance
            with pytest.raises(httpx.ConnectError):
                httpx.get(instance["url"], trust_env=False)


# -- the share


@pytest.fixture
def canary(deployed: Platform) -> Iterator[str]:
    """A canary stands by, with no share yet: its version."""
    _, other = now_and_next(deployed)
    target = {"service": "arcade", "version": other}
    deployed.playbook("release", **target)
    deployed.playbook("standby", canary=True, **target)
    yield other
    deployed.playbook("retire", **target)


def test_a_canary_and_its_share(deployed: Platform, canary: str) -> None:
    """One test for all that a standing canary shows: to start it again for each would take minutes."""
    _a_tenth_of_a_thousand_is_counted_where_it_arrives(deployed)
    _every_share_is_exact(deployed, canary)
    _too_little_traffic_is_no_verdict(deployed)
    _who_fails_whom(deployed, canary)


def _a_tenth_of_a_thousand_is_counted_where_it_arrives(platform: Platform) -> None:
    with platform.load() as seen:
        platform.playbook("share", percent=10)
        stable, canary = pools(platform)
        assert (len(stable), len(canary)) == (2, 1)
        before = [requests(url) for url in stable + canary]
        looks = 0
        counts = [0]
        while sum(counts) < 1000:
            time.sleep(2)
            looks += 1
            counts = [requests(url) - was - looks for url, was in zip(stable + canary, before, strict=True)]
        # And a share that changes under load loses nothing.
        share = platform.root / ".opsbook/env/dev/caddy/traffic/share"
        for turn in range(40):
            write(share, str((50, 3, 25, 0, 1)[turn % 5]))
            time.sleep(0.05)
        platform.playbook("share", percent=0)
    assert sum(counts) >= 1000
    assert 0.08 <= counts[-1] / sum(counts) <= 0.12, counts
    assert seen["failed"] == 0, seen


def _every_share_is_exact(platform: Platform, version: str) -> None:
    """Of each hundred requests the canary gets as many as its share says, spread evenly."""
    for percent in (1, 37, 50, 10):
        platform.playbook("share", percent=percent)
        with httpx.Client(base_url=platform.url, timeout=60, trust_env=False) as client:
            answers = [client.get("/version").json()["version"] for _ in range(200)]
        assert answers.count(version) == 2 * percent
        if percent == 37:  # which nobody used before: its first request is the first of a hundred
            assert all(answers[:n].count(version) == n * percent // 100 for n in range(200))


def _too_little_traffic_is_no_verdict(platform: Platform) -> None:
    platform.page(
        """\
        ## Steps

        ### Watch

        ```python
        from arcade_ops.canary import watch
        from opsbook import here
        limits = {**here.settings["canary"], "probes_per_second": 0}
        watch(here.url("arcade"), here.settings["balancer"], 1, limits)
        ```
        """,
        name="watch-only",
    )
    assert platform.run("watch-only").code == 1
    assert "too little traffic for a verdict: 0 messages of the 50 that are needed" in platform.summary()["reason"]


def _who_fails_whom(platform: Platform, version: str) -> None:
    """Requests of a canary that is gone go to the instances that serve. Never the other way."""
    platform.playbook("share", percent=50)
    stable, canary = pools(platform)
    names = {each["url"]: each["name"] for each in platform.traffic()["instances"]}
    files = {url: platform.root / ".opsbook/env/dev/caddy/pool" / names[url] for url in stable + canary}
    with httpx.Client(base_url=platform.url, timeout=60, trust_env=False) as client:
        nowhere(files[canary[0]])
        assert version not in {client.get("/version").json()["version"] for _ in range(20)}
        somewhere(files[canary[0]])
        for url in stable:
            nowhere(files[url])
        answers = [client.get("/version") for _ in range(10)]
        for url in stable:
            somewhere(files[url])
    assert [each.json()["version"] for each in answers if each.is_success] == [version] * 5
    assert {each.status_code for each in answers if not each.is_success} <= {502, 503}


def nowhere(file: Path) -> None:
    """Let the load balancer look for this instance where nobody listens."""
    write(file, "127.0.0.9")


def somewhere(file: Path) -> None:
    write(file, "127.0.0.1")


def write(file: Path, text: str) -> None:
    """Whole at once, as the playbooks do."""
    scratch = file.with_name(f".{file.name}")
    scratch.write_text(text)
    scratch.rename(file)


# -- deploys


def test_blue_green_forth_and_back(deployed: Platform) -> None:
    """The way back is rollback-service, on the colour that serves by then."""
    now, other = now_and_next(deployed)
    colour = deployed.traffic()["serving"]
    with deployed.load(rate=80) as seen:
        assert deploy(deployed, other, "blue-green")["outcome"] == "succeeded"
        assert_settled(deployed, other, OTHER[colour])
        deployed.run("rollback-service", "-p", f"version={now}", check=True)
        assert_settled(deployed, now, OTHER[colour])
    assert seen["failed"] == 0, seen
    assert set(seen["by_version"]) == {now, other}


def test_a_release_that_does_not_start_never_gets_traffic(deployed: Platform) -> None:
    now, _ = now_and_next(deployed)
    colour = deployed.traffic()["serving"]
    with deployed.load(rate=80) as seen:
        told = deploy(deployed, "1.4.0", "blue-green")
    assert told["outcome"] == "rolled-back"
    assert "Steps, Start the version on idle instances" in told["reason"]
    assert seen["failed"] == 0, seen
    assert set(seen["by_version"]) == {now}
    assert_settled(deployed, now, colour)


def test_a_bad_release_is_left_at_once_with_blue_green(deployed: Platform) -> None:
    """It took all traffic; the colour from before still runs and takes it back without a restart."""
    now, _ = now_and_next(deployed)
    colour = deployed.traffic()["serving"]
    stable, _ = pools(deployed)
    before = [requests(url) for url in stable]
    with deployed.load(rate=80) as seen:
        told = deploy(deployed, "1.2.0", "blue-green")
    assert told["outcome"] == "rolled-back"
    assert "Steps, Players can play" in told["reason"]
    assert set(seen["by_failure"]) <= {"500"}, seen
    assert all("leaderboard.lua" in error for error in seen["errors"]), seen
    assert "1.2.0" in seen["by_version"]
    assert_settled(deployed, now, colour)
    # A restart would have begun to count anew.
    assert all(requests(url) > was + 50 for url, was in zip(stable, before, strict=True))


def test_a_good_canary_goes_on(deployed: Platform) -> None:
    _, other = now_and_next(deployed)
    colour = deployed.traffic()["serving"]
    with deployed.load(rate=80) as seen:
        told = deploy(deployed, other, "canary", "-p", "watch_for=6s", "-p", "canary_percent=25")
    assert told["outcome"] == "succeeded", told["reason"]
    assert seen["failed"] == 0, seen
    assert_settled(deployed, other, colour)
    verdict = watched(deployed)
    assert verdict["good"] is True
    assert verdict["canary"]["messages"] >= 50
    assert verdict["canary"]["p95_ms"] > 0
    assert verdict["stable"]["messages"] > verdict["canary"]["messages"]


def test_a_bad_canary_never_gets_more_than_its_share(deployed: Platform) -> None:
    now, _ = now_and_next(deployed)
    colour = deployed.traffic()["serving"]
    with counted(deployed) as counts, deployed.load(rate=80) as seen:
        told = deploy(deployed, "1.3.0", "canary", "-p", "watch_for=20s")
    assert told["outcome"] == "rolled-back"
    assert "of its messages failed" in told["reason"]
    share, total = counts.share()
    assert total > 300
    assert 0 < share < 0.12
    # What was lost is what the bad handler itself answered, and nothing else.
    assert 0 < seen["failed"] == seen["by_failure"]["500"], seen
    assert all("players_pkey" in error for error in seen["errors"]), seen
    assert seen["by_version"]["1.3.0"] + seen["failed"] <= 0.1 * seen["requests"]
    assert_settled(deployed, now, colour)
    verdict = watched(deployed)
    assert verdict["good"] is False
    assert verdict["canary"]["errors"] > 0
    assert verdict["stable"]["errors"] == 0


def watched(platform: Platform) -> dict[str, Any]:
    """The verdict, as the journal has it."""
    results = [event["data"] for event in platform.events() if event["type"] == "effect-result"]
    (verdict,) = [each["result"] for each in results if "arcade_ops.canary.watch" in each["key"]]
    return dict(verdict)
