"""The page of one record: what a run did, readable without opsbook, a server, a script or the network.

Text from hosts and people is untrusted: every value is escaped.
"""

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from opsbook.core.model.text import duration, slug
from opsbook.html import document, rows, tag, text

LONGEST = 20_000
"""Characters of a step's output that are shown; the record has all of it."""


def page(told: Mapping[str, Any], outputs: Mapping[str, str]) -> str:
    """An HTML document from the summary of a record and the output of each step."""
    title = f"{told.get('title') or told.get('runbook')} in {told.get('environment')}"
    return document(f"{title}: {told.get('outcome')}", "\n".join(_body(title, told, outputs)))


def _body(title: str, told: Mapping[str, Any], outputs: Mapping[str, str]) -> Iterator[str]:
    yield tag("h1", text(title))
    yield tag("p", f"{_state(told.get('outcome'))} {text(told.get('reason') or '')}")
    by = ", then ".join(map(str, told.get("operators") or [told.get("operator") or "—"]))
    took = told.get("seconds")
    line = f"{told.get('run')} · by {by} · {span(told.get('started'), told.get('ended'))}"
    took_in_all = f" · {duration(took)}" if took is not None else ""
    commit = f" · from commit {told['commit']}" if told.get("commit") else ""
    yield tag("p", text(line + took_in_all + commit), class_="q")
    if told.get("unknown"):
        yield tag("h2", "Nobody knows what became of")
        yield tag("ul", "".join(tag("li", text(each)) for each in told["unknown"]))
    parameters = ((text(name), text(value)) for name, value in (told.get("parameters") or {}).items())
    yield from _part("Parameters", rows(("name", "value"), parameters, "p"))
    yield from _part("Steps", rows(("step", "status", "took"), map(_step, told.get("steps") or ()), "s"))
    changing = [effect for effect in told.get("effects") or () if effect["changes"]]
    yield from _part("What may have changed", rows(("effect", "status", "changed"), map(_effect, changing), "e"))
    titles = {step["step"]: step["title"] for step in told.get("steps") or ()}
    printed = "\n".join(_output(titles.get(step, step), said) for step, said in outputs.items() if said.strip())
    yield from _part("Output", printed)
    run = text(told.get("run"))
    yield tag(
        "p", f"<code>opsbook records verify {run}</code> says whether this record is as it was sealed.", class_="q"
    )


def span(started: object, ended: object) -> str:
    """Begin and end, to the second; the day and the zone are written once if they are the same."""
    first, last = _time(started), _time(ended)
    if first[:10] == last[:10] and first.endswith(" UTC") and last.endswith(" UTC"):
        return f"{first.removesuffix(' UTC')} to {last[11:]}"
    return f"{first} to {last}"


def _time(value: object) -> str:
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S UTC") if found.tzinfo else str(value)
    except (ValueError, OverflowError):
        return str(value or "no end")


def _part(title: str, content: str) -> Iterator[str]:
    if content:
        yield from (tag("h2", title), content)


def _state(status: object) -> str:
    return tag("span", text(status), class_=f"o {slug(str(status))}")


def _step(step: Mapping[str, Any]) -> tuple[str, ...]:
    took = duration(step["seconds"]) if step["seconds"] is not None else "—"
    why = f"<br>{text(step['why'])}" if step.get("why") else ""
    return text(f"{step['section']} / {step['title']}"), _state(step["status"]) + why, took


def _effect(effect: Mapping[str, Any]) -> tuple[str, ...]:
    changed = {True: "yes", False: "no", None: "unknown"}[effect["changed"]]
    return text(effect["summary"]), _state(effect["status"]), changed


def _output(title: str, said: str) -> str:
    cut = (
        said if len(said) <= LONGEST else f"{said[:LONGEST]}\n… {len(said) - LONGEST} more characters are in the record"
    )
    # HTML drops a line end directly after <pre>; escaped as an entity, it is kept.
    return tag("details", tag("summary", text(title)) + tag("pre", text(cut)), open=True)
