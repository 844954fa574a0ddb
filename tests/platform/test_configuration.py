"""Settings and feature flags of the real service, under load: one instance at a time, undone, and never half."""

import configparser
import hashlib
import json
import re
import shutil
import sysconfig
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from xmlrpc.client import ServerProxy

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo
from supervisor.xmlrpc import SupervisorTransport  # type: ignore[import-untyped]

from tests.platform.conftest import Platform
from tests.support.project import until

pytestmark = pytest.mark.slow

COMMON = {"workers": 4, "max_waiting": 256, "handler_memory_mib": 32, "log_level": "info"}
FRAGILE = "1.6.0"


@pytest.fixture(scope="module")
def settled(platform: Platform) -> Iterator[Platform]:
    """A release that does not start with one worker serves; afterwards everything is as before."""
    source = platform.root / ".opsbook/sources/fragile"
    if not source.exists():
        shutil.copytree(platform.root / "services/arcade", source)
        file = source / "arcade/workers.py"
        text = file.read_text(encoding="utf-8")
        line = "        self._max_waiting = tunables.max_waiting\n"
        assert line in text
        file.write_text(text.replace(line, f"{line}        assert tunables.workers > 1\n"), encoding="utf-8")
        platform.run("build-release", "-p", f"version={FRAGILE}", "-p", "source=.opsbook/sources/fragile", check=True)
    platform.serve(FRAGILE)
    assert platform.versions() == {FRAGILE}
    yield platform
    # A deploy gives an instance that has none what the files of variables say.
    for path in (platform.root / ".opsbook/env/dev/app").glob("*/settings.json"):
        path.unlink()
    shutil.rmtree(platform.root / "playbooks/inventories/dev/host_vars", ignore_errors=True)
    (platform.root / "playbooks/inventories/dev/group_vars/app.yml").unlink(missing_ok=True)
    (platform.root / ".opsbook/env/dev/flags/arcade.json").unlink(missing_ok=True)
    platform.serve("1.0.0")


def want(platform: Platform, **settings: object) -> None:
    path = platform.root / "playbooks/inventories/dev/group_vars/app.yml"
    lines = [f"arcade_{name}: {json.dumps(value)}\n" for name, value in settings.items()]
    path.write_text("---\n" + "".join(lines), encoding="utf-8")


def in_force(platform: Platform, path: str = "/settings") -> dict[str, Any]:
    pool = [each for each in platform.traffic()["instances"] if each["pool"]]
    return {each["name"]: httpx.get(each["url"] + path, trust_env=False, timeout=10).json() for each in pool}


def started(platform: Platform) -> set[str]:
    """When each instance started: the line of its metrics."""
    pool = [each["url"] for each in platform.traffic()["instances"] if each["pool"]]
    texts = [httpx.get(f"{url}/metrics", trust_env=False, timeout=10).text for url in pool]
    return {line for text in texts for line in text.splitlines() if line.startswith("process_start_time_seconds ")}


def test_a_flag_reaches_a_share_of_the_players_without_a_restart(settled: Platform) -> None:
    platform = settled
    since = started(platform)
    with platform.load(rate=60) as seen:
        set_flag(platform, 30)
        assert 0.2 < share(platform) < 0.4
        assert started(platform) == since
        refused = platform.run("set-flag", "-p", "flag=closer-hint", "-p", "percent=10", "-p", "watch_for=5s", "--yes")
        assert "the release that serves has no flag closer-hint; it has: close-hint" in refused.out + refused.err
        assert 0.2 < share(platform) < 0.4
        set_flag(platform, 0, "-p", "players=ann")
        assert in_force(platform, "/flags?player=ann") == {key: {"close-hint": True} for key in in_force(platform)}
        assert share(platform) == 0
        run = platform.records()[-1].name
        platform.opsbook("rollback", run, "--yes", check=True)
        assert 0.2 < wait_share(platform) < 0.4
    assert seen["failed"] == 0, seen


def set_flag(platform: Platform, percent: int, *more: str) -> None:
    given = ("-p", "flag=close-hint", "-p", f"percent={percent}", "-p", "watch_for=5s", *more)
    platform.run("set-flag", *given, "--yes", check=True)


def share(platform: Platform) -> float:
    with httpx.Client(trust_env=False, timeout=10) as client:
        told = [client.get(f"{platform.url}/flags?player=p{number}").json()["close-hint"] for number in range(200)]
    return sum(told) / len(told)


def wait_share(platform: Platform) -> float:
    until(lambda: share(platform) > 0, "the flags from before")
    return share(platform)


def test_drift_of_nine_kinds_is_found_and_repaired_and_the_rest_left_alone(settled: Platform) -> None:
    """One kind is not to be repaired, two cannot be: they are repaired by themselves, and then nothing differs."""
    platform = settled
    before = files(platform)
    first, second = in_force(platform)
    place = platform.root / f".opsbook/env/{platform.place}"
    edit(place / "caddy/caddy.json", '"1s"', '"9s"')
    edit(place / "supervisord.conf", 'ARCADE_DRAIN_SECONDS="0"', 'ARCADE_DRAIN_SECONDS="3"')
    edit(place / f"app/{first}/settings.json", '"workers": 4', '"workers": 9')
    edit(place / "caddy/traffic/share", "0", "20")
    edit(place / "flags/arcade.json", "30", "90")
    with database(platform) as sql:
        sql.execute("DELETE FROM arcade_migrations WHERE version = 2")
        sql.execute("DROP INDEX scores_best_of_player")
        sql.execute("ALTER TABLE scores DROP COLUMN guesses")
        sql.execute("CREATE INDEX by_hand ON scores (points)")
    other_package(platform, second)
    stop(platform, second)

    done = sync(platform, flags="no")
    differences = (
        '-  "workers": 9',
        '-  "close-hint": "90 %"',
        '+  "close-hint": "30 %"',
        f"{second}: Start",
        "lb-1: Write Caddy",
        "0002",
        "-CREATE INDEX by_hand ON public.scores USING btree (points);",
        f"{second}: Compare the packages",
        "-anyio 1.0",
    )
    for line in differences:
        assert line in done, line
    # Each kind differed before, and those that were repaired differ no more.
    assert done.count("no differences") == len(REPAIRS) - 1, done
    assert "drift      flags 1, tables 1, packages 1, as of" in platform.opsbook("env", "status", "dev", check=True).out
    with database(platform) as sql:
        assert sql.execute("SELECT datname FROM pg_database WHERE datname LIKE 'arcade_%'").fetchall() == []
        with pytest.raises(AssertionError, match="the tables are not those of the release: -CREATE INDEX by_hand"):
            platform.playbook("tables", service="arcade", version=FRAGILE)
        sql.execute("DROP INDEX by_hand")
    shutil.rmtree(platform.root / "playbooks/inventories/dev/host_vars")
    now = files(platform)
    assert {name for name in now.keys() | before if now.get(name) != before.get(name)} == {"flags/arcade.json"}
    with pytest.raises(AssertionError, match="was changed by hand: sync-environment shows how"):
        platform.playbook("flag", flag="close-hint", percent=10)
    platform.playbook("flags-kept")
    assert files(platform) == before
    platform.playbook("tables", "packages", service="arcade", version=FRAGILE)


def other_package(platform: Platform, instance: str) -> None:
    """An interpreter with another version of one package, for one instance."""
    folder = platform.root / ".opsbook/other-python"
    venv.create(folder, symlinks=True)
    (own,) = folder.glob("lib/python*/site-packages")
    (own / "all.pth").write_text(f"{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    (own / "anyio-1.0.dist-info").mkdir()
    (own / "anyio-1.0.dist-info/METADATA").write_text("Metadata-Version: 2.1\nName: anyio\nVersion: 1.0\n", "utf-8")
    host = platform.root / f"playbooks/inventories/dev/host_vars/{instance}.yml"
    host.parent.mkdir()
    host.write_text(f"---\nservice_python: {folder}/bin/python\n", encoding="utf-8")


def test_settings_change_one_instance_at_a_time_and_come_back(settled: Platform) -> None:
    platform = settled
    before = in_force(platform)
    assert list(before.values()) == [COMMON, COMMON]
    first, second = before
    want(platform, workers=2, log_level="warning")
    host = platform.root / f"playbooks/inventories/dev/host_vars/{first}.yml"
    host.parent.mkdir()
    host.write_text("---\narcade_workers: 3\n", encoding="utf-8")
    # As a run that was stopped leaves it: written, and not restarted.
    half = platform.root / f".opsbook/env/{platform.place}/app/{second}/settings.json"
    edit(half, '"workers": 4', '"workers": 2')
    edit(half, '"info"', '"warning"')
    with platform.load(rate=50) as seen:
        done = platform.run("configure-service", "--yes", check=True)
        assert '+  "workers": 3' in done.out
        told = COMMON | {"log_level": "warning"}
        assert in_force(platform) == {first: told | {"workers": 3}, second: told | {"workers": 2}}
        since = started(platform)
        again = platform.playbook("configure")
        assert started(platform) == since, "who has its settings does not restart"
        assert not re.search(r"changed=[1-9]", again), again

        # Three legal settings, and one that this release does not survive.
        host.unlink()
        want(platform, workers=1)
        failed = platform.run("configure-service", "--yes")
        assert failed.code == 1, failed.out + failed.err
        assert json.loads((platform.records()[-1] / "record.json").read_text())["outcome"] == "rolled-back"
        assert in_force(platform) == {first: told | {"workers": 3}, second: told | {"workers": 2}}
    assert (seen["failed"], seen["requests"] > 100) == (0, True), seen
    # A run of long ago takes nothing back that a later one has changed since.
    platform.env["OPSBOOK_RUN"] = "20260101T000000Z-configure-service-aaaa"
    with pytest.raises(AssertionError, match=f"configure-service-.* has changed the settings of {first} since"):
        platform.playbook("configure", undo="true")
    del platform.env["OPSBOOK_RUN"]
    assert in_force(platform) == {first: told | {"workers": 3}, second: told | {"workers": 2}}


def test_wrong_settings_stop_the_plan_with_file_and_key(settled: Platform) -> None:
    platform = settled
    since = started(platform)
    for settings, sentence in (
        ({"workers": 0}, "group_vars/app.yml: arcade_workers: 0, but it is a whole number from 1 to 16"),
        ({"workers": "many"}, "group_vars/app.yml: arcade_workers: 'many', but it is a whole number from 1 to 16"),
        ({"log_level": "loud"}, "arcade_log_level: 'loud', but it is one of debug, info, warning, error"),
        ({"worker": 4}, "group_vars/app.yml: arcade_worker: arcade has no such setting. Did you mean arcade_workers?"),
    ):
        want(platform, **settings)
        for done in (
            platform.opsbook("plan", "configure-service", "-e", "dev"),
            platform.run("deploy-service", "-p", f"version={FRAGILE}"),
            platform.opsbook("env", "validate", "dev"),
        ):
            assert done.code == 2, done.out + done.err
            assert sentence in " ".join((done.out + done.err).split())
    assert platform.run("service-health").code == 0, "whoever looks is not kept from it"
    want(platform)
    assert started(platform) == since


REPAIRS = ("platform", "schema", "settings", "traffic", "flags")


def sync(platform: Platform, **answers: str) -> str:
    given = [word for kind in REPAIRS for word in ("--answer", f"{kind}={answers.get(kind, 'yes')}")]
    return str(platform.run("sync-environment", *given, "--yes", check=True).out)


def files(platform: Platform) -> dict[str, str]:
    """What the files of the environment say, but for logs, the database and what was before."""
    place = platform.root / f".opsbook/env/{platform.place}"
    found = [path for path in place.rglob("*") if path.is_file() and not {"logs", "db", "run"} & set(path.parts)]
    return {
        str(path.relative_to(place)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in found
        if not path.name.endswith(".before.json")
    }


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{path}: {text}"
    path.write_text(text.replace(old, new), encoding="utf-8")


def stop(platform: Platform, instance: str) -> None:
    config = configparser.RawConfigParser(strict=False)
    config.read(platform.root / f".opsbook/env/{platform.place}/supervisord.conf")
    socket = config["unix_http_server"]["file"]
    with ServerProxy("http://localhost", SupervisorTransport(None, None, f"unix://{socket}")) as server:
        server.supervisor.stopProcess(instance)


@contextmanager
def database(platform: Platform) -> Iterator[psycopg.Connection[Any]]:
    given = make_conninfo(host=str(platform.database_folder), dbname="arcade", **platform.credentials())
    with psycopg.connect(given, autocommit=True) as connection:
        yield connection
