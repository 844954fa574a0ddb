"""`python -m tests.soak [KILLS]`: 150 runs, killed at every kind of moment and gone on with; and what that measured.

OPSBOOK_SEED repeats one round, SOAK_WORKERS says how many trials go on at once.
"""

import os
import random
import statistics
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from tests.soak import target
from tests.support.kill_plans import COMBINATIONS, plan
from tests.support.kills import Figures, Trial

KILLS = 150
WORKERS = int(os.environ.get("SOAK_WORKERS", "2"))
SEED = int(os.environ.get("OPSBOOK_SEED") or random.SystemRandom().randrange(10**6))


def trial(number: int, seed: int) -> tuple[Figures, str]:
    """One trial: what it measured, and what was not true, if anything."""
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, target.made(Path(folder) / "project") as made:
        tried = Trial(made, plan(number, seed))
        try:
            return tried.carry_out(), ""
        except AssertionError as error:
            return tried.figures, str(error) or "an assertion failed"


def main() -> int:
    """The exit code: 1 if anything was not as it has to be."""
    kills = int(sys.argv[1]) if len(sys.argv) > 1 else KILLS
    print(f"{kills} trials, {len(COMBINATIONS)} combinations in turn, OPSBOOK_SEED={SEED}", flush=True)
    started, figures, wrong = time.monotonic(), [], 0
    with ProcessPoolExecutor(WORKERS) as executor:
        running = {executor.submit(trial, number, SEED): number for number in range(kills)}
        for done in as_completed(running):
            found, problem = done.result()
            figures.append(found)
            wrong += bool(problem)
            print(f"{plan(running[done], SEED)}: {problem or f'as it has to be, {found.seconds:.1f} s'}", flush=True)
    print(table(figures, wrong, time.monotonic() - started))
    return 1 if wrong else 0


def table(figures: list[Figures], wrong: int, seconds: float) -> str:
    """What all trials together measured."""
    victims = Counter(kill.victim for each in figures for kill in each.kills)
    gone = [each.gone for each in figures]
    lines = {
        "trials": f"{len(figures)}, of which {wrong} were not as they have to be",
        "kills": f"{sum(victims.values())}: {', '.join(f'{count} {name}' for name, count in victims.most_common())}",
        "resumes": sum(each.resumes for each in figures),
        "unknown effects": f"{sum(each.unknown for each in figures)} reported, "
        f"{sum(each.repeated for each in figures)} repeated on request",
        "all processes gone": f"median {statistics.median(gone):.2f} s, at most {max(gone):.2f} s after the kill",
        "duration": f"{seconds / 60:.1f} min",
    }
    return "\n".join(f"{name:<20}{value}" for name, value in lines.items())


if __name__ == "__main__":
    sys.exit(main())
