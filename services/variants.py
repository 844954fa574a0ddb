"""Copies of arcade with one known change: the material for demos, drills and tests.

    python services/variants.py VARIANT TARGET

copies the source tree of arcade to TARGET and applies VARIANT:

stock   changes only the wording of the page, so that two releases can be told apart.
faulty  drops one `tonumber` in handlers/leaderboard.lua. `arcade check` still passes, because the
        handler tests give the tag Limit as a number; the running service gets tags as strings, so
        every Leaderboard message with a Limit is answered with 500. Only a functional validation
        of the running service finds it.
flaky   drops the ON CONFLICT of a new name. The handler tests pass, because their store is in memory, and
        so does a validation that only reads; every player who registers again is answered with 500.
dead    misspells a name that only `arcade serve` uses, so that the release is built and never starts.
slow    makes Info wait a quarter of a second in the database. Everything is right, only late.

Only somebody who compares flaky and slow with the version before, under traffic, sees what is wrong.
"""

import shutil
import sys
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parent / "arcade"


@dataclass(frozen=True)
class Change:
    """One replacement: in `file`, the text `old`, which occurs exactly once, becomes `new`."""

    file: str
    old: str
    new: str


VARIANTS = {
    "stock": Change(
        "ui/index.html",
        "Find the number from 1 to 100 in as few guesses as you can.",
        "A number from 1 to 100 is hiding. How few guesses do you need?",
    ),
    "faulty": Change(
        "handlers/leaderboard.lua",
        "local limit = tonumber(msg.Tags.Limit or DEFAULT_LIMIT)",
        "local limit = msg.Tags.Limit or DEFAULT_LIMIT",
    ),
    "flaky": Change(
        "arcade/postgres_store.py",
        '" ON CONFLICT (id) DO UPDATE SET name = excluded.name RETURNING (xmax = 0) AS is_new",',
        '" RETURNING (xmax = 0) AS is_new",',
    ),
    "dead": Change(
        "arcade/server.py",
        'read_migrations(TREE / "migrations")[-1].version',
        'read_migrations(TREE / "migrations")[-1].versoin',
    ),
    "slow": Change(
        "arcade/postgres_store.py",
        """AS "Scores"')""",
        """AS "Scores", pg_sleep(0.25)')""",
    ),
}


def make(source: Path, target: Path, variant: str) -> None:
    """Copy the tree `source` to `target`, which must not exist, and apply `variant`.

    Raises ValueError for an unknown variant or when its text is not found once, FileExistsError.
    """
    change = VARIANTS.get(variant)
    if change is None:
        raise ValueError(f"{variant!r} is no variant: there are {', '.join(VARIANTS)}")
    text = (source / change.file).read_text(encoding="utf-8")
    if text.count(change.old) != 1:
        raise ValueError(f"{change.file} does not hold the text of the variant {variant} exactly once")
    shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__", "*.pyc", ".*"))
    (target / change.file).write_text(text.replace(change.old, change.new), encoding="utf-8")


def main(arguments: list[str]) -> int:
    """The command line; the exit code is 0, 1 when the copy failed, 2 for a wrong usage."""
    if len(arguments) != 2:
        print(f"usage: variants.py {{{','.join(VARIANTS)}}} TARGET", file=sys.stderr)
        return 2
    try:
        make(SOURCE, Path(arguments[1]), arguments[0])
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
