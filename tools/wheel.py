"""Build the wheel, and the constraints that install it with the versions that were tested.

    make wheel

The constraints have no hashes: with them pip would require hashes for everything, also for the wheel.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
LOCKS = ("requirements.lock", "requirements-dev.lock")


def main() -> int:
    """Write the wheel and the constraints to dist/, and print how to install them."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(DIST)]
    subprocess.run(command, cwd=ROOT, check=True)
    wheel = max(DIST.glob("opsbook-*.whl"), key=lambda path: path.stat().st_mtime)
    constraints = DIST / "constraints.txt"
    constraints.write_text("".join(f"{each}\n" for each in sorted(pinned())), encoding="utf-8")
    shown = [str(path.relative_to(ROOT)) for path in (constraints, wheel)]
    print(f"To install it elsewhere: pip install --constraint {' '.join(shown)}")
    return 0


def pinned(locks: tuple[str, ...] = LOCKS) -> set[str]:
    """`name==version ; marker` of every locked package."""
    lines = (line for lock in locks for line in (ROOT / lock).read_text(encoding="utf-8").splitlines())
    return {line.removesuffix("\\").strip() for line in lines if line[:1].isalnum()}


if __name__ == "__main__":
    sys.exit(main())
