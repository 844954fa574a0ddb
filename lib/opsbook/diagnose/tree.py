"""A decision tree as a value: questions with answers, and at each leaf what to do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class TreeCheck:
    """A check that answers a question, such as `get arcade/health is 200`. It only reads.

    `what`: get or port. `where`: a service and a path, or host:port. `status` is the expected one; without it, any
    below 400. `within` is the time limit in seconds.
    """

    written: str
    what: str
    where: str
    status: int | None = None
    within: float = 5.0


@dataclass(frozen=True)
class Node:
    """A question with its answers, or a leaf that says what to do. `text` is one line of Markdown."""

    text: str
    line: int
    check: TreeCheck | None = None
    answers: tuple[tuple[str, "Node"], ...] = ()

    @property
    def plain(self) -> str:
        """The text without Markdown."""
        return _LINK.sub(r"\1", self.text).replace("**", "").replace("`", "")

    def pages(self) -> Iterator[str]:
        """The names of the runbooks and procedures it links to."""
        for _, target in _LINK.findall(self.text):
            path = PurePosixPath(target.partition("#")[0])
            if path.suffix == ".md" and path.parent.name in ("runbooks", "procedures"):
                yield path.stem


@dataclass(frozen=True)
class Tree:
    """A decision tree. `symptoms` say when it applies; `intro` and `outro` are the text around its list."""

    name: str
    title: str
    root: Node
    symptoms: tuple[str, ...] = ()
    intro: str = ""
    outro: str = ""
