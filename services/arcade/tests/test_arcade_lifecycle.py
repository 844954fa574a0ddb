"""Instances come and go: start, stop under load, database restart, faulty release."""

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
import variants
from arcade_postgres import PostgresServer
from arcade_process import SERVICES, SOURCE, ArcadeProcess, LoadProcess, run_arcade

pytestmark = pytest.mark.slow
Env = dict[str, str]
Start = Callable[..., ArcadeProcess]


def wait_for_requests_under_way(arcade: ArcadeProcess, wanted: int) -> None:
    """Until the instance works on so many requests at once; the one that asks for it does not count."""
    deadline = time.monotonic() + 60
    while (found := in_flight(arcade.client.get("/metrics").text)) <= wanted:
        assert time.monotonic() < deadline, found
        time.sleep(0.02)


def in_flight(metrics: str) -> float:
    return next(float(line.split()[1]) for line in metrics.splitlines() if line.startswith("arcade_http_in_flight "))


def test_graceful_stop_loses_nothing_under_load(migrated_env: Env, start: Start, tmp_path: Path) -> None:
    arcade = start(migrated_env | {"ARCADE_SANDBOX": "1", "ARCADE_DRAIN_SECONDS": "3"})
    arcade.client.post("/faults", json={"slow_ms": 3600})
    stop_file = tmp_path / "stop"
    load = LoadProcess(arcade.url, "--seconds", "300", "--rate", "40", "--stop-file", str(stop_file))
    wait_for_requests_under_way(arcade, 8)
    arcade.terminate()
    assert arcade.wait_for_status("/readyz", 503, 2.5).json()["checks"]["shutdown"] != "ok"
    stop_file.touch()
    result = load.result()
    # The last requests were under way when the listener closed, 600 ms before their answers.
    assert result["requests"] == result["ok"] >= 8, result
    assert result["by_version"] == {"dev": result["ok"]}
    assert arcade.process.wait(timeout=60) == 0


def test_answers_say_good_bye_while_draining(migrated_env: Env, start: Start) -> None:
    arcade = start(migrated_env | {"ARCADE_DRAIN_SECONDS": "5"})
    assert "connection" not in arcade.client.get("/version").headers
    arcade.terminate()
    answer = arcade.wait_for_status("/readyz", 503, 4.5)
    assert answer.headers["connection"] == "close"
    assert arcade.client.get("/version").status_code == 200
    assert arcade.process.wait(timeout=60) == 0


def test_start_is_quick(migrated_env: Env, start: Start) -> None:
    started = time.monotonic()
    start(migrated_env)
    # The budget is one second; this still tells a regression from a busy machine.
    assert time.monotonic() - started < 30


def test_unready_until_the_schema_is_there(database_env: Env, start: Start) -> None:
    arcade = start(database_env)
    answer = arcade.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["schema"] == "version 0 is too old: this release needs 2"
    assert arcade.client.get("/version").json()["schema"] == 0
    assert arcade.metric("arcade_ready") == 0
    assert run_arcade("migrate", env=database_env).returncode == 0
    assert arcade.client.get("/readyz").status_code == 200


@pytest.fixture
def own_postgres() -> Iterator[PostgresServer]:
    """A server that the test may stop."""
    server = PostgresServer()
    try:
        server.create()
        yield server
    finally:
        server.remove()


@pytest.fixture
def own_env(own_postgres: PostgresServer, tmp_path: Path) -> Env:
    """Settings for a database on the server that may be stopped."""
    path = tmp_path / "password"
    path.touch(mode=0o600)
    path.write_text(own_postgres.password)
    return {"ARCADE_DATABASE": own_postgres.new_database(), "ARCADE_DATABASE_PASSWORD_FILE": str(path)}


def test_an_instance_survives_a_database_restart(own_env: Env, own_postgres: PostgresServer, start: Start) -> None:
    assert run_arcade("migrate", env=own_env).returncode == 0
    arcade = start(own_env)
    arcade.send("Register", "ann", "Ann")
    own_postgres.stop()
    answer = arcade.client.get("/readyz")
    assert answer.status_code == 503
    assert answer.json()["checks"]["database"].startswith("the database does not answer")
    assert arcade.client.get("/healthz").status_code == 200
    assert arcade.send("Info").status_code == 503
    own_postgres.start()
    assert arcade.client.get("/readyz").status_code == 200
    assert [arcade.send("Info").status_code for _ in range(8)] == [200] * 8
    # A restart nobody noticed: every pooled connection is dead, and no message is lost.
    own_postgres.stop("immediate")
    own_postgres.start()
    assert [arcade.send("Info").status_code for _ in range(8)] == [200] * 8
    assert arcade.close() == 0


def given(path: Path, role: str, password: str) -> None:
    """Replace the service file as a whole, with these credentials."""
    new = path.with_name("new")
    new.touch(mode=0o600)
    new.write_text(f"[arcade]\nuser={role}\npassword={password}\n")
    new.replace(path)


def test_replaced_credentials_are_taken_up_between_two_messages(
    migrated_env: Env, postgres: PostgresServer, start: Start, tmp_path: Path
) -> None:
    """Those that do not open the database lose no message: the connections from before go on."""
    address = migrated_env["ARCADE_DATABASE"].replace("user=postgres", "service=arcade")
    file = tmp_path / "database.conf"
    given(file, "postgres", postgres.password)
    arcade = start({"ARCADE_DATABASE": address, "PGSERVICEFILE": str(file)})
    with psycopg.connect(migrated_env["ARCADE_DATABASE"], password=postgres.password, autocommit=True) as connection:

        def users() -> set[str]:
            assert [arcade.send("Info").status_code for _ in range(8)] == [200] * 8
            assert arcade.client.get("/readyz").status_code == 200
            asked = "SELECT usename FROM pg_stat_activity WHERE application_name = 'arcade-1'"
            return {name for (name,) in connection.execute(asked)}

        connection.execute("CREATE ROLE follower LOGIN SUPERUSER PASSWORD 'of-the-follower'")
        assert users() == {"postgres"}
        given(file, "follower", "another")
        assert users() == {"postgres"}
        given(file, "follower", "of-the-follower")
        deadline = time.monotonic() + 60
        while users() != {"follower"}:
            assert time.monotonic() < deadline
            time.sleep(0.1)
        file.unlink()
        assert users() == {"follower"}
        assert arcade.close() == 0
        connection.execute("DROP ROLE follower")


def test_bad_settings_end_serve_with_one_sentence(migrated_env: Env, arcade: ArcadeProcess) -> None:
    for change in (
        {"ARCADE_PORT": ""},
        {"ARCADE_PORT": "99999"},
        {"ARCADE_PORT": str(arcade.port)},
        {"ARCADE_PORT": "9", "ARCADE_DRAIN_SECONDS": "x"},
        {"ARCADE_PORT": "9", "ARCADE_MESSAGES_QUOTA": "1"},
        {"ARCADE_PORT": "9", "PGSERVICEFILE": "/nonexistent"},
    ):
        done = run_arcade("serve", env=migrated_env | change)
        assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr


def test_the_faulty_variant_passes_check_and_fails_with_a_limit(
    migrated_env: Env, start: Start, tmp_path: Path
) -> None:
    tree = tmp_path / "faulty"
    variants.make(SOURCE, tree, "faulty")
    build = ["build", "--source", str(tree), "--version", "2.0.0", "--output", str(tmp_path)]
    assert run_arcade("check", tree=tree).returncode == 0
    assert run_arcade(*build, tree=tree).returncode == 0
    arcade = start(migrated_env, tree=tree)
    assert arcade.send("Leaderboard").status_code == 200
    for limit in ("1", "5", "100", "0", "x"):
        answer = arcade.send("Leaderboard", tags={"Limit": limit})
        assert answer.status_code == 500
        assert answer.json()["error"].startswith("handlers/leaderboard.lua:8: attempt to compare")
    assert arcade.send("Ping").status_code == 200


def test_load_counts_failures_and_ends_on_a_signal(migrated_env: Env, start: Start) -> None:
    arcade = start(migrated_env | {"ARCADE_SANDBOX": "1"})
    arcade.client.post("/faults", json={"error_rate": 1})
    load = LoadProcess(arcade.url, "--seconds", "300", "--rate", "50")
    until = time.monotonic() + 60
    while arcade.metric('arcade_http_requests_total{method="POST",status="500"}') < 5:
        assert time.monotonic() < until
        time.sleep(0.05)
    load.process.terminate()
    result = load.result()
    assert result["failed"] == result["requests"] >= 5
    assert result["ok"] == 0
    assert "500" in result["errors"][0]
    assert 0 < len(result["errors"]) <= 5
    assert 0 < result["p50_ms"] <= result["p95_ms"]


@pytest.mark.parametrize("url", ["http://example.org", "http://192.0.2.1:80", "https://127.0.0.1", "127.0.0.1"])
def test_load_refuses_other_machines(url: str) -> None:
    command = [sys.executable, "-B", str(SERVICES / "load.py"), "--url", url, "--seconds", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "is not an http URL of this machine" in done.stderr


def test_a_stopped_instance_refuses_connections(migrated_env: Env, start: Start) -> None:
    arcade = start(migrated_env)
    arcade.terminate()
    assert arcade.process.wait(timeout=60) == 0
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{arcade.url}/healthz", trust_env=False)
