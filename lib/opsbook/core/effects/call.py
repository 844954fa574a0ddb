"""A running effect, as the code that performs it sees it: its progress, its output, a question to the operator."""

import queue
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from opsbook.core.effects import watch

if TYPE_CHECKING:
    from opsbook.core.effects.channel import Channel

Frame = dict[str, Any]

_ROOM = 64 * 1024
"""Characters that one effect may print into the journal; from then on, its latest line is shown now and then."""

_END, _LINES = 4 * 1024, 20
"""Characters and lines of the end of such output that go there as well."""


@dataclass
class EffectCall:
    """An effect that the gate allowed. `folder` is a name for private files; `cancelled`: stop soon.

    `without` names hosts that the operator left out of this run. `check`: only simulate.
    `then` is the recorded answer, if a replay asks again.
    `gentle` work checks `cancelled` itself; other work is interrupted like any Python code. `touched`: an effect
    within it may have changed something. `polls`: what its effects print is not shown, since they repeat.
    """

    channel: "Channel"
    number: int
    gentle: bool = False
    folder: str = ""
    without: tuple[str, ...] = ()
    check: bool = False
    unknown: str = ""
    touched: bool = False
    polls: bool = False
    room: int = _ROOM
    end: str = ""
    cancelled: threading.Event = field(default_factory=threading.Event)
    attachment: bytes | None = None
    then: Frame | None = None
    watcher: watch.Watcher = field(default_factory=watch.Watcher)
    _samples: "queue.SimpleQueue[Frame | None]" = field(default_factory=queue.SimpleQueue)

    def sample(self, sample: Any, show: str = "") -> None:
        """Report progress of the effect; `show` is one line for people."""
        self._samples.put({"id": self.number, "op": "sample", "sample": sample, "show": show})
        self.watcher.sample(sample, show)

    def printed(self, name: str, text: str) -> None:
        """Report whole lines that the effect printed to the stream `name`."""
        if self.polls:
            return
        last = text.strip().rpartition("\n")[2].rpartition("\r")[2]
        now = text if len(text) <= self.room else text[: text.rfind("\n", 0, self.room) + 1]
        self.room -= len(now)
        if now:
            self._print(name, now)
        if len(now) < len(text):
            self.room, self.end = 0, (self.end + text)[-_END:]
            self.sample({"line": last}, last)
        else:
            self.watcher.sample(None, last)

    def _print(self, name: str, text: str) -> None:
        self._samples.put({"id": self.number, "op": "printed", "name": name, "text": text})

    def pump(self) -> None:
        """Send samples until the effect ends; runs in a thread, so that event handlers never block."""
        while (frame := self._samples.get()) is not None:
            self.channel.send(frame)

    def close(self) -> None:
        if self.end:
            # The first line may be cut.
            self._print("stdout", "\n".join(["…", *self.end.split("\n")[1:][-_LINES - 1 :]]))
        self._samples.put(None)
