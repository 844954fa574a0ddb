"""The command line of `python -m arcade`."""

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from arcade.errors import ArcadeError
from arcade.settings import TREE, read_database, read_password_file, read_settings


def main(arguments: list[str]) -> int:
    """Run one command and return its exit code: 0, or 1 with one sentence per problem on stderr.

    A wrong usage ends with exit code 2, as argparse does it.
    """
    options = _parser().parse_args(arguments)
    try:
        return _run(options)
    except ArcadeError as error:
        print(error, file=sys.stderr)
    except OSError as error:
        print(f"arcade {options.command}: {error}", file=sys.stderr)
    return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="arcade", description="A small game service.")
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("serve", help="serve HTTP on ARCADE_HOST:ARCADE_PORT")
    migrate = commands.add_parser("migrate", help="bring the database's schema up to this release")
    migrate.add_argument("--status", action="store_true", help="only say what is pending")
    commands.add_parser("check", help="compile the handlers and run their tests")
    build = commands.add_parser("build", help="write a release tarball")
    build.add_argument("--source", type=Path, required=True, help="the folder with arcade/ and handlers/")
    build.add_argument("--version", required=True, help="like 1.2.0")
    build.add_argument("--output", type=Path, required=True, help="the folder for the tarball")
    return parser


def _run(options: argparse.Namespace) -> int:
    # Each command imports what it needs: the start-up time of serve is a budget.
    if options.command == "serve":
        from arcade.server import serve

        return serve(read_settings())
    if options.command == "migrate":
        return _migrate(only_status=options.status)
    if options.command == "build":
        from arcade.release import build

        print(json.dumps(asdict(build(options.source, options.version, options.output))))
        return 0
    return _check()


def _migrate(*, only_status: bool) -> int:
    from arcade.database import Address
    from arcade.migrations import migrate, read_migrations, status

    address = Address(read_database(), read_password_file(), "arcade-migrate")
    command = status if only_status else migrate
    print(json.dumps(asdict(command(address, read_migrations(TREE / "migrations")))))
    return 0


def _check() -> int:
    from arcade.checks import check

    report = check(TREE)
    if report.problems:
        print("\n".join(report.problems), file=sys.stderr)
        return 1
    print(json.dumps({"handlers": report.handlers, "tests": report.tests}))
    return 0
