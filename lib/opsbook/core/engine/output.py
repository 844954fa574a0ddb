"""What cells print: redacted as a stream, journaled up to a limit, spilled to a file beyond it."""

import asyncio
import contextlib
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from opsbook.core.model.effect import MARK
from opsbook.core.model.event import Data
from opsbook.core.model.events import Output, OutputBetween, OutputProgress
from opsbook.core.model.redact import RedactedStream, Redactor
from opsbook.core.model.sink import Sink, Stream
from opsbook.errors import OpsbookError

HEAD = 64 * 1024
"""Characters of a cell's streams that go into journal and notebook; the rest goes to a file."""

TAIL = 16 * 1024
"""Characters of the end that are kept as well."""

RICH = 4 * 1024 * 1024
"""Limit of all rich output of one cell, in characters."""

EVERY = 1.0
"""Seconds between two lines that show how output goes on which is too long for the journal."""

LONGEST_SHOWN = 400
"""Characters of such a line."""

LINES, LONGEST_LINE = 100, 4000
"""Limits of a traceback: lines, and characters of a line."""

LARGE = 256 * 1024
"""A longer rich output (an image, a table) is replaced by a remark."""


@dataclass
class _Cell:
    """The output of the running cell."""

    id: str
    streams: dict[tuple[str, str], RedactedStream] = field(default_factory=dict)
    written: int = 0
    spill: Stream | None = None
    tail: str = ""
    rich: int = 0
    latest: str = ""
    timer: asyncio.TimerHandle | None = None


class Outputs:
    """Collects the output of one cell after another into the sink."""

    def __init__(self, sink: Sink, redactor: Redactor, on_mark: Callable[[int], None]) -> None:
        self._sink = sink
        self.redactor = redactor
        self._on_mark = on_mark
        self._cell = _Cell("")
        self._number = 0

    def begin(self, cell: str) -> None:
        """Assign output from now on to this cell; first close the output since the last cell."""
        between = self.end()
        if between:
            self._sink.write(OutputBetween(**between))
        self._cell = _Cell(cell)
        self._number += 1

    def end(self) -> Data:
        """End the cell's output; returns the fields about it for the closing event."""
        cell, found = self._cell, {}
        for (_, name), stream in cell.streams.items():
            self._text(name, stream.flush())
        if cell.timer is not None:
            cell.timer.cancel()
        if cell.spill is not None:
            found = {"tail": f"\n…\n{cell.tail}", "file": cell.spill.close()}
        self._cell = _Cell("")
        return found

    def raw(self, text: str) -> None:
        """Handle output that the kernel's process wrote past IPython."""
        self._stream("raw", "stdout", text)

    def message(self, message: dict[str, Any]) -> None:
        """Handle one message of the kernel's iopub channel."""
        content = message["content"]
        match message["msg_type"]:
            case "stream":
                self._stream("iopub", content["name"], content["text"])
            case "display_data" if MARK in content["data"]:
                mark = content["data"][MARK]
                # A cell may print anything of this MIME type.
                if isinstance(mark, dict) and isinstance(mark.get("id"), int):
                    self._on_mark(mark["id"])
            case "display_data" | "execute_result" | "update_display_data" | "clear_output" | "error" as kind:
                self._rich(_output(kind, content))

    def _stream(self, source: str, name: str, text: str) -> None:
        """Redact each source separately: interleaved text could split a secret."""
        stream = self._cell.streams.setdefault((source, name), self.redactor.stream())
        self._text(name, stream.feed(text))

    def _text(self, name: str, text: str) -> None:
        """Write redacted text, up to the limit; spill the rest to a file."""
        cell = self._cell
        if not text:
            return
        room = max(0, HEAD - cell.written)
        if len(text) > room:
            # From here on everything goes to the file, which begins with a whole line if it can.
            room, cell.written = text.rfind("\n", 0, room) + 1 or room, HEAD
        now, later = text[:room], text[room:]
        cell.written += len(now)
        if now:
            output = {"output_type": "stream", "name": name, "text": now}
            self._sink.write(Output(cell=cell.id, output=output))
        if later:
            self._spill(later)

    def _spill(self, text: str) -> None:
        cell = self._cell
        if cell.spill is None:
            cell.spill = self._sink.stream(
                "outputs", f"{self._number:04d}-{cell.id.replace('/', '-')[:60] or 'between'}.txt"
            )
        cell.spill.append(text)
        cell.tail = (cell.tail + text)[-TAIL:]
        cell.latest = (text.rpartition("\n")[0] or text).rpartition("\n")[2][-LONGEST_SHOWN:]
        if cell.timer is None:
            # Not only when something comes: the line before a long silence says what it waits for.
            cell.timer = asyncio.get_running_loop().call_later(EVERY, self._tell, cell)

    def _tell(self, cell: _Cell) -> None:
        """Show how output goes on."""
        cell.timer = None
        with contextlib.suppress(OpsbookError):
            self._sink.write(OutputProgress(cell=cell.id, text=cell.latest))

    def _rich(self, output: Data) -> None:
        size = len(json.dumps(output))
        if self._cell.rich + size > RICH:
            said = "(more rich output is not kept; use attach() for evidence)\n"
            output = {"output_type": "stream", "name": "stderr", "text": said}
        self._cell.rich += size
        self._sink.write(Output(cell=self._cell.id, output=output))


def _output(kind: str, content: dict[str, Any]) -> Data:
    """An nbformat output, with a display id if it may be updated later."""
    if kind == "error":
        lines = [str(line)[:LONGEST_LINE] for line in content["traceback"][-LINES:]]
        value = str(content["evalue"])[:LONGEST_LINE]
        return {"output_type": "error", "ename": str(content["ename"]), "evalue": value, "traceback": lines}
    if kind == "clear_output":
        return {"output_type": "clear_output"}
    found = {"output_type": kind, "data": _small(content["data"]), "metadata": content.get("metadata", {})}
    if kind == "execute_result":
        found["execution_count"] = content["execution_count"]
    display = content.get("transient", {}).get("display_id")
    return found | ({"display_id": display} if display else {})


def _small(data: dict[str, Any]) -> dict[str, Any]:
    """The MIME bundle without parts that are too long for the journal."""
    json_kinds = ("application/json", "+json")
    kept = {str(kind): value if str(kind).endswith(json_kinds) else str(value) for kind, value in data.items()}
    kept = {kind: value for kind, value in kept.items() if not isinstance(value, str) or len(value) <= LARGE}
    if len(kept) < len(data) and "text/plain" not in kept:
        kept["text/plain"] = f"(output of more than {LARGE // 1024} KiB left out; use attach() to keep it)"
    return kept
