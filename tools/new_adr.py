"""Start a decision record: `make new-adr TITLE="In a few words"` writes its page and its line in the table."""

import re
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent.parent / "docs/adr"

PAGE = """\
# {number}. {title}

**Decided.**

**Why.**

**Cost.**
"""


def main(arguments: list[str]) -> int:
    """Write the page and the line; the exit code."""
    title = " ".join(arguments).strip()
    words = "-".join(re.findall(r"[a-z0-9]+", title.lower()))
    if not words:
        print('Say what is decided: make new-adr TITLE="In a few words"', file=sys.stderr)
        return 2
    path = begin(FOLDER, title, words)
    print(f"{path}: write Decided, Why and Cost, each in a few sentences.")
    return 0


def begin(folder: Path, title: str, words: str) -> Path:
    """Write the page under the next free number, and its line; the page's path."""
    number = max((int(path.name[:4]) for path in folder.glob("[0-9][0-9][0-9][0-9]-*.md")), default=0) + 1
    path = folder / f"{number:04}-{words}.md"
    path.write_text(PAGE.format(number=number, title=title), encoding="utf-8")
    index = folder / "README.md"
    lines = index.read_text(encoding="utf-8").rstrip().splitlines()
    last = max(place for place, line in enumerate(lines) if line.startswith("|"))
    lines.insert(last + 1, f"| [{number}]({path.name}) | {title} |")
    index.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
