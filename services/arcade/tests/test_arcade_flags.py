"""Settings from a file, and feature flags without a restart."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from arcade_process import ArcadeProcess, run_arcade

Env = dict[str, str]
Start = Callable[..., ArcadeProcess]

pytestmark = pytest.mark.slow

DEFAULTS = {"workers": 4, "max_waiting": 256, "handler_memory_mib": 32, "log_level": "info"}
PLAYERS = [f"player-{number}" for number in range(200)]


def test_settings_come_from_the_file_and_else_from_the_schema(migrated_env: Env, start: Start, tmp_path: Path) -> None:
    given = tmp_path / "settings.json"
    assert start(migrated_env | {"ARCADE_SETTINGS": str(given)}).client.get("/settings").json() == DEFAULTS
    given.write_text('{"workers": 2.0, "log_level": "error"}')
    arcade = start(migrated_env | {"ARCADE_SETTINGS": str(given)})
    assert arcade.client.get("/settings").json() == DEFAULTS | {"workers": 2, "log_level": "error"}
    assert arcade.send("Info").status_code == 200


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ('{"workers": 0}', "workers must be bigger than or equal to 1"),
        ('{"workers": true}', "workers must be integer"),
        ('{"log_level": "loud"}', "log_level must be one of ['debug', 'info', 'warning', 'error']"),
        ('{"worker": 4}', "must not contain {'worker'} properties"),
        ("[]", "must be object"),
        ("{", "cannot be read"),
    ],
)
def test_a_wrong_setting_ends_serve_with_one_sentence(tmp_path: Path, text: str, sentence: str) -> None:
    given = tmp_path / "settings.json"
    given.write_text(text)
    env = {"ARCADE_PORT": "9", "ARCADE_DATABASE": "dbname=none", "ARCADE_SETTINGS": str(given)}
    done = run_arcade("serve", env=env)
    assert (done.returncode, len(done.stderr.splitlines())) == (1, 1), done.stderr
    assert f"the settings file {given}" in done.stderr
    assert sentence in done.stderr


def test_flags_change_without_a_restart(migrated_env: Env, start: Start, tmp_path: Path) -> None:
    given = tmp_path / "flags.json"
    arcade = start(migrated_env | {"ARCADE_FLAGS": str(given)})
    assert on(arcade) == set()
    write(given, {"fractional": [["on", 30], ["off", 70]]})
    wait(lambda: on(arcade))
    some = on(arcade)
    assert 0.15 < len(some) / len(PLAYERS) < 0.45
    write(given, {"fractional": [["on", 60], ["off", 40]]})
    wait(lambda: len(on(arcade)) > len(some))
    assert some < on(arcade), "whoever had it keeps it"
    given.write_text("{")
    time.sleep(1.5)
    assert some < on(arcade), "a broken file changes nothing"
    write(given, {"if": [{"==": [{"var": "targetingKey"}, "player-7"]}, "on", "off"]})
    wait(lambda: on(arcade) == {"player-7"})
    arcade.send("Register", "player-7", "Ann")
    arcade.send("Play", "player-7")
    assert "Close" in arcade.send("Guess", "player-7", "1").json()["Output"]
    assert arcade.close() == 0


def write(path: Path, targeting: dict[str, Any]) -> None:
    flag = {"state": "ENABLED", "variants": {"on": True, "off": False}, "defaultVariant": "off"}
    path.write_text(json.dumps({"flags": {"close-hint": {**flag, "targeting": targeting}}}))


def on(arcade: ArcadeProcess) -> set[str]:
    return {
        name for name in PLAYERS if arcade.client.get("/flags", params={"player": name}).json() == {"close-hint": True}
    }


def wait(reached: Callable[[], object]) -> None:
    until = time.monotonic() + 10
    while not reached():
        assert time.monotonic() < until, "the file is not read again"
        time.sleep(0.1)
