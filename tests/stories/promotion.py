"""A release goes from dev to staging to production, and a bad one does not.

    python -m tests.stories.promotion

Everything is real: three environments of the reference platform in a copy of this project under git, two people with
keys, and players who never stop. It prints what it does, and fails where something is not as it should be.
"""

import errno
import json
import os
import re
import shutil
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import psycopg
from psycopg.conninfo import make_conninfo

from tests.platform import quick
from tests.platform.conftest import Platform, copy_project, free_base, give_back
from tests.support.project import Result, until
from tests.support.team import Team, allow, make_keys

PLACES = ("dev", "staging", "production")
GOOD, BAD = "1.0.0", "1.1.0"
LABEL = ("--label", "ticket=OPS-1")
WATCH = ("-p", "canary_percent=30", "-p", "watch_canary=6s", "-p", "watch_after=4s")
"""Enough for a verdict with the players of the story."""
NOBODY = 65534
"""The number of the user and of the group that own nothing."""
LONGEST_BAD = 30
"""Seconds after which no player may get a bad answer any more."""


class Environment(Platform):
    """One of the three, as Ann works in it."""

    def __init__(self, team: Team, place: str, base: int) -> None:
        super().__init__(team.root, base, place)
        self.team = team
        self.env = team.by("ann").env

    def promote(self, version: str, *more: str) -> Result:
        return self.done("promote-release", "-p", f"version={version}", *WATCH, *more)

    def done(self, runbook: str, *more: str) -> Result:
        """A run; in production Bob has approved its plan first, unless it is an emergency."""
        label = LABEL if self.place == "production" else ()
        asked = (runbook, "-e", self.place, *(each for each in more if each != "--yes"))
        if label and "--emergency" not in more:
            plan = self.opsbook("plan", *asked, *label, "--request", "--json")
            if plan.code:
                return plan
            self.team.by("bob").opsbook("approve", json.loads(plan.out)["id"], "--yes", check=True)
        return self.opsbook("run", *asked, *label, "--yes")


def tell(team: Team, dev: Environment, staging: Environment, production: Environment) -> None:
    """The story, where nothing is deployed yet. Raises AssertionError where it goes another way."""
    with ExitStack() as players:
        say("Ann builds 1.0.0 and brings it from dev to staging to production")
        dev.build(GOOD)
        ok(production.promote(GOOD), 4, "was never put into staging")
        ok(dev.deploy(GOOD))
        ok(staging.promote(GOOD))
        ok(production.promote(GOOD))
        assert where(team) == dict.fromkeys(PLACES, GOOD)
        say(", ".join(f"{each.place} {memory(each):.0f} MiB" for each in (dev, staging, production)))
        separate(dev, staging, production)
        out_of_reach(dev, staging, production)
        seen = [players.enter_context(each.load(rate=60)) for each in (staging, production)]

        say("1.1.0 fails for players who register again; dev has none and does not see it")
        dev.build(BAD, "flaky")
        ok(dev.deploy(BAD))
        say("staging's gate does: it is taken back; Bob cannot deploy there meanwhile")
        with ThreadPoolExecutor(1) as pool:
            ann = pool.submit(staging.promote, BAD)
            until(lambda: "staging/arcade" in team.opsbook("locks").out, "Ann's run holds the lock")
            bob = team.by("bob").opsbook("run", "rollback-service", "-e", "staging", "-p", f"version={GOOD}", "--yes")
            ok(bob, 4, "ann@")
            ok(ann.result(), 1, "is not good enough")
        assert staging.summary()["outcome"] == "rolled-back"
        ok(production.promote(BAD), 4, "was never put into staging")
        say("Ann forces it into production at night; its watch takes it back")
        why = "the tournament needs it"
        hurry = ("-p", f"version={BAD}", "-p", f"reason={why}", "-p", "watch_after=4s", "--emergency", why)
        ok(production.done("emergency-deploy", *hurry), 1, "is not good enough")
        assert production.summary()["outcome"] == "rolled-back"
        assert "was never put into staging" in production.summary()["not_promoted"]
        forced = production.records()[-1].name
        bad = bad_seconds(production.records()[-1])
        assert 0 < bad < LONGEST_BAD, bad
        say(f"players of production got bad answers for {bad} s")
    judge(seen)
    assert forced in team.opsbook("review", check=True).out, "the follow-up is open"
    ok(team.opsbook("review", forced, "--note", "seen"), 4)
    team.by("bob").opsbook("review", forced, "--note", "It had to wait.", check=True)
    left = {"dev": BAD, "staging": GOOD, "production": GOOD}
    assert where(team) == status(team) == left
    stopped = [
        each["gates"] for each in json.loads(team.opsbook("releases", "show", BAD, "--json", check=True).out)["runs"]
    ]
    assert any(each.get("canary") == "not passed" or each.get("release") == "not passed" for each in stopped), stopped
    verified = team.opsbook("records", "verify", "--all", check=True).out
    assert re.search(r"^[0-9]+ records are as they were sealed, 0 are not", verified), verified
    say(team.opsbook("releases", "where", check=True).out.rstrip())


def judge(seen: list[dict[str, Any]]) -> None:
    """No player lost anything but to the bad release, and it never had more than its share."""
    for each in seen:
        assert set(each["by_failure"]) <= {"500"}, each
        assert each["failed"] < each["requests"] * 0.1, each
        say(f"{each['requests']} requests, {each['failed']} answered by the bad release with an error")


def bad_seconds(record: Path) -> float:
    """From the first bad answer to the last one, as the journal of the run has it."""
    (found,) = re.findall(r'"bad_seconds":\s*([0-9.]+)', (record / "journal.jsonl").read_text(encoding="utf-8"))
    return float(found)


def ok(done: Result, code: int = 0, sentence: str = "") -> None:
    said = " ".join((done.out + done.err).split())
    assert done.code == code, f"{done.code}, not {code}\n{done.out}\n{done.err}"
    assert sentence in said, said


def separate(*found: Environment) -> None:
    """Every credential of an environment opens its own service, and that of no other one."""
    for each in found:
        each.playbook("api-key", step="add", run="story")
    for opens in (opens_database, takes_api_key, trusts_certificate):
        opened = {(mine.place, other.place) for mine in found for other in found if opens(mine, other)}
        assert opened == {(each.place, each.place) for each in found}, (opens.__name__, opened)


def opens_database(mine: Environment, other: Environment) -> bool:
    given = make_conninfo(host=str(other.database_folder), dbname="arcade", **mine.credentials())
    try:
        psycopg.connect(given).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error)
        return False
    return True


def takes_api_key(mine: Environment, other: Environment) -> bool:
    key = (folder(mine) / "secrets/api.key").read_text(encoding="utf-8").strip()
    answer = httpx.get(f"{other.url}/leaderboard", headers={"Authorization": f"Bearer {key}"}, trust_env=False)
    assert answer.status_code in (200, 401), answer.text
    return answer.status_code == 200


def trusts_certificate(mine: Environment, other: Environment) -> bool:
    """Whether a client that trusts the authority of one takes the certificate of the other."""
    trusted = ssl.create_default_context(cafile=str(folder(mine) / "authority.pem"))
    try:
        return httpx.get(f"https://127.0.0.1:{other.base + 1}/readyz", verify=trusted, trust_env=False).is_success
    except httpx.ConnectError as error:
        assert "CERTIFICATE_VERIFY_FAILED" in str(error)
        return False


def out_of_reach(*found: Environment) -> None:
    """Another user of the machine opens none of the sockets by which an environment is operated."""
    if os.geteuid() != 0:
        return  # only root can be somebody else
    knock = "import socket, sys; print(socket.socket(socket.AF_UNIX).connect_ex(sys.argv[1]))"
    for path in (path for each in found for path in sorted(each.sockets.glob("*.sock"))):
        command = ["/usr/bin/python3", "-c", knock, str(path)]
        done = subprocess.run(command, user=NOBODY, group=NOBODY, extra_groups=(), capture_output=True, check=True)
        assert int(done.stdout) == errno.EACCES, path


def folder(each: Environment) -> Path:
    return each.root / f".opsbook/env/{each.place}"


def memory(each: Environment) -> float:
    """What the processes of an environment need, in MiB; what several share is counted once."""
    mine = (p for p in psutil.process_iter(["environ"]) if str(folder(each)) in (p.info["environ"] or {}).values())
    return float(sum(process.memory_full_info().pss for process in mine)) / 2**20


def where(team: Team) -> dict[str, str]:
    told = json.loads(team.opsbook("releases", "where", "--json", check=True).out)
    assert not any(each["unsure"] for each in told), told
    return {each["environment"]: each["version"] for each in told}


def status(team: Team) -> dict[str, str]:
    """Which release each environment has, by `env status`; everything that is asked there answers."""
    told = {each["name"]: each for each in json.loads(team.opsbook("env", "status", "--json").out)}
    answered = {place: all(each["good"] for each in told[place]["health"]) for place in PLACES}
    assert answered == dict.fromkeys(PLACES, True), told
    return {place: Path(told[place]["releases"][0]["file"]).name.removesuffix(".tar.gz") for place in PLACES}


_began = time.monotonic()


def say(what: str) -> None:
    print(f"{time.monotonic() - _began:5.0f} s  {what}", flush=True)


@contextmanager
def told(place: Path, keys: Path) -> Iterator[tuple[Team, Environment, Environment, Environment]]:
    """The team and its three environments, up; taken down at the end, whatever happened."""
    root = place / "project"
    copy_project(root)
    quick.quicken(root)
    quick.without(root, *quick.SPARE)
    team = Team(root, {"SSH_AUTH_SOCK": ""}, keys)
    found = [Environment(team, place, 0) for place in PLACES]
    for each in found:
        each.base = free_base(*(other.base for other in found))
        given(each)
    allow(team, "ann", "bob")
    team.write(".gitignore", "records/\n.opsbook/\n/stop*\n__pycache__/\n")
    team.git("init", "--quiet", "--initial-branch", "main")
    team.commit("Begin")
    with ExitStack() as down:
        for each in found:
            down.callback(taken_down, each)
            ok(each.done("platform-up"))
        dev, staging, production = found
        yield team, dev, staging, production
    team.end()


def given(each: Environment) -> None:
    """Ports that are free here, no freeze on the day of the test, and no stay before production."""
    path = each.root / f"playbooks/inventories/{each.place}/environment.yml"
    text = re.sub(r"(?m)^ports: \d+", f"ports: {each.base}", path.read_text(encoding="utf-8"))
    text = re.sub(r"(?m)^freezes: .*\n", "", text).replace("soak: 10m", "soak: 0s")
    # Without players, and with other tests beside it, the watch itself sends few.
    text = text.replace("minimum_messages: 50", "minimum_messages: 20")
    path.write_text(text, encoding="utf-8")


def taken_down(each: Environment) -> None:
    give_back(each)
    label = LABEL if each.place == "production" else ()
    emergency = ("--emergency", "the story is over") if label else ()
    done = each.opsbook("run", "platform-down", "-e", each.place, "-p", "purge=true", "--yes", *label, *emergency)
    assert done.code == 0, done.out + done.err


def main() -> int:
    with (
        tempfile.TemporaryDirectory(prefix="opsbook-promotion-") as made,
        told(Path(made), make_keys(Path(made) / "keys")) as found,
    ):
        tell(*found)
    say("it went as it should")
    return 0


if __name__ == "__main__":
    assert shutil.which("git") and shutil.which("ssh-keygen"), "git and ssh-keygen have to be there"
    sys.exit(main())
