"""The rows of the report, and docs/benchmarks.md."""

from dataclasses import dataclass
from pathlib import Path
from statistics import median

from tests.bench.measure import Pair, environment

_HEAD = """\
# Benchmarks

What opsbook costs beside the tools people use today. Measured by `make bench`, which wrote this page: whole
processes, opsbook and the other tool in turn, {pairs} pairs of each unless it says one; the figures are medians, the
ratio is the median of the pairs' ratios, with the lowest and the highest beside it.

Measured on: {where}.

| what | opsbook | beside it | ratio (spread) | budget | met |
| --- | --- | --- | --- | --- | --- |
"""

_TAIL = """
Papermill writes the whole notebook twice for each cell, so its time grows with the square of their number;
opsbook appends to its journal. The budget of the index is measured when that part is there.
"""


@dataclass(frozen=True)
class Row:
    """One comparison: a pair of series with a budget for the ratio, or figures of opsbook alone with one of its own."""

    what: str
    beside: str
    pair: Pair | None
    budget: float
    unit: str = "s"
    own: tuple[float, ...] = ()
    least: bool = False

    @property
    def value(self) -> float:
        return self.pair.ratio if self.pair else median(self.own)

    @property
    def met(self) -> bool:
        return self.value >= self.budget if self.least else self.value <= self.budget

    def cells(self) -> list[str]:
        ours = median(self.pair.ours) if self.pair else median(self.own)
        theirs = f"{_number(median(self.pair.theirs))} {self.unit} ({self.beside})" if self.pair else self.beside or "—"
        spread = ""
        if self.pair:
            ratios = self.pair.ratios
            spread = f"{self.pair.ratio:.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"
        sign = "≥" if self.least else "≤"
        budget = f"{sign} {self.budget:g}" + (" ×" if self.pair else f" {self.unit}")
        return [
            self.what,
            f"{_number(ours)} {self.unit}",
            theirs,
            spread or "—",
            budget,
            "yes" if self.met else "**no**",
        ]

    def line(self) -> str:
        return "  ".join(self.cells())


def _number(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def write(path: Path, rows: list[Row], pairs: int) -> None:
    """Write the page."""
    table = "".join(f"| {' | '.join(row.cells())} |\n" for row in rows)
    path.write_text(_HEAD.format(pairs=pairs, where=environment()) + table + _TAIL, encoding="utf-8")
