"""`python -m tests.bench [CASE …] [--pairs N]`: measure; without a CASE, all of them, into docs/benchmarks.md."""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.bench import cases, report
from tests.support import ROOT


def main() -> int:
    """Exit code 1 if a budget is not met."""
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("case", nargs="*", choices=[[], *cases.CASES], help="all, if none is named")
    parser.add_argument("--pairs", type=int, default=5, help="measurements of each tool, in turn (5)")
    options = parser.parse_args()
    chosen = options.case or list(cases.CASES)
    rows = []
    with tempfile.TemporaryDirectory(prefix="opsbook-bench-") as folder:
        for name in chosen:
            for row in cases.CASES[name](Path(folder) / name, options.pairs):
                print(row.line(), flush=True)
                rows.append(row)
            if not options.case:
                report.write(ROOT / "docs/benchmarks.md", rows, options.pairs)
    return 0 if all(row.met for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
