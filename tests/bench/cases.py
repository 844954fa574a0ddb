"""What is measured. Each case gets an empty folder and the number of pairs, and gives rows of the report."""

import json
import sys
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from statistics import median

from opsbook.core.model.redact import Redactor
from opsbook.core.record.journal import Journal
from tests.bench import measure, pages, project
from tests.bench.measure import Measured, Pair
from tests.bench.report import Row

_BIN = Path(sys.executable).parent
_OPSBOOK = [sys.executable, "-m", "opsbook.cli.main"]
_MIB = "MiB"


def _run(name: str) -> list[str]:
    return [*_OPSBOOK, "run", name, "-e", "dev", "--yes"]


def _papermill(name: str) -> list[str]:
    return [str(_BIN / "papermill"), f"{name}.ipynb", "out.ipynb"]


def _nbclient(name: str) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("plain_nbclient.py")), f"{name}.ipynb", "out.ipynb"]


def _in_turn(
    root: Path, pairs: int, ours: list[str], theirs: list[str], *, warm: bool = False
) -> tuple[list[Measured], list[Measured]]:
    """Both, one after the other, so that whatever else the machine does meets both. `warm`: both ran before."""
    found: tuple[list[Measured], list[Measured]] = ([], [])
    for number in range(pairs if warm else pairs + 1):
        order = ((0, ours), (1, theirs)) if number % 2 else ((1, theirs), (0, ours))
        for side, argv in order:
            found[side].append(measure.run(argv, root))
    return found if warm else (found[0][1:], found[1][1:])


def _seconds(found: tuple[list[Measured], list[Measured]]) -> Pair:
    return Pair([m.seconds for m in found[0]], [m.seconds for m in found[1]])


def _first(found: tuple[list[Measured], list[Measured]]) -> Pair:
    return Pair([m.first or 0.0 for m in found[0]], [m.first or 0.0 for m in found[1]])


def _memory(found: list[Measured], name: str = "together") -> tuple[float, ...]:
    return tuple(m.memory.get(name, 0.0) for m in found)


def start(root: Path, pairs: int) -> Iterator[Row]:
    """The command line without a run."""
    project.make(root)
    project.many(root, 1000)
    for what, argv, budget in (
        ("`opsbook --help`", [*_OPSBOOK, "--help"], 0.15),
        ("`opsbook list` of 1,000 runbooks, warm", [*_OPSBOOK, "list"], 0.3),
    ):
        measure.run(argv, root)
        yield Row(what, "", None, budget, own=tuple(measure.run(argv, root).seconds for _ in range(pairs)))


def small(root: Path, pairs: int) -> Iterator[Row]:
    """A run of three small cells."""
    project.make(root)
    # Papermill's kernel starts in the folder of the notebook, opsbook's finds lib/ by itself.
    (root / "stamp.py").write_text((root / "lib/stamp.py").read_text(encoding="utf-8"), encoding="utf-8")
    project.page(root, "small", ["import stamp\nstamp.mark()", "a = 1", "print(a)"])
    found = _in_turn(root, pairs, _run("small"), _papermill("small"))
    yield Row("a small run: command line to first cell", "papermill", _first(found), 0.8)
    yield Row("a small run as a whole", "papermill", _seconds(found), 1.0)
    memory = Pair(list(_memory(found[0])), list(_memory(found[1])))
    yield Row("a small run: peak memory of all processes", "papermill", memory, 2.0, _MIB)


def cells(root: Path, pairs: int) -> Iterator[Row]:
    """Many small cells."""
    project.make(root)
    for count in (100, 400, 1000):
        project.page(root, f"cells-{count}", [f"x = {n}" for n in range(count)])
    for count in (100, 400, 1000):
        name = f"cells-{count}"
        found = _in_turn(root, pairs, _run(name), _nbclient(name))
        yield Row(f"{count:,} small cells", "nbclient", _seconds(found), 1.2)
    yield _line(root, pairs)


def papermill(root: Path, pairs: int) -> Iterator[Row]:
    """A thousand small cells. Papermill takes about six minutes for them: one pair says enough."""
    project.make(root)
    project.page(root, "cells", [f"x = {n}" for n in range(1000)])
    found = _in_turn(root, 1, _run("cells"), _papermill("cells"), warm=True)
    yield Row("1,000 small cells (one pair)", "papermill", _seconds(found), 0.05)


def _line(root: Path, pairs: int) -> Row:
    """Whether the time for a cell stays what it is: from 400 to 1,000 cells against from 100 to 400."""
    took = {n: median(measure.run(_run(f"cells-{n}"), root).seconds for _ in range(pairs)) for n in (100, 400, 1000)}
    slopes = (took[1000] - took[400]) / 600, (took[400] - took[100]) / 300
    pair = Pair([slopes[0] * 1000], [slopes[1] * 1000])
    return Row("time for one more cell at 1,000", "the same at 400", pair, 1.25, "ms")


def playbook(root: Path, pairs: int) -> Iterator[Row]:
    """The effect against the command it runs."""
    project.make(root)
    for name, budget in (("one", 1.35), ("long", 1.1)):
        project.page(root, name, [f"from opsbook import playbook\nplaybook('{name}.yml', changes=False)"])
        shell = [str(_BIN / "ansible-playbook"), "-i", "playbooks/inventories/dev/hosts.yml", f"playbooks/{name}.yml"]
        ours, theirs = [], []
        for _ in range(pairs):
            theirs.append(measure.run(shell, root).seconds)
            measure.run(_run(name), root)
            ours.append(_effect_seconds(root))
        what = {"one": "`playbook()` with one task", "long": "`playbook()` that takes 10 s"}[name]
        yield Row(what, "ansible-playbook", Pair(ours, theirs), budget)


def _effect_seconds(root: Path) -> float:
    """From the intent of the newest run's effect to its result."""
    path = max(root.glob("records/*/*/*/journal.jsonl"), key=lambda found: found.parent.name)
    events = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    times = {e["type"]: datetime.fromisoformat(e["time"]) for e in events if e["type"].startswith("effect-")}
    return (times["effect-result"] - times["effect-intent"]).total_seconds()


def output(root: Path, pairs: int) -> Iterator[Row]:
    """A gibibyte in one cell; a minute or more for each tool, so one pair."""
    project.make(root)
    project.page(root, "output", ["line = 'x' * 1023\nfor _ in range(1024 * 1024):\n    print(line)"])
    found = _in_turn(root, 1, _run("output"), _nbclient("output"), warm=True)
    yield Row("1 GiB of output in one cell (one pair)", "nbclient", _seconds(found), 1.0)
    beside = f"nbclient: {median(_memory(found[1], 'runner')):,.0f} MiB"
    yield Row("1 GiB of output: peak memory of the runner", beside, None, 250, _MIB, _memory(found[0], "runner"))
    yield Row("1 GiB of output: peak memory of the kernel", "", None, 250, _MIB, _memory(found[0], "kernel"))


def journal(root: Path, pairs: int) -> Iterator[Row]:
    """Lines of output into the journal, with a secret to look for."""
    speeds = []
    for number in range(pairs):
        folder = root / str(number)
        folder.mkdir(parents=True)
        redactor = Redactor()
        redactor.add("token", "a-secret-of-some-length")
        book = Journal(folder, redactor)
        started = time.monotonic()
        for line in range(50_000):
            text = f"line {line} of the output of a program that has something to say\n"
            book.put("output", {"cell": "a/1", "output": {"output_type": "stream", "name": "stdout", "text": text}})
        book.close()
        speeds.append(50_000 / (time.monotonic() - started))
    yield Row("the journal: output events a second", "", None, 20_000, "/s", tuple(speeds), least=True)


def site(root: Path, pairs: int) -> Iterator[Row]:
    """The docs site. A build takes a minute or more, so there are fewer pairs."""
    count, few = 1200, max(1, pairs // 2)
    ours, plain, recorded = (root / name for name in ("ours", "plain", "recorded"))
    pages.make(ours, plain, count)
    pages.make(recorded, plain, count)
    pages.records(recorded, 10_000, count)

    def build(project: Path) -> list[str]:
        return [str(_BIN / "mkdocs"), "build", "--quiet", "--config-file", str(project / "mkdocs.yml")]

    found = _in_turn(root, few, build(ours), build(plain), warm=True)
    yield Row(f"the docs site of {count:,} runbooks ({few} pairs)", "plain Material", _seconds(found), 1.3)
    found = _in_turn(root, few, build(recorded), build(ours), warm=True)
    yield Row(f"the same with 10,000 records ({few} pairs)", "without records", _seconds(found), 1.2)


CASES: dict[str, Callable[[Path, int], Iterator[Row]]] = {
    case.__name__: case for case in (start, small, cells, playbook, journal, site, output, papermill)
}
