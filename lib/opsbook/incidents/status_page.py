"""The public status page: incidents that people marked as public, in the words that were written for players."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from opsbook import files, html
from opsbook.incidents import store
from opsbook.incidents.incident import State
from opsbook.settings import Settings

_KEPT = timedelta(days=14)
"""How long an incident that is over stays on the page."""

WORDS = {
    State.OPEN: "we look into it",
    State.ACKNOWLEDGED: "we work on it",
    State.MITIGATED: "it works again, and we keep watching",
    State.RESOLVED: "it is over",
    State.REVIEWED: "it is over",
}


def page(settings: Settings, now: datetime) -> str:
    """The page as HTML, without a script and without anything from elsewhere. Only `public` texts are in it."""
    shown = [each for each in store.readable(settings) if each.public]
    return html.render(
        "serve/status.html",
        going_on=[each for each in shown if not each.over],
        over=[
            each for each in shown if each.over and now - datetime.fromisoformat(each.reached[State.RESOLVED]) < _KEPT
        ],
        words=WORDS,
        now=now.astimezone(UTC),
    )


def write(settings: Settings, target: Path | None = None) -> Path | None:
    """Write the page to a file, by default where opsbook.toml says; None if it says nothing. Raises InputError."""
    path = target or (settings.root / settings.status_page if settings.status_page else None)
    if path is None:
        return None
    with files.saying(f"{path} cannot be written", "The incident itself was written."):
        files.write_atomic(path, page(settings, datetime.now(UTC)).encode())
    return path
