"""Effects in a notebook: one line for each, which is updated in place and ends as the result."""

import html
import time
from collections.abc import Callable
from typing import Any

from opsbook.core.effects.show import Shown, html_table
from opsbook.core.effects.watch import Watcher, when
from opsbook.core.model.tasks import TASK_STARTS, on_host
from opsbook.core.model.text import duration, one_line
from opsbook.errors import EffectFailed

EVERY = 0.2
"""Seconds between two updates."""

_HOSTS = 20
"""Hosts that are shown while a playbook runs."""

_SIGNS = {"going": "◌", "succeeded": "✓", "failed": "✗", "interrupted": "■"}
_COLOURS = {
    "going": "var(--jp-info-color1, #0b6bcb)",
    "succeeded": "var(--jp-success-color1, #1a7f37)",
    "failed": "var(--jp-error-color1, #c62828)",
    "interrupted": "var(--jp-warn-color1, #b25e00)",
}
_FONT = "font-family: var(--jp-ui-font-family, sans-serif); font-size: var(--jp-ui-font-size1, 13px)"
_TABLE = f"{_FONT}; margin-left: 1.4em"


class PlaybookProgress(Watcher):
    """Shows one effect. `publish` gets HTML and text, which replace the previous ones."""

    def __init__(self, summary: str, publish: Callable[[dict[str, str]], None]) -> None:
        self._summary = summary
        self._publish = publish
        self._started = self._next = time.monotonic()
        self._now = ""
        self._hosts: dict[str, str] = {}
        self._show("going", one_line(summary, 200))

    def sample(self, sample: Any, show: str) -> None:
        event = sample if isinstance(sample, dict) else {}
        ended = on_host(event)
        if ended is not None:
            self._hosts[ended.host] = one_line(f"{ended.task}: {ended.state}", 120)
        elif show or event.get("event") in TASK_STARTS:
            self._now = one_line(show or str(event.get("task")), 160)
        else:
            return
        if time.monotonic() >= self._next:
            self._next = time.monotonic() + EVERY
            spent = duration(time.monotonic() - self._started)
            self._show("going", f"{one_line(self._summary, 200)} · {spent}", self._body())

    def end(self, status: str, outcome: Any) -> None:
        result = outcome.result if isinstance(outcome, EffectFailed) else outcome
        summary = one_line(self._summary, 200)
        if not isinstance(result, Shown):
            # What a person answered, if that was the effect.
            answer = result["value"] if isinstance(result, dict) and set(result) == {"value", "by", "note"} else ""
            said = "interrupted; what it did is unknown" if status == "interrupted" else str(answer)
            self._show(status, f"{summary}: {one_line(said, 200)}" if said else summary)
            return
        names, _ = result.table()
        first, _, rest = result.headline().partition("\n")
        if not names and not first.startswith(self._summary):
            # Use the effect's summary: the headline of a shell cell is the whole script.
            first, rest = f"{summary} · {duration(time.monotonic() - self._started)}", ""
        self._show(status, one_line(first, 300), _rest(rest) + html_table(result, _TABLE), folded=not names)

    def was(self, then: dict[str, Any]) -> None:
        print(when(then))

    def _body(self) -> str:
        rows = list(self._hosts.items())[-_HOSTS:]
        cells = "".join(f"<tr>{_left(host)}{_left(now)}</tr>" for host, now in rows)
        now = f"<div style='opacity: .75; margin-left: 1.4em'>{html.escape(self._now)}</div>" if self._now else ""
        return now + (f"<table style='{_TABLE}'>{cells}</table>" if cells else "")

    def _show(self, status: str, line: str, body: str = "", *, folded: bool = False) -> None:
        sign = f"<b style='color: {_COLOURS[status]}; display: inline-block; width: 1.2em'>{_SIGNS[status]}</b>"
        head = f"{sign}{html.escape(line)}"
        if folded and body:
            inner = f"<details><summary style='cursor: pointer'>{head}</summary>{body}</details>"
        else:
            inner = f"<div>{head}</div>{body}"
        self._publish({"text/html": boxed(inner), "text/plain": f"{_SIGNS[status]} {line}"})


def boxed(inner: str) -> str:
    """Style HTML like JupyterLab's text, and keep MathJax from reading dollar signs as formulas."""
    return f"<div class='mathjax_ignore' style='{_FONT}; padding: 2px 5px'>{inner}</div>"


def told(text: str) -> dict[str, str]:
    """A message of opsbook, in the forms a notebook shows."""
    return {"text/html": boxed(html.escape(text)), "text/plain": text}


def described(result: Shown) -> dict[str, str]:
    """A result that a cell shows later, in the forms a notebook shows."""
    first, _, rest = result.headline().partition("\n")
    inner = f"<div>{html.escape(first)}</div>{_rest(rest)}{html_table(result, _TABLE)}"
    return {"text/html": boxed(inner), "text/plain": repr(result)}


def _left(text: str) -> str:
    """A left-aligned table cell; JupyterLab's default is right-aligned, for numbers."""
    return f"<td style='text-align: left'>{html.escape(text)}</td>"


def _rest(text: str) -> str:
    """The text below a headline."""
    return f"<pre style='white-space: pre-wrap'>{html.escape(text)}</pre>" if text.strip() else ""
