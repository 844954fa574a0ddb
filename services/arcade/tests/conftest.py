"""Fixtures: one PostgreSQL server per session, a database per test, instances of arcade."""

import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent), str(HERE.parent.parent)]

from arcade_postgres import PostgresServer  # noqa: E402
from arcade_process import ArcadeProcess, run_arcade  # noqa: E402

Start = Callable[..., ArcadeProcess]


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A server that all tests share; each takes a database of its own."""
    server = PostgresServer()
    try:
        server.create()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def password_file(postgres: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the server's password."""
    path = tmp_path_factory.mktemp("secrets") / "password"
    path.touch(mode=0o600)
    path.write_text(postgres.password + "\n")
    return path


@pytest.fixture
def database_env(postgres: PostgresServer, password_file: Path) -> dict[str, str]:
    """Settings for an empty database."""
    return settings(postgres, password_file)


@pytest.fixture
def migrated_env(database_env: dict[str, str]) -> dict[str, str]:
    """Settings for a database with the schema of this source."""
    return migrated(database_env)


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts instances that are stopped at the end of the test."""
    started: list[ArcadeProcess] = []
    numbers = itertools.count(1)

    def begin(env: dict[str, str], **options: Path) -> ArcadeProcess:
        number = next(numbers)
        process = ArcadeProcess(
            {"ARCADE_INSTANCE": f"arcade-{number}", "ARCADE_DRAIN_SECONDS": "0", **env},
            tmp_path / f"arcade-{number}.log",
            **options,
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.close()


@pytest.fixture(scope="module")
def arcade(
    postgres: PostgresServer, password_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ArcadeProcess]:
    """One instance outside a sandbox that a module's tests share."""
    env = migrated(settings(postgres, password_file))
    env |= {"ARCADE_INSTANCE": "arcade-1", "ARCADE_DRAIN_SECONDS": "0"}
    process = ArcadeProcess(env, tmp_path_factory.mktemp("shared") / "log")
    yield process
    assert process.close() == 0


def settings(postgres: PostgresServer, password_file: Path) -> dict[str, str]:
    """Settings for a new, empty database."""
    return {"ARCADE_DATABASE": postgres.new_database(), "ARCADE_DATABASE_PASSWORD_FILE": str(password_file)}


def migrated(env: dict[str, str]) -> dict[str, str]:
    """The same settings, after `arcade migrate`."""
    done = run_arcade("migrate", env=env)
    assert done.returncode == 0, done.stderr
    return env
