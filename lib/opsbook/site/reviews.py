"""Reviews of incidents, where the policy of their environment lets everybody read what its records say."""

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from opsbook import files
from opsbook.core.model.events import read
from opsbook.incidents import reviewing, store
from opsbook.incidents.facts import IncidentReviewed
from opsbook.incidents.incident import Incident
from opsbook.settings import Settings


@dataclass(frozen=True)
class Review:
    """A closed review: its page (Markdown), and when (UTC) and by whom it was closed."""

    incident: Incident
    text: str
    closed: datetime
    by: str

    @property
    def path(self) -> str:
        return f"{reviewing.FOLDER}/{self.incident.id}.md"


def closed(settings: Settings, shows: Mapping[str, str]) -> Iterator[Review]:
    """Closed reviews of environments with `publish_records: full`, newest first; `shows`: environment -> that.

    One whose page was changed since it was closed is left out: nobody has read it.
    """
    for found in store.readable(settings):
        ended = [(event.time, fact) for event in found.events if isinstance(fact := read(event), IncidentReviewed)]
        if ended and shows.get(found.environment) == "full":
            time, fact = ended[-1]
            with suppress(OSError, UnicodeDecodeError):
                page = files.read(reviewing.page_of(settings, found), within=settings.root)
                if hashlib.sha256(page).hexdigest() == fact.sha256:
                    yield Review(found, page.decode(), datetime.fromisoformat(time), fact.by)
