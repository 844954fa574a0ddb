"""The database's password changes while people play: nothing is lost, and what went wrong is taken back."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest
from psycopg.conninfo import make_conninfo

from tests.platform.conftest import Platform

pytestmark = pytest.mark.slow

Given = dict[str, str]


def connect(platform: Platform, given: Given) -> psycopg.Connection[Any]:
    where = {"host": str(platform.database_folder), "dbname": "arcade", "application_name": "report"}
    return psycopg.connect(make_conninfo(**where, **given))


def refused(platform: Platform, given: Given) -> bool:
    try:
        connect(platform, given).close()
    except psycopg.OperationalError as error:
        assert "password authentication failed" in str(error)
        return True
    return False


def administrator(platform: Platform) -> psycopg.Connection[Any]:
    found = psycopg.connect(host=str(platform.database_folder), dbname="arcade", user="postgres")
    found.autocommit = True
    return found


def asked(platform: Platform, question: str) -> list[Any]:
    with administrator(platform) as connection:
        return [row[0] for row in connection.execute(question.encode()).fetchall()]


def may_log_in(platform: Platform) -> list[str]:
    whose = "rolcanlogin AND NOT rolsuper AND pg_has_role(oid, 'arcade', 'MEMBER')"
    return asked(platform, f"SELECT rolname FROM pg_roles WHERE {whose} ORDER BY 1")


def with_password(platform: Platform) -> list[str]:
    return asked(platform, "SELECT rolname FROM pg_authid WHERE rolpassword IS NOT NULL ORDER BY 1")


def left(platform: Platform) -> list[str]:
    """The credentials of the database, and what of them lies beside."""
    others = ("api", "authority", "tls")
    found = (platform.root / ".opsbook/env/dev/secrets").iterdir()
    return sorted(path.name for path in found if not path.name.startswith(others))


@contextmanager
def report(platform: Platform) -> Iterator[psycopg.Connection[Any]]:
    """Somebody's long query, with the present credentials: a transaction that stays open."""
    connection = connect(platform, platform.credentials())
    connection.execute("SELECT 1")
    try:
        yield connection
    finally:
        connection.close()


@dataclass(frozen=True)
class Rotations:
    """Two rotations under load, after a first one: the credentials before and behind each, and what players saw."""

    given: list[Given]
    load: dict[str, Any]
    users: list[str]


@pytest.fixture(scope="module")
def ready(platform: Platform) -> Platform:
    platform.serve("1.0.0")
    return platform


@pytest.fixture(scope="module")
def rotated(ready: Platform) -> Rotations:
    given = [ready.credentials()]
    with ready.load(rate=150) as load:
        for _ in range(2):
            ready.run("rotate-secret", check=True)
            given.append(ready.credentials())
        users = asked(ready, "SELECT DISTINCT usename FROM pg_stat_activity WHERE application_name LIKE 'arcade-%'")
    return Rotations(given, load, users)


def test_no_request_is_lost(rotated: Rotations) -> None:
    assert rotated.load["failed"] == 0, rotated.load
    assert rotated.load["ok"] > 200


def test_two_roles_take_turns(ready: Platform, rotated: Rotations) -> None:
    roles = [each["user"] for each in rotated.given]
    assert roles in (["arcade_a", "arcade_b", "arcade_a"], ["arcade_b", "arcade_a", "arcade_b"])
    assert len({each["password"] for each in rotated.given}) == 3
    assert rotated.users == [roles[-1]]
    assert may_log_in(ready) == with_password(ready) == [roles[-1]]
    assert asked(ready, "SELECT DISTINCT tableowner FROM pg_tables WHERE schemaname = 'public'") == ["arcade"]


def test_earlier_passwords_are_refused(ready: Platform, rotated: Rotations) -> None:
    assert [refused(ready, each) for each in rotated.given] == [True, True, False]
    assert left(ready) == ["database.conf"]


def test_a_rotation_that_cannot_end_is_taken_back(ready: Platform, rotated: Rotations) -> None:
    """Somebody else goes on with the earlier role, so it is not locked, and the service returns to it."""
    before, owner = ready.credentials(), rotated.given[-1]["user"]
    with ready.load(rate=150) as load, report(ready) as connection:
        done = ready.run("rotate-secret", "-p", "patience=2", "--answer", "failed=roll-back")
        assert done.code == 1, done.out + done.err
        assert f"{owner} is not locked, because it is in use: report (1 idle in transaction)" in done.out + done.err
        assert connection.execute("SELECT current_user").fetchone() == ("arcade",)
    assert load["failed"] == 0, load
    assert ready.credentials() == before
    assert may_log_in(ready) == with_password(ready) == [owner]
    assert left(ready) == ["database.conf"]


def test_a_role_that_does_not_open_the_database_is_never_used(ready: Platform, rotated: Rotations) -> None:
    before = ready.credentials()
    ready.playbook("password", "--tags=prepare")
    (other,) = {"arcade_a", "arcade_b"} - {before["user"]}
    with administrator(ready) as connection:
        connection.execute(f"ALTER ROLE {other} NOLOGIN".encode())
    with pytest.raises(AssertionError, match=f"{other} does not open the database, so the service keeps its role"):
        ready.playbook("password", "--tags=switch")
    assert ready.credentials() == before
    ready.playbook("password-back")
    assert (may_log_in(ready), left(ready)) == ([before["user"]], ["database.conf"])


def test_a_leak_cuts_off_who_is_in(ready: Platform, rotated: Rotations) -> None:
    before = ready.credentials()
    with report(ready) as connection:
        ready.run("rotate-secret", "-p", "reason=leak", check=True)
        with pytest.raises(psycopg.OperationalError):
            connection.execute("SELECT 1")
    assert refused(ready, before)
    assert may_log_in(ready) == [ready.credentials()["user"]]
    assert ready.versions() == {"1.0.0"}


def test_an_environment_with_one_role_gets_two(ready: Platform, rotated: Rotations) -> None:
    """As earlier versions made it: the owner logs in, and its password lies in a file of its own."""
    folder = ready.root / ".opsbook/env/dev/secrets"
    one_role(ready, folder)
    ready.run("platform-up", check=True)
    assert ready.credentials() == {"user": "arcade", "password": "as-it-was-before"}
    with ready.load(rate=100) as load:
        ready.run("rotate-secret", check=True)
    assert load["failed"] == 0, load
    assert may_log_in(ready) == with_password(ready) == ["arcade_a"]
    assert refused(ready, {"user": "arcade", "password": "as-it-was-before"})
    assert left(ready) == ["database.conf"]


def one_role(platform: Platform, folder: Path) -> None:
    given = {"user": "arcade", "password": "as-it-was-before"}
    with administrator(platform) as connection:
        connection.execute(b"ALTER ROLE arcade LOGIN PASSWORD 'as-it-was-before'")
        (folder / "db_password").touch(mode=0o600)
        (folder / "db_password").write_text(given["password"])
        (folder / "database.conf").unlink()
        for role in ("arcade_a", "arcade_b"):
            connection.execute(b"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = %s", [role])
            connection.execute(f"DROP ROLE {role}".encode())
    (data,) = asked(platform, "SHOW data_directory")
    (Path(data) / "pg_hba.conf").write_text("local arcade arcade scram-sha-256\n")
    with connect(platform, given) as connection:
        assert connection.execute("SELECT current_user").fetchone() == ("arcade",)


def test_no_password_is_in_any_record(ready: Platform, rotated: Rotations) -> None:
    secrets = [each["password"].encode() for each in rotated.given]
    for path in (ready.root / "records").rglob("*"):
        if path.is_file():
            assert not any(secret in path.read_bytes() for secret in secrets), path


KEY = ("rotate-api-key", "-p", "calm=1s", "--answer", "give-it-to-the-partners=done")


def key_of(platform: Platform) -> str:
    return (platform.root / ".opsbook/env/dev/secrets/api.key").read_text().strip()


def taken(platform: Platform, key: str) -> set[int]:
    """What the service answers to a key, asked several times."""
    given = {"authorization": f"Bearer {key}"}
    return {httpx.get(f"{platform.url}/leaderboard", headers=given, trust_env=False).status_code for _ in range(6)}


@contextmanager
def partner(key: Callable[[], str], platform: Platform) -> Iterator[list[int]]:
    """Somebody who asks with this key, fifty times a second: what was answered."""
    answers: list[int] = []
    over = threading.Event()

    def ask() -> None:
        with httpx.Client(trust_env=False, timeout=60) as client:
            while not over.wait(0.02):
                given = {"authorization": f"Bearer {key()}"}
                answers.append(client.get(f"{platform.url}/leaderboard", headers=given).status_code)

    thread = threading.Thread(target=ask)
    thread.start()
    try:
        yield answers
    finally:
        over.set()
        thread.join()


def test_the_key_of_partners_changes_without_a_refused_request(ready: Platform) -> None:
    ready.run(*KEY, check=True)
    keys = [key_of(ready)]
    with partner(lambda: key_of(ready), ready) as answers:
        ready.run(*KEY, check=True)
        keys.append(key_of(ready))
    assert set(answers) == {200}
    assert len(answers) > 50
    assert [taken(ready, key) for key in keys] == [{401}, {200}]
    # One partner goes on with the key from before: it stays valid.
    with partner(lambda: keys[1], ready) as answers:
        done = ready.run(*KEY, "-p", "patience=2s", "--answer", "failed=roll-back")
    assert done.code == 1, done.out + done.err
    assert "these keys are still used: 2" in " ".join(done.out.split())
    assert set(answers) == {200}
    assert key_of(ready) == keys[1]
    known = json.loads((ready.root / ".opsbook/env/dev/secrets/api-keys.json").read_text())
    assert list(known) == [ready.records()[-2].name], "only that of the run before"
    # After a leak the key is refused before anybody hears from the partners: this run stops at that step.
    stopped = ("--answer", "give-it-to-the-partners=problem", "--answer", "failed=stop")
    leak = ready.run("rotate-api-key", "-p", "reason=leak", *stopped)
    assert leak.code == 3, leak.out + leak.err
    assert [taken(ready, key) for key in (keys[1], key_of(ready))] == [{401}, {200}]
    ready.opsbook("resume", ready.records()[-1].name, "--answer", "give-it-to-the-partners=done", check=True)
    assert taken(ready, key_of(ready)) == {200}
    for path in (ready.root / "records").rglob("*"):
        assert not path.is_file() or not any(key.encode() in path.read_bytes() for key in keys), path


@pytest.mark.soak
def test_a_second_run_of_each_step_changes_nothing(ready: Platform, rotated: Rotations) -> None:
    steps = [("password", "--tags=prepare"), ("password", "--tags=switch"), ("password", "--tags=lock")]
    for step in (*steps, ("password-back",)):
        ready.playbook(*step)
        before = left(ready), ready.credentials()
        assert "changed=0" in ready.playbook(*step), step
        assert (left(ready), ready.credentials()) == before
