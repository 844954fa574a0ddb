"""`arcade migrate` against a real database."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import psycopg
import pytest
import variants
from arcade_postgres import PostgresServer
from arcade_process import SOURCE, environment, run_arcade

pytestmark = pytest.mark.slow
ALL = ["0001_players_and_scores", "0002_score_guesses_and_order"]
Env = dict[str, str]


def migrate(env: Env, *arguments: str, tree: Path = SOURCE) -> dict[str, Any]:
    done = run_arcade("migrate", *arguments, tree=tree, env=env)
    assert done.returncode == 0, done.stderr
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def test_migrate_twice_and_status(database_env: Env) -> None:
    assert migrate(database_env, "--status") == {"applied": [], "version": 0, "pending": ALL}
    assert migrate(database_env) == {"applied": ALL, "version": 2, "pending": []}
    assert migrate(database_env) == {"applied": [], "version": 2, "pending": []}
    assert migrate(database_env, "--status") == {"applied": [], "version": 2, "pending": []}


def test_several_at_once_apply_each_migration_once(database_env: Env) -> None:
    command = [sys.executable, "-B", "-m", "arcade", "migrate"]
    processes = [
        subprocess.Popen(command, env=environment(SOURCE, database_env), stdout=subprocess.PIPE, text=True)
        for _ in range(4)
    ]
    reports = [json.loads(process.communicate(timeout=180)[0]) for process in processes]
    assert sorted(name for report in reports for name in report["applied"]) == ALL
    assert {report["version"] for report in reports} == {2}


def test_a_changed_file_is_an_error(migrated_env: Env, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    variants.make(SOURCE, tree, "stock")
    with (tree / "migrations" / f"{ALL[0]}.sql").open("a") as file:
        file.write("-- later\n")
    for arguments in (["migrate"], ["migrate", "--status"]):
        done = run_arcade(*arguments, tree=tree, env=migrated_env)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr == f"{ALL[0]} was applied with other content: an applied file never changes\n"


def test_a_failing_migration_leaves_no_trace(migrated_env: Env, postgres: PostgresServer, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    variants.make(SOURCE, tree, "stock")
    (tree / "migrations" / "0003_broken.sql").write_text("CREATE TABLE extra (id int);\nSELECT nonsense;\n")
    done = run_arcade("migrate", tree=tree, env=migrated_env)
    assert done.returncode == 1
    assert done.stderr == '0003_broken failed and left no trace: column "nonsense" does not exist\n'
    with psycopg.connect(migrated_env["ARCADE_DATABASE"], password=postgres.password) as connection:
        assert connection.execute("SELECT to_regclass('extra')").fetchone() == (None,)


def test_the_previous_release_accepts_the_next_schema(migrated_env: Env, tmp_path: Path) -> None:
    tree = tmp_path / "tree"
    variants.make(SOURCE, tree, "stock")
    (tree / "migrations" / f"{ALL[1]}.sql").unlink()
    assert migrate(migrated_env, tree=tree) == {"applied": [], "version": 2, "pending": []}


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        ({"ARCADE_DATABASE": ""}, "ARCADE_DATABASE is not set"),
        ({"ARCADE_DATABASE": "host=127.0.0.1 port"}, "ARCADE_DATABASE cannot be understood"),
        ({"ARCADE_DATABASE": "host=127.0.0.1 port=1"}, "the database does not answer"),
        ({"ARCADE_DATABASE_PASSWORD_FILE": "/nonexistent"}, "cannot be read"),
    ],
)
def test_bad_settings_are_one_sentence(database_env: Env, change: Env, sentence: str) -> None:
    done = run_arcade("migrate", env=database_env | change)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert sentence in done.stderr


def test_a_password_file_others_can_read_is_refused(database_env: Env, tmp_path: Path) -> None:
    path = tmp_path / "password"
    path.write_text("x")
    path.chmod(0o644)
    done = run_arcade("migrate", env=database_env | {"ARCADE_DATABASE_PASSWORD_FILE": str(path)})
    assert done.returncode == 1
    assert "mode 0600" in done.stderr
