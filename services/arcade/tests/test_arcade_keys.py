"""API keys of partners: a file with their digests, which is read again without a restart."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from arcade_process import ArcadeProcess

Env = dict[str, str]
Start = Callable[..., ArcadeProcess]

pytestmark = pytest.mark.slow


def test_only_a_known_key_comes_in_and_keys_change_without_a_restart(
    migrated_env: Env, start: Start, tmp_path: Path
) -> None:
    given = tmp_path / "keys.json"
    arcade = start(migrated_env | {"ARCADE_KEYS": str(given)})
    assert asked(arcade, "Bearer one") == 401, "without a file nobody has a key"
    write(given, one="one", two="zwei-ß")
    assert asked(arcade, "Bearer one") == 200
    assert asked(arcade, "Bearer zwei-ß".encode()) == 200
    refused: list[str | bytes | None] = [
        None,
        "",
        "Bearer",
        "one",
        "bearer one",
        "Bearer \xff",
    ]
    for header in (*refused, "Bearer " + "x" * 60000, "Basic b25l"):
        assert asked(arcade, header) in (401, 431), header
    answer = arcade.client.get("/leaderboard")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert "API key" in answer.json()["error"]
    write(given, two="two")
    assert (asked(arcade, "Bearer one"), asked(arcade, "Bearer two")) == (401, 200)
    given.write_text("{")
    assert asked(arcade, "Bearer two") == 200, "a file that is broken shuts nobody out"
    given.unlink()
    given.write_text("[]")
    assert asked(arcade, "Bearer two") == 200
    text = arcade.client.get("/metrics").text
    assert 'arcade_logins_total{key="one",outcome="ok"} 1.0' in text
    assert 'arcade_logins_total{key="",outcome="refused"}' in text
    assert "zwei" not in text


def asked(arcade: ArcadeProcess, header: str | bytes | None) -> int:
    given = {} if header is None else {"authorization": header.encode("latin-1") if isinstance(header, str) else header}
    return arcade.client.get("/leaderboard", headers=given).status_code


def write(path: Path, **keys: str) -> None:
    """Replace it as the playbooks do: by another file."""
    new = path.with_suffix(".new")
    new.write_text(json.dumps({name: hashlib.sha256(key.encode()).hexdigest() for name, key in keys.items()}))
    new.replace(path)
