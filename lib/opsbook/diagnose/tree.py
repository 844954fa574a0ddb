"""A decision tree as a value: questions with answers, and at the end of each way what to do."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

_LINK = re.compile(r"\[([^\]]+)\]\(([^)\s]+)\)")


@dataclass(frozen=True)
class TreeCheck:
    """What answers a question by looking, as written: `get arcade/health is 200`. It only reads.

    `what`: get or port. `where`: a service and a path, or host:port. `status` is the one expected, else any below
    400; `within` seconds.
    """

    written: str
    what: str
    where: str
    status: int | None = None
    within: float = 5.0


@dataclass(frozen=True)
class Node:
    """A question with its answers, or what to do where there are none. `text` is Markdown of one line."""

    text: str
    line: int
    check: TreeCheck | None = None
    answers: tuple[tuple[str, "Node"], ...] = ()

    @property
    def plain(self) -> str:
        """The text without Markdown."""
        return _LINK.sub(r"\1", self.text).replace("**", "").replace("`", "")

    def pages(self) -> Iterator[str]:
        """Names of the documents that it links to."""
        for _, target in _LINK.findall(self.text):
            path = PurePosixPath(target.partition("#")[0])
            if path.suffix == ".md" and path.parent.name in ("runbooks", "procedures"):
                yield path.stem


@dataclass(frozen=True)
class Tree:
    """A decision tree. `symptoms` are what somebody sees who needs it; `intro` and `outro` the text around its list."""

    name: str
    title: str
    root: Node
    symptoms: tuple[str, ...] = ()
    intro: str = ""
    outro: str = ""
