"""Stop runs of the platform behind an effect, go on with them, and look at what they leave."""

import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

import httpx

from tests.platform.conftest import Platform
from tests.support import ROOT
from tests.support.project import Project, assert_all_gone

VERSIONS = ("1.0.0", "1.1.0")
"""No part of an address: one is put for the other in what is compared."""
WATCH = ("-p", "canary_percent=50", "-p", "watch_for=8s")
"""Enough for a verdict with nobody there but the watch itself."""
STOPPER = ROOT / "tests/support/stop_after.py"


def stopped_at(project: Project, number: int, *arguments: str) -> str | None:
    """Run, killed behind that effect; its id, or None if it had fewer."""
    command = [sys.executable, str(STOPPER), str(number), *arguments]
    done = subprocess.run(
        command,
        cwd=project.root,
        env=project.environment(),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=1200,
        check=False,
    )
    assert done.returncode in (0, -9), done.stdout + done.stderr
    run = project.records()[-1].name
    assert_all_gone(run)
    return run if done.returncode == -9 else None


def gone_on(project: Project, run: str) -> None:
    """Go on with the run to its end."""
    done = project.opsbook("resume", run, "--accept-changes")
    assert done.code == 0, done.out + done.err
    told = project.summary()
    assert told["run"] == run and told["outcome"] == "succeeded"
    twice = [e["key"] for e in told["effects"] if e["changes"] and e["status"] != "succeeded"]
    assert not twice and not told["unknown"]
    assert project.opsbook("records", "verify", run).code == 0
    assert project.opsbook("locks").out == "Nothing is locked.\n"
    assert_once(project)


def assert_once(project: Project) -> None:
    """Nothing that succeeded was asked for a second time: one intent for each changing effect."""
    intents = [e["data"] for e in project.events() if e["type"] == "effect-intent" and e["data"]["changes"]]
    keys = [data["key"] for data in intents]
    assert sorted(keys) == sorted(set(keys))


def everywhere(project: Project, arguments: Callable[[], tuple[str, ...]]) -> Iterator[int]:
    """Stop behind one effect after another until there is none, and go on each time; gives the place after each end."""
    for number in count(1):
        run = stopped_at(project, number, *arguments())
        if run is None:
            assert number > 1
            return
        gone_on(project, run)
        yield number


def other_version(platform: Platform) -> str:
    """The one of the two that does not serve."""
    (now,) = platform.versions()
    return VERSIONS[1 - VERSIONS.index(now)]


def deploying(version: str, strategy: str) -> tuple[str, ...]:
    """The arguments that deploy a version."""
    given = ("-p", f"version={version}", "-p", f"strategy={strategy}", *WATCH)
    return ("run", "deploy-service", "-e", "dev", *given)


def round_trip(platform: Platform, strategy: str) -> None:
    """Deploy and undo: who serves, the load balancer's configuration and every row are as they were."""
    before = exactly(platform)
    version = other_version(platform)
    platform.opsbook(*deploying(version, strategy), check=True)
    assert platform.versions() == {version}
    done = platform.opsbook("rollback", "last")
    assert done.code == 0, done.out + done.err
    assert platform.summary()["outcome"] == "rolled-back"
    after = exactly(platform)
    if strategy != "rolling":
        # Which of the two colours serves may be another one; its version and its weight may not.
        before.pop("traffic"), after.pop("traffic")
    assert after == before


# -- the state of things


def settled(platform: Platform) -> dict[str, Any]:
    """What a deploy leaves, without which colour it is: versions, pools, what runs, what is current."""
    traffic = platform.traffic()
    colours: dict[str, Any] = {}
    for instance in traffic["instances"]:
        try:
            serves = httpx.get(f"{instance['url']}/version", timeout=60, trust_env=False).json()["version"]
        except httpx.ConnectError:
            serves = "stopped"
        role = "serving" if instance["colour"] == traffic["serving"] else "idle"
        colours.setdefault(role, []).append((serves, instance["pool"]))
    found = {role: sorted(map(str, each)) for role, each in colours.items()}
    return {"versions": platform.versions(), "share": traffic["share"], **found}


def exactly(platform: Platform) -> dict[str, Any]:
    """What a rollback has to bring back: who serves, weights, the load balancer's configuration, rows."""
    seen = {"traffic": platform.traffic(), "versions": platform.versions()}
    return {**seen, "caddy": platform.caddy(), "rows": rows(platform)}


def rows(platform: Platform) -> dict[str, Any]:
    """Every table of the database, whole."""
    import psycopg
    from psycopg.conninfo import make_conninfo

    where = make_conninfo(host=str(platform.database_folder), dbname="arcade", **platform.credentials())
    with psycopg.connect(where) as connection:
        tables = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1"
        ).fetchall()
        return {name: connection.execute(f'SELECT * FROM "{name}" ORDER BY 1').fetchall() for (name,) in tables}
