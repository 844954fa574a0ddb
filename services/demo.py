"""The demo: bring the platform up, deploy two releases under load, and watch a broken third roll back.

    python services/demo.py            run it; exit 0 only if everything ended as it should
    python services/demo.py --clean    stop and remove everything it made

Everything happens through the command line, as a person would do it. When another clone on this machine has the
ports of the environment dev, this one is given other ones first.
"""

import hashlib
import json
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import variants

ROOT = Path(__file__).resolve().parent.parent
OPSBOOK = [sys.executable, "-m", "opsbook.cli.main"]
SOURCES = ROOT / ".opsbook" / "demo"
RUNS = SOURCES / "runs"
"""Ids of the demo's own runs: only their records are removed by --clean."""
BEFORE = SOURCES / "ports-before"
"""What `opsbook env ports` is given by --clean: there only if the demo has taken other ports."""
MOST_MOVES = 5


@dataclass(frozen=True)
class Step:
    """One run of the demo, and how it has to end."""

    title: str
    arguments: tuple[str, ...]
    expected: str = "succeeded"
    under_load: bool = False


@dataclass(frozen=True)
class Place:
    """Where the service answers, and what it says which environment it belongs to."""

    first: int
    url: str
    mark: str


@dataclass(frozen=True)
class Ran:
    """How it ended. `lost` counts failed requests of the load; None without load."""

    step: Step
    run: str
    outcome: str
    seconds: float
    reason: str = ""
    requests: int | None = None
    lost: int | None = None

    @property
    def good(self) -> bool:
        return self.outcome == self.step.expected and not self.lost


def main(arguments: list[str]) -> int:
    """Run or clean the demo; returns the exit code."""
    if arguments == ["--clean"]:
        return clean()
    started = time.monotonic()
    versions = sources()
    first, *others = steps(versions)
    place, up = brought_up(first)
    ran = [up]
    for step in others:
        if not ran[-1].good:
            break
        print(f"\n━━ {step.title}", flush=True)
        ran.append(run(step, place))
    report(ran, versions, place, time.monotonic() - started)
    return 0 if all(each.good for each in ran) and len(ran) == len(steps(versions)) else 1


def brought_up(step: Step) -> tuple[Place, Ran]:
    """The platform, on ports that nobody else has. Somebody may be faster: then on the next ones that are free."""
    for _ in range(MOST_MOVES):
        place = free_place()
        print(f"\n━━ {step.title}, on the ports from {place.first} on", flush=True)
        ran = run(step, place)
        if ran.good or "opsbook env ports" not in ran.reason:
            break
        give_back(ran)
    return place, ran


def give_back(ran: Ran) -> None:
    """Give back what the run has locked, which started nothing: somebody took its ports after it had looked."""
    command = [*OPSBOOK, "locks", "--json"]
    locks = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    for target in (lock["target"] for lock in locks if lock["run"] == ran.run):
        subprocess.run([*OPSBOOK, "unlock", target, "--reason", "its ports were taken"], cwd=ROOT, check=True)


def free_place() -> Place:
    """The ports of dev if nobody else listens there, otherwise others that this clone is given."""
    before = block()
    now = block("--free")
    if now["first"] != before["first"] and not BEFORE.exists():
        BEFORE.write_text(str(before["first"]) if before["moved"] else "--reset", encoding="utf-8")
    return Place(now["first"], now["urls"]["arcade"], f"dev/{now['clone']}")


def block(*options: str) -> dict[str, Any]:
    """What `opsbook env ports dev` says."""
    command = [*OPSBOOK, "env", "ports", "dev", *options, "--json"]
    return dict(json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout))


def sources() -> dict[str, Path]:
    """Three versions of arcade and the folder of each; the last one is broken.

    Their names carry a digest of the source: a version never changes, and a changed source is another version.
    """
    arcade = ROOT / "services" / "arcade"
    files = sorted(p for p in arcade.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    text = "".join(f"{p.relative_to(arcade)} {hashlib.sha256(p.read_bytes()).hexdigest()}\n" for p in files)
    tag = hashlib.sha256(text.encode()).hexdigest()[:4]
    SOURCES.mkdir(parents=True, exist_ok=True)
    for variant in ("stock", "faulty"):
        shutil.rmtree(SOURCES / variant, ignore_errors=True)
        variants.make(arcade, SOURCES / variant, variant)
    return {f"1.0.0-{tag}": arcade, f"1.1.0-{tag}": SOURCES / "stock", f"1.2.0-{tag}": SOURCES / "faulty"}


def steps(versions: dict[str, Path]) -> list[Step]:
    """The story, in order."""
    first, second, broken = versions
    build = [
        Step(
            f"Build {version}", ("build-release", "-p", f"version={version}", "-p", f"source={path.relative_to(ROOT)}")
        )
        for version, path in versions.items()
    ]
    return [
        Step("Bring the platform up", ("platform-up",)),
        *build,
        Step(f"Deploy {first}", ("deploy-service", "-p", f"version={first}")),
        Step(f"Deploy {second} while players play", ("deploy-service", "-p", f"version={second}"), under_load=True),
        Step(f"Deploy {broken}, which is broken", ("deploy-service", "-p", f"version={broken}"), "rolled-back"),
    ]


def run(step: Step, place: Place | None = None) -> Ran:
    """One run through the command line, shown as it goes on."""
    if not step.under_load or place is None:
        return carried_out(step)
    with load(place) as result:
        ended = carried_out(step)
    return replace(ended, requests=result["requests"], lost=result["failed"])


def carried_out(step: Step) -> Ran:
    """What became of the run that this command started, whatever else goes on here."""
    with tempfile.TemporaryDirectory() as folder:
        name = Path(folder) / "run"
        command = [*OPSBOOK, "run", *step.arguments, "-e", "dev", "--yes", "--id-file", str(name)]
        subprocess.run(command, cwd=ROOT, check=False)
        run_id = name.read_text(encoding="utf-8").strip() if name.exists() else ""
    return told(step, run_id) if run_id else Ran(step, "—", "did not start", 0.0)


def told(step: Step, run_id: str) -> Ran:
    """What the record of a run says."""
    with RUNS.open("a", encoding="utf-8") as known:
        known.write(f"{run_id}\n")
    command = [*OPSBOOK, "records", "show", run_id, "--json"]
    said = json.loads(subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True).stdout)
    return Ran(step, run_id, said["outcome"], said["seconds"] or 0.0, said["reason"] or "")


@contextmanager
def load(place: Place) -> Iterator[dict[str, int]]:
    """Players: requests all the time, eight at once. Their count is there when this is left."""
    result: dict[str, int] = {}
    with tempfile.TemporaryDirectory() as folder:
        stop = Path(folder) / "stop"
        command = [sys.executable, str(ROOT / "services" / "load.py"), "--url", place.url, "--seconds", "600"]
        command += ["--environment", place.mark, "--workers", "8", "--stop-file", str(stop)]
        players = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        try:
            yield result
        finally:
            stop.touch()
            output, _ = players.communicate(timeout=30)
            result.update(json.loads(output))


def report(ran: list[Ran], versions: dict[str, Path], place: Place, seconds: float) -> None:
    """What happened, where everything is, what to try next."""
    print(f"\n━━ The demo took {seconds:.0f} s\n")
    for each in ran:
        mark = "✓" if each.good else "✗"
        players = f"  {each.requests} requests, {each.lost} lost" if each.requests is not None else ""
        print(f"  {mark} {each.step.title:<42} {each.outcome:<12} {each.seconds:5.1f} s{players}")
        print(f"      {each.run}")
    first = next(iter(versions))
    print(f"""
  The service answers at   {place.url}
  The records lie in       records/

  Try next:
    source .venv/bin/activate
    opsbook records show last
    opsbook run service-health -e dev
    opsbook run rollback-service -e dev -p version={first}
    opsbook records verify --all
    make clean-demo""")


def clean() -> int:
    """Stop the platform with its own runbook, then remove releases and records of the demo."""
    step = Step("Take the platform down", ("platform-down", "-p", "purge=true"))
    SOURCES.mkdir(parents=True, exist_ok=True)
    ended = run(step)
    if not ended.good:
        print("The platform could not be taken down; nothing else was removed.", file=sys.stderr)
        return 1
    if BEFORE.exists():
        block(BEFORE.read_text(encoding="utf-8"))
    for run_id in RUNS.read_text(encoding="utf-8").split():
        for folder in ROOT.glob(f"records/*/*/{run_id}"):
            shutil.rmtree(folder)
    for folder in ("releases", "demo", "env", "locks"):
        shutil.rmtree(ROOT / ".opsbook" / folder, ignore_errors=True)
    left = len(list(ROOT.glob("records/*/*/*/journal.jsonl")))
    print("Stopped and removed: the dev environment, its releases, and the demo's records.")
    if left:
        print(f"{left} records of your own runs stay in records/.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
