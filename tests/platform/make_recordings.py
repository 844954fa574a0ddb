"""Make the recordings of every runbook here, of real runs on platforms of their own.

    make recordings

Each runbook runs well and runs into something, in an order in which a run prepares the next. The recordings are made
in a copy of the project and come into this one at the end, if everything went as it should. With the names of
environments as arguments, only what runs in these is made; `ao` is the AO process of dev, `releases` what goes to
staging, `configuration` what was changed by hand in dev, `infrastructure` dev itself, `monitoring` that of dev,
`protection` what keeps dev safe, `procedures` the checklists.
"""

import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.platform.conftest import PORTS, Platform, copy_project, free, free_base, give_back
from tests.platform.drills import CASES, VERSION, begin, front, waiting
from tests.platform.fleet import SSH, Fleet
from tests.support import ROOT
from tests.support.project import Project, until

BASES = {"dev": 18100, "training": 18200, "fleet": 18300}
STAGING = 18400
GOOD, NEXT, FAULTY, DAMAGED, SLOW = VERSION, "1.1.0", "1.2.0", "0.9.0", "1.5.0"
WATCH = ("-p", "canary_percent=50", "-p", "watch_for=8s")
"""Enough for a verdict with nobody there but the watch itself."""


TICKET = ("target=production", "ticket=OPS-1")
RELEASE = (*TICKET, f"version={NEXT}")
PROCEDURES: dict[str, tuple[tuple[str, ...], dict[str, str]]] = {
    "access-request": (("action=give", "person=carol@example.org", "ticket=OPS-1"), {}),
    "change-review": (("kind=plan", f"subject=promote-release-{'0' * 12}"), {"decision": "reviewed-right"}),
    "configuration-change": ((*TICKET, "what=slack_ms from 100 to 200"), {}),
    "deployment-checklist": (RELEASE, {"verdict": "went-back"}),
    "emergency-change": ((*TICKET, "reason=players cannot log in"), {"severity": "low"}),
    "on-call-handover": (("leaves=anna.example", "takes_over=ben.example"), {}),
    "release-communication": ((*RELEASE, "moment=stays", "impact=none", "begins=14:00 UTC", "change=new words"), {}),
    "rollback-decision": (RELEASE, {"decision": "keep", "restarts": "1"}),
    "secret-handling": ((*TICKET, "reason=change", "secret=db_password"), {}),
}
"""Each procedure with cells: its parameters, and the answers with which it fails. Without any, a step has a problem."""


class Recorder:
    """Runs runbooks in one environment and records how they end."""

    def __init__(self, project: Project, place: str) -> None:
        self.project = project
        self.place = place

    def run(self, runbook: str, *arguments: str, fails: bool = False) -> str:
        """Its run, which failed or not as it should."""
        done = self.project.opsbook("run", runbook, "-e", self.place, *arguments)
        # 1: nothing is left behind; 3: something is.
        assert done.code in ((1, 3) if fails else (0,)), f"{runbook}: {done.code}\n{done.out}\n{done.err}"
        return self.project.records()[-1].name

    def record(self, name: str, runbook: str, *arguments: str, fails: bool = False) -> None:
        run = self.run(runbook, *arguments, fails=fails)
        self.export(run, runbook, name)
        # One that left changes behind keeps its locks, and the next run needs them.
        for lock in json.loads(self.project.opsbook("locks", "--json").out):
            if lock["run"] == run:
                self.project.opsbook("unlock", lock["target"], "--reason", "it is recorded", check=True)

    def export(self, run: str, runbook: str, name: str) -> None:
        self.project.opsbook("records", "export", run, "--recording", name, check=True)
        print(f"{runbook} {name}", flush=True)


# -- what runs into something needs something that is wrong


@contextmanager
def taken(port: int, address: str = "127.0.0.1") -> Iterator[subprocess.Popen[bytes]]:
    """Somebody else has the port: a web server, under a name without a path of this machine."""
    command = ["python3", "-m", "http.server", "--bind", address, str(port)]
    with tempfile.TemporaryDirectory() as folder:
        null = subprocess.DEVNULL
        server = subprocess.Popen(command, executable=sys.executable, cwd=folder, stdout=null, stderr=null)
        try:
            until(lambda: not free(port, address), f"port {port} of {address}")
            yield server
        finally:
            server.kill()
            server.wait()


@contextmanager
def in_the_way(path: Path) -> Iterator[None]:
    """A folder stands where a program wants to make a file."""
    path.mkdir(parents=True)
    try:
        yield
    finally:
        path.rmdir()


def broken_source(root: Path) -> str:
    """A source with a handler that does not compile."""
    target = root / ".opsbook/sources/broken"
    shutil.copytree(root / "services/arcade", target, ignore=shutil.ignore_patterns("__pycache__"))
    handler = target / "handlers/score.lua"
    handler.write_text(handler.read_text(encoding="utf-8") + "\nfunction (\n", encoding="utf-8")
    return str(target.relative_to(root))


def damaged_release(root: Path) -> None:
    """A release of which half got lost on its way."""
    folder = root / ".opsbook/releases/arcade"
    whole = (folder / f"{GOOD}.tar.gz").read_bytes()
    (folder / f"{DAMAGED}.tar.gz").write_bytes(whole[: len(whole) // 2])


# -- the environments


def dev(made: Platform) -> None:
    """Builds, deploys in every way, and the platform itself."""
    recorder = Recorder(made, "dev")
    recorder.record("good", "platform-up")
    recorder.record("good", "build-release", "-p", f"version={GOOD}")
    broken = f"source={broken_source(made.root)}"
    recorder.record("failed", "build-release", "-p", "version=1.4.0", "-p", broken, fails=True)
    made.build(NEXT, "stock")
    made.build(FAULTY, "faulty")
    recorder.record("first", "deploy-service", "-p", f"version={GOOD}")
    recorder.record("good", "deploy-service", "-p", f"version={NEXT}")
    recorder.record("rolled-back", "deploy-service", "-p", f"version={FAULTY}", fails=True)
    recorder.record("good", "service-health")
    recorder.record("planned", "rotate-secret")
    key = ("-p", "calm=1s", "-p", "patience=20s", "--answer", "give-it-to-the-partners=done")
    recorder.record("good", "rotate-api-key", *key)
    recorder.record("good", "platform-down")
    recorder.record("failed", "deploy-service", "-p", f"version={GOOD}", fails=True)
    recorder.record("failed", "rotate-api-key", *key, fails=True)
    with taken(made.base):
        recorder.record("failed", "platform-up", fails=True)
    with in_the_way(made.root / ".opsbook/env/dev/run/supervisor.sock"):
        recorder.record("failed", "platform-down", fails=True)
    recorder.run("platform-up")
    recorder.record("blue-green", "deploy-service", "-p", f"version={GOOD}", "-p", "strategy=blue-green")
    recorder.record("canary", "deploy-service", "-p", f"version={NEXT}", "-p", "strategy=canary", *WATCH)


def serving(recorder: Recorder, made: Platform) -> None:
    """Bring the platform up, with a release that serves."""
    recorder.run("platform-up")
    made.have(GOOD)
    recorder.run("deploy-service", "-p", f"version={GOOD}")


def configuration(made: Platform) -> None:
    """Settings, flags and shares of dev that somebody changed by hand."""
    recorder = Recorder(made, "dev")
    serving(recorder, made)
    place = made.root / ".opsbook/env/dev"
    flag = ("-p", "flag=close-hint", "-p", "percent=10", "-p", "watch_for=8s")
    recorder.record("good", "set-flag", *flag)
    recorder.record("failed", "set-flag", "-p", "flag=close-hints", *flag[2:], fails=True)
    replace(place / "app/arcade-1/settings.json", '"workers": 4', '"workers": 9')
    recorder.record("good", "configure-service")
    replace(place / "caddy/traffic/share", "0", "20")
    replace(place / "flags/arcade.json", "10", "90")
    recorder.record("good", "sync-environment", *repairs("traffic", "flags"))
    recorder.run("platform-down")
    recorder.record("failed", "configure-service", fails=True)
    recorder.record("failed", "sync-environment", *repairs(), fails=True)


def infrastructure(made: Platform) -> None:
    """Dev, as it grows, is made again, and goes."""
    recorder = Recorder(made, "dev")
    serving(recorder, made)
    hosts = made.root / "playbooks/inventories/dev/hosts.yml"
    kept = hosts.read_text(encoding="utf-8")
    watch, yes = ("-p", "watch_for=8s"), ("--answer", "remove=yes")
    # The spare instances begin, at the places of two that end.
    for one, other in (("arcade-3", "arcade-7"), ("arcade-6", "arcade-8")):
        text = hosts.read_text(encoding="utf-8")
        hosts.write_text(exchanged(text, one, other), encoding="utf-8")
    recorder.record("good", "resize-environment", *watch)
    hosts.write_text(kept, encoding="utf-8")
    with taken(made.base + 13):
        recorder.record("rolled-back", "resize-environment", *watch, fails=True)
    recorder.run("resize-environment", *watch)
    recorder.record("good", "rebuild-environment", *yes)
    recorder.record("failed", "rebuild-environment", "-p", "backup=monday", *yes, fails=True)
    recorder.record("rolled-back", "decommission-environment", "--answer", "remove=no", fails=True)
    recorder.record("good", "decommission-environment", *yes)
    recorder.record("good", "provision-environment", "-p", "monitoring=false")
    recorder.record("failed", "provision-environment", "-p", "monitoring=false", fails=True)


def exchanged(text: str, one: str, other: str) -> str:
    """An inventory in which two hosts with a line each have changed places."""
    pattern = r"( +{}:\n +instance_port: .*\n)"
    (first,), (second,) = (re.findall(pattern.format(name), text) for name in (one, other))
    return text.replace(first, "\0").replace(second, first).replace("\0", second)


def repairs(*wanted: str) -> list[str]:
    """What somebody says who repairs these kinds of drift."""
    kinds = ("platform", "schema", "settings", "traffic", "flags")
    return [word for kind in kinds for word in ("--answer", f"{kind}={'yes' if kind in wanted else 'no'}")]


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path}: {text}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def training(made: Platform) -> None:
    """Each drill, mended and not, and the runbooks that mend them."""
    recorder = Recorder(made, "training")
    serving(recorder, made)
    damaged_release(made.root)
    for drill, case in CASES.items():
        (runbook,) = front(drill)["drill"]["solved_by"]
        # Long enough for a slow machine, and for what is tried in vain.
        run = begin(made, drill, par="20m")
        waiting(made, run)
        in_vain(recorder, drill)
        mend = recorder.run(runbook, *case.given)
        assert made.opsbook("attach", run).code == 0, made.opsbook("records", "show", run).out
        recorder.export(run, drill, "good")
        if drill != "slow-handler":
            recorder.export(mend, runbook, "good")
        recorder.record("rolled-back", drill, "-p", "par=1s", "--answer", "failed=roll-back", fails=True)
    recorder.run("platform-down")
    recorder.record("failed", "restore-configuration", fails=True)


def in_vain(recorder: Recorder, drill: str) -> None:
    """What somebody tries in a drill that cannot work."""
    if drill == "instance-down":
        recorder.record("failed", "restart-instance", "-p", "host=arcade-3", fails=True)
    elif drill == "bad-release":
        recorder.record("failed", "rollback-service", "-p", f"version={DAMAGED}", fails=True)
    elif drill == "wrong-weight":
        recorder.record("failed", "set-traffic", "-p", "colour=green", fails=True)
    elif drill == "database-down":
        recorder.record("failed", "service-health", fails=True)
        recorder.record("failed", "rotate-secret", fails=True)
        recorder.record("failed", "free-disk", fails=True)
        with in_the_way(recorder.project.root / ".opsbook/env/training/database/.s.PGSQL.5432.lock"):
            recorder.record("failed", "start-database", fails=True)


def ao(made: Platform) -> None:
    """The AO process of dev. Its releases are built here, except for the one that is recorded."""
    recorder = Recorder(made, "dev")
    with taken(made.base + 45):
        recorder.record("failed", "ao-up", fails=True)
    recorder.record("good", "ao-up")
    recorder.record("failed", "ao-health", fails=True)
    recorder.record("good", "ao-build", "-p", f"version={GOOD}")
    broken = ao_source(made.root, "broken", "function (")
    recorder.record("failed", "ao-build", "-p", "version=1.4.0", "-p", f"source={broken}", fails=True)
    for version, more in ((NEXT, "-- Nothing else."), (FAULTY, 'error("the table of players is missing")')):
        made.playbook("ao-build", version=version, source=ao_source(made.root, version, more))
    recorder.record("failed", "ao-deploy", "-p", f"version={FAULTY}", fails=True)
    recorder.record("good", "ao-deploy", "-p", f"version={GOOD}")
    recorder.record("good", "ao-record-result", "-p", "game=g-4711", "-p", "winner=Ann")
    recorder.record("failed", "ao-record-result", "-p", "game=g-4711", "-p", "winner=Bob", fails=True)
    recorder.record("good", "ao-upgrade", "-p", f"version={NEXT}")
    recorder.record("failed", "ao-upgrade", "-p", f"version={FAULTY}", fails=True)
    recorder.record("good", "ao-health")
    recorder.record("good", "ao-rollback", "-p", f"version={GOOD}")
    recorder.record("failed", "ao-rollback", "-p", f"version={DAMAGED}", fails=True)
    recorder.record("good", "ao-down")
    with in_the_way(made.root / ".opsbook/ao/dev/run/supervisor.sock"):
        recorder.record("failed", "ao-down", fails=True)


def monitoring(made: Platform) -> None:
    """The monitoring of dev."""
    recorder = Recorder(made, "dev")
    with taken(made.base + 30):
        recorder.record("failed", "start-monitoring", fails=True)
    serving(recorder, made)
    recorder.record("failed", "service-performance", fails=True)
    try:
        recorder.record("good", "start-monitoring")
        with made.load(20):
            time.sleep(20)  # so that there is something to measure
            recorder.record("good", "service-performance")
        recorder.record("good", "stop-monitoring")
        with in_the_way(made.root / ".opsbook/monitoring/dev/run/supervisor.sock"):
            recorder.record("failed", "stop-monitoring", fails=True)
    finally:
        give_back(made)
        made.run("stop-monitoring", "-p", "purge=true", check=True)


def protection(made: Platform) -> None:
    """Addresses of dev that guess keys, its backups and its certificate."""
    recorder = Recorder(made, "dev")
    serving(recorder, made)
    stranger = httpx.HTTPTransport(local_address="127.0.0.66")
    with httpx.Client(transport=stranger) as client:
        for _ in range(70):
            assert client.get(f"{made.url}/leaderboard").status_code == 401
    recorder.record("good", "block-addresses", "--answer", "addresses=127.0.0.66")
    recorder.record("failed", "block-addresses", "--answer", "addresses=127.0.0", fails=True)
    recorder.record("good", "database-sessions", "--answer", "sessions=")
    recorder.record("failed", "database-sessions", "--answer", "sessions=1@000000", fails=True)
    recorder.record("good", "back-up-database")
    recorder.record("good", "renew-certificate", "-p", "anyway=true")
    recorder.record("good", "machine-disk", "-p", "least=1")
    recorder.record("failed", "machine-disk", "-p", "least=99", fails=True)
    recorder.run("platform-down")
    recorder.record("failed", "back-up-database", fails=True)
    recorder.record("failed", "renew-certificate", fails=True)


def releases(source: Platform, made: Platform) -> None:
    """Releases that were deployed in dev, and are promoted to staging."""
    source.run("platform-up", check=True)
    made.run("platform-up", check=True)
    recorder = Recorder(made, "staging")
    watch = ("-p", "canary_percent=50", "-p", "watch_canary=8s", "-p", "watch_after=8s")
    for version, variant, name in ((GOOD, None, "first"), (NEXT, "stock", "good"), (SLOW, "slow", "rolled-back")):
        source.build(version, variant)
        source.run("deploy-service", "-p", f"version={version}", check=True)
        fails = name == "rolled-back"
        recorder.record(name, "promote-release", "-p", f"version={version}", *watch, fails=fails)
    hurry = ("-p", "reason=players cannot log in", "-p", "watch_after=8s")
    recorder.record("good", "emergency-deploy", "-p", f"version={GOOD}", *hurry)
    source.build(FAULTY, "faulty")
    late = ("--emergency", "players cannot log in")
    recorder.record("rolled-back", "emergency-deploy", "-p", f"version={FAULTY}", *hurry, *late, fails=True)


def procedures(made: Project) -> None:
    """Checklists, which somebody answers; they need no platform."""
    recorder = Recorder(made, "dev")
    for page, (parameters, wrong) in PROCEDURES.items():
        given = [word for each in parameters for word in ("-p", each)]
        asked = made.opsbook("run", page, "-e", "dev", *given).err
        answers = {
            name: value.replace("…", "none") for name, value in re.findall(r"--answer ([\w-]+)=(\S+)\.$", asked, re.M)
        }
        by_hand = [name for name, value in answers.items() if value == "done"]
        for name, more in (("good", {}), ("failed", wrong or {by_hand[-1]: "problem"})):
            told = [word for pair in (answers | more).items() for word in ("--answer", "=".join(pair))]
            recorder.record(name, page, *given, *told, fails=name == "failed")


def ao_source(root: Path, name: str, more: str) -> str:
    """A source of the AO process with another line of Lua at its end."""
    target = root / f".opsbook/sources/ao-{name}"
    shutil.copytree(root / "services/ao", target)
    with (target / "handlers/scoreboard.lua").open("a", encoding="utf-8") as lua:
        lua.write(f"{more}\n")
    return str(target.relative_to(root))


def fleet(made: Fleet, port: int) -> None:
    """Three hosts over SSH."""
    recorder = Recorder(made, "fleet")
    with taken(port, "127.0.0.3"):
        recorder.record("failed", "fleet-up", fails=True)
    recorder.run("fleet-down", "-p", "purge=true")
    recorder.record("good", "fleet-up")
    recorder.record("good", "publish-notice", "-p", "text=We are back at 14:00.")
    # The folder that one host publishes is gone.
    lost = made.file("edge-3", "notice.txt").parent.rename(made.root / "lost")
    answer = ("--answer", "failed=roll-back")
    recorder.record("rolled-back", "publish-notice", "-p", "text=We are back at 15:00.", *answer, fails=True)
    lost.rename(made.file("edge-3", ""))
    # Not another host: one that answered before fleet-down may be reached over the connection from then.
    made.crash("edge-2")
    recorder.record("failed", "publish-notice", "-p", "text=We are back at 15:00.", fails=True)
    made.repair()
    recorder.record("good", "fleet-down")
    with in_the_way(made.root / ".opsbook/env/fleet/run/supervisor.sock"):
        recorder.record("failed", "fleet-down", fails=True)


# -- all of it


@contextmanager
def up(root: Path, place: str) -> Iterator[Platform]:
    """An environment of the copy that may be brought up; taken down and removed at the end, whatever happened."""
    base = BASES[place]
    made = Platform(root, base if all(free(base + n) for n in PORTS) else free_base(), place)
    if made.base != base:
        made.move_ports()
    try:
        yield made
    finally:
        give_back(made)
        made.run("platform-down", "-p", "purge=true", check=True)


@contextmanager
def staging_up(root: Path) -> Iterator[Platform]:
    """Staging, whose ports no clone may move."""
    assert all(free(STAGING + n) for n in PORTS), "ports of staging are taken: opsbook run platform-down -e staging"
    made = Platform(root, STAGING, "staging")
    try:
        yield made
    finally:
        give_back(made)
        made.run("platform-down", "-p", "purge=true", check=True)


@contextmanager
def ao_ports(root: Path) -> Iterator[Platform]:
    """The environment of the AO process, which is taken down and removed at the end."""
    base = BASES["dev"]
    made = Platform(root, base if all(free(base + n) for n in range(40, 46)) else free_base())
    if made.base != base:
        made.move_ports()
    try:
        yield made
    finally:
        give_back(made)
        made.run("ao-down", "-p", "purge=true", check=True)


@contextmanager
def fleet_up(root: Path) -> Iterator[Fleet]:
    """The same of the three hosts, whose port is not moved."""
    port = BASES["fleet"] + SSH
    assert all(free(port, f"127.0.0.{n}") for n in (2, 3, 4)), f"port {port} is taken: opsbook run fleet-down -e fleet"
    made = Fleet(root)
    made.port = port
    try:
        yield made
    finally:
        made.resume()
        give_back(made)
        made.opsbook("run", "fleet-down", "-e", "fleet", "-p", "purge=true", check=True)


def main(places: list[str]) -> None:
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="opsbook-recordings-") as folder:
        root = Path(folder) / "project"
        copy_project(root)
        for old in root.glob("*/**/recordings"):
            shutil.rmtree(old)
        for name, place, work in (
            ("dev", "dev", dev),
            ("configuration", "dev", configuration),
            ("infrastructure", "dev", infrastructure),
            ("training", "training", training),
            ("monitoring", "dev", monitoring),
            ("protection", "dev", protection),
        ):
            if name in places:
                with up(root, place) as made:
                    work(made)
        if "procedures" in places:
            procedures(Project(root))
        if "releases" in places:
            with up(root, "dev") as source, staging_up(root) as made:
                releases(source, made)
        if "ao" in places:
            with ao_ports(root) as made:
                ao(made)
        if "fleet" in places:
            with fleet_up(root) as hosts:
                fleet(hosts, hosts.port)
        # Not those in stored trees.
        made_of = [path for top in ("runbooks", "procedures") for path in root.glob(f"{top}/**/recordings/*.json")]
        for path in sorted(made_of):
            target = ROOT / path.relative_to(root)
            target.parent.mkdir(exist_ok=True)
            shutil.copy(path, target)
    print(f"done in {time.monotonic() - started:.0f} s")


if __name__ == "__main__":
    main(
        sys.argv[1:]
        or [*BASES, "configuration", "infrastructure", "procedures", "releases", "ao", "monitoring", "protection"]
    )
