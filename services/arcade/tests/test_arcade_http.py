"""The HTTP interface of running instances."""

import asyncio
import json
from collections.abc import Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from arcade_postgres import PostgresServer
from arcade_process import ArcadeProcess

pytestmark = pytest.mark.slow
Env = dict[str, str]
Start = Callable[..., ArcadeProcess]

HOSTILE = [
    "{{ lookup('pipe','id') }}",
    "$(id) `id` ${HOME} %s %(x)s",
    "'; rm -rf / ; DROP TABLE players; --",
    "two\nlines\r\n\ttab",
    "\"double\" 'single' \\ back",
    "<script>alert(1)</script>",
    "ünïcödé 🎲 \u202e",
]


def test_health_version_and_readiness(arcade: ArcadeProcess) -> None:
    assert arcade.client.get("/healthz").json() == {"status": "ok"}
    fields = {"service": "arcade", "version": "dev", "instance": "arcade-1", "schema": 2}
    assert arcade.client.get("/version").json() == fields
    ready = arcade.client.get("/readyz")
    checks = {"database": "ok", "schema": "ok", "handlers": "ok", "shutdown": "ok"}
    assert (ready.status_code, ready.json()) == (200, {"status": "ready", "checks": checks})


def test_every_answer_says_which_environment_it_belongs_to(start: Start, migrated_env: Env) -> None:
    named = start({**migrated_env, "ARCADE_ENVIRONMENT": "dev/1a2b3c4d5e6f"})
    for path in ("/version", "/readyz", "/metrics", "/", "/nowhere"):
        assert named.client.get(path).headers["arcade-environment"] == "dev/1a2b3c4d5e6f", path
    assert "arcade-environment" not in start(migrated_env).client.get("/version").headers


def test_a_message_is_answered_in_the_shape_of_ao(arcade: ArcadeProcess) -> None:
    answer = arcade.send("Ping", "ann", "hello", [{"name": "k", "value": "v"}])
    assert answer.status_code == 200
    body = answer.json()
    assert len(body.pop("Id")) == 43
    assert body == {
        "Output": {"Pong": "hello", "Tags": {"k": "v"}},
        "Messages": [{"Target": "ann", "Action": "Pong", "Data": "hello"}],
        "Instance": "arcade-1",
        "Version": "dev",
    }


@pytest.mark.parametrize("text", HOSTILE)
def test_text_comes_back_as_it_went_in(arcade: ArcadeProcess, text: str) -> None:
    pong = arcade.send("Ping", text, text, {text: text}).json()
    assert pong["Output"] == {"Pong": text, "Tags": {text: text}}
    assert arcade.send("Register", text, text).json()["Output"]["Name"] == text
    assert arcade.send("Score", text, "1000000").status_code == 200
    rows = arcade.send("Leaderboard", tags={"Limit": "100"}).json()["Output"]["Leaderboard"]
    assert (text, text) in [(row["Player"], row["Name"]) for row in rows]


def test_zero_characters_are_data_for_ping_and_an_error_for_the_store(arcade: ArcadeProcess) -> None:
    assert arcade.send("Ping", data="a\0b").json()["Output"]["Pong"] == "a\0b"
    answer = arcade.send("Register", data="a\0b")
    assert answer.status_code == 500
    assert answer.json()["error"].startswith("handlers/register.lua:")


def test_a_round_from_first_guess_to_leaderboard(arcade: ArcadeProcess) -> None:
    assert arcade.send("Play", "bob").status_code == 400
    assert arcade.send("Register", "bob", "Bob").json()["Output"]["New"] is True
    assert arcade.send("Register", "bob", "Bob B.").json()["Output"]["New"] is False
    arcade.send("Play", "bob")
    low, high, hint = 1, 100, ""
    while hint != "found":
        middle = (low + high) // 2
        output = arcade.send("Guess", "bob", str(middle)).json()["Output"]
        hint = output["Hint"]
        low, high = (middle + 1, high) if hint == "higher" else (low, middle - 1)
    assert output["Score"] == max(10, 110 - 10 * output["Guesses"])
    rows = arcade.send("Leaderboard", tags={"Limit": "100"}).json()["Output"]["Leaderboard"]
    assert [row["Score"] for row in rows if row["Player"] == "bob"] == [output["Score"]]
    assert arcade.send("Guess", "bob", "5").json() == {"error": "there is no open round: send Play first"}


def test_the_leaderboard_is_deterministic(migrated_env: Env, start: Start) -> None:
    arcade = start(migrated_env)
    assert arcade.send("Leaderboard").json()["Output"] == {"Leaderboard": []}
    for player, points in [("ann", 70), ("bob", 90), ("cid", 70), ("bob", 20), ("dan", 90), ("ann", 70)]:
        arcade.send("Register", player, player.title())
        arcade.send("Score", player, str(points))
    rows = arcade.send("Leaderboard", tags={"Limit": "3"}).json()["Output"]["Leaderboard"]
    assert rows == [
        {"Rank": 1, "Player": "bob", "Name": "Bob", "Score": 90},
        {"Rank": 2, "Player": "dan", "Name": "Dan", "Score": 90},
        {"Rank": 3, "Player": "ann", "Name": "Ann", "Score": 70},
    ]
    assert arcade.send("Info").json()["Output"]["Scores"] == 6


@pytest.mark.parametrize("limit", ["0", "101", "x", "1.5", "", "' OR 1=1 --"])
def test_a_bad_limit_is_refused(arcade: ArcadeProcess, limit: str) -> None:
    answer = arcade.send("Leaderboard", tags={"Limit": limit})
    assert (answer.status_code, list(answer.json())) == (400, ["error"])


def test_errors_are_one_sentence_in_json(arcade: ArcadeProcess) -> None:
    post = arcade.client.post
    answers = {
        404: arcade.send("Nonsense"),
        400: post("/messages", content=b"{"),
        413: post("/messages", content=b'{"Action": "' + b"a" * 65536),
        405: arcade.client.get("/messages"),
    }
    for status, answer in answers.items():
        assert (answer.status_code, list(answer.json())) == (status, ["error"])
    assert arcade.client.get("/nothing").status_code == 404
    assert arcade.send("Ping", data="a" * 60_000).status_code == 200


def test_outside_a_sandbox_there_are_no_fault_switches(arcade: ArcadeProcess) -> None:
    assert arcade.client.get("/faults").status_code == 404
    assert arcade.client.post("/faults", json={"unready": True}).status_code == 404
    assert arcade.client.get("/readyz").status_code == 200


def test_metrics(arcade: ArcadeProcess) -> None:
    line = 'arcade_messages_total{action="Info",outcome="ok"}'
    before = arcade.metric(line)
    arcade.send("Info")
    assert arcade.metric(line) == before + 1
    arcade.send("Made-Up-Action")
    text = arcade.client.get("/metrics").text
    assert 'arcade_messages_total{action="unknown",outcome="unknown"}' in text
    assert 'arcade_message_seconds_bucket{action="Info",le="0.005"}' in text
    assert 'arcade_build_info{version="dev"} 1.0' in text
    assert "arcade_ready 1.0" in text
    assert "Made-Up-Action" not in text


def test_the_page_and_its_parts(arcade: ArcadeProcess) -> None:
    page = arcade.client.get("/")
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    for part in ("arcade.css", "arcade.js", "icon.svg"):
        assert f"ui/{part}" in page.text
        assert arcade.client.get(f"/ui/{part}").status_code == 200
    assert "innerHTML" not in arcade.client.get("/ui/arcade.js").text
    assert arcade.client.get("/ui/../arcade/web.py").status_code == 404
    assert arcade.client.get("/ui/%2e%2e/arcade/web.py").status_code == 404


def test_requests_are_answered_side_by_side(arcade: ArcadeProcess) -> None:
    async def in_turns(client: httpx.AsyncClient) -> set[int]:
        requests = [("GET", "/readyz"), ("GET", "/version"), ("POST", "/messages")] * 8
        answers = [await client.request(*request, json={"Action": "Info"}) for request in requests]
        return {answer.status_code for answer in answers}

    async def many() -> list[set[int]]:
        async with httpx.AsyncClient(base_url=arcade.url, trust_env=False) as client:
            return await asyncio.gather(*(in_turns(client) for _ in range(8)))

    assert asyncio.run(many()) == [{200}] * 8


def test_fault_switches_in_a_sandbox(migrated_env: Env, start: Start) -> None:
    arcade = start(migrated_env | {"ARCADE_SANDBOX": "1"})
    off = {"slow_ms": 0, "error_rate": 0.0, "unready": False}
    assert arcade.client.get("/faults").json() == off
    arcade.client.post("/faults", json={"unready": True})
    answer = arcade.client.get("/readyz")
    assert (answer.status_code, answer.json()["checks"]["fault"]) == (503, "the fault switch unready is on")
    assert arcade.client.post("/faults", json={"slow_ms": 200}).json() == off | {"slow_ms": 200}
    assert arcade.client.get("/readyz").status_code == 200
    assert arcade.send("Ping").elapsed.total_seconds() >= 0.2
    arcade.client.post("/faults", json={"error_rate": 1})
    assert (arcade.send("Ping").status_code, arcade.client.get("/version").status_code) == (500, 500)
    assert arcade.client.get("/healthz").status_code == 200
    assert arcade.metric('arcade_messages_total{action="Ping",outcome="error"}') == 1
    assert arcade.client.post("/faults", json={}).json() == off
    assert arcade.send("Ping").status_code == 200
    for bad in ({"slow_ms": -1}, {"slow_ms": True}, {"error_rate": 2}, {"unready": 1}, {"other": 1}, []):
        assert arcade.client.post("/faults", json=bad).status_code == 400


def test_a_full_message_log(migrated_env: Env, start: Start, tmp_path: Path) -> None:
    """It keeps a line about each message; whatever fills its folder stops the messages until it is gone."""
    folder = tmp_path / "messages"
    arcade = start(migrated_env | {"ARCADE_MESSAGES_FOLDER": str(folder), "ARCADE_MESSAGES_QUOTA": "65536"})
    # More lines than one file may hold: the log itself never fills the folder.
    for _ in range(150):
        assert arcade.send("Ping").status_code == 200
    assert {path.name for path in folder.iterdir()} == {"messages.log", "messages.log.1"}
    line = json.loads((folder / "messages.log").read_text().splitlines()[-1])
    assert (line["action"], line["outcome"]) == ("Ping", "ok")
    assert arcade.client.get("/readyz").json()["checks"]["messages"] == "ok"
    dump = folder / "memory.dump"
    dump.write_bytes(bytes(65536))
    full = arcade.wait_for_status("/readyz", 503).json()["checks"]["messages"]
    assert full.startswith("the message log is full: ")
    refused = arcade.send("Ping")
    assert (refused.status_code, refused.json()["error"]) == (507, full)
    assert arcade.metric('arcade_messages_total{action="Ping",outcome="unavailable"}') == 1
    dump.unlink()
    arcade.wait_for_status("/readyz", 200)
    assert arcade.send("Ping").status_code == 200


def test_a_failed_message_changes_nothing(migrated_env: Env, start: Start, postgres: PostgresServer) -> None:
    arcade = start(migrated_env)
    arcade.send("Register", "ann", "Ann")
    with psycopg.connect(migrated_env["ARCADE_DATABASE"], password=postgres.password) as connection:
        connection.execute("ALTER TABLE scores ADD CONSTRAINT small CHECK (points < 50)")
        connection.execute("INSERT INTO rounds (player_id, secret) VALUES ('ann', 42)")
    answer = arcade.send("Guess", "ann", "42")
    assert answer.status_code == 500
    assert "small" in json.dumps(answer.json())
    with psycopg.connect(migrated_env["ARCADE_DATABASE"], password=postgres.password) as connection:
        assert connection.execute("SELECT secret, guesses FROM rounds").fetchall() == [(42, 0)]
