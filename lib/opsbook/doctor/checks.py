"""Find what would keep opsbook, or one run of one runbook, from working.

A check is a small function that yields findings. A check that fails reports that, and does not stop the others.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from opsbook.core.planning.drafts import RunRequest
from opsbook.doctor import ansible_content, machine, project, runbook
from opsbook.doctor.finding import Finding, refused, wrong
from opsbook.errors import InputError, OpsbookError
from opsbook.settings import Settings


@dataclass(frozen=True)
class Check:
    """A named check. A `slow` one may take seconds, and is announced first."""

    name: str
    look: Callable[[], Iterable[Finding]] = field(repr=False)
    slow: bool = False

    def findings(self) -> Iterator[Finding]:
        """The findings of the check; its own failure is a finding too."""
        try:
            yield from self.look()
        except InputError as error:
            yield from refused(error)
        except OpsbookError as error:
            yield wrong(error.message, error.hint or "Correct it and try again.")
        except Exception as error:
            yield wrong(f"this check could not be made: {type(error).__name__}: {error}", "Report this with the line.")


def project_checks(settings: Settings) -> list[Check]:
    """What holds for every run on this machine, in this project."""
    return [
        Check("versions", machine.versions),
        Check("tools", machine.tools),
        Check("private folder", machine.private),
        Check("records and state", lambda: machine.folders(settings)),
        Check("disk", lambda: machine.disk(settings)),
        Check("clock", lambda: machine.clock(settings)),
        Check("environments", lambda: project.environments(settings)),
        Check("ansible.cfg", lambda: ansible_content.config(settings)),
        Check("services under Node", lambda: project.node_packages(settings)),
        Check("monitoring", lambda: project.monitoring_programs(settings)),
        Check("documents", lambda: project.documents(settings)),
        Check("secret files", lambda: project.secret_files(settings)),
        Check("ages of secrets", lambda: project.secret_ages(settings)),
        Check("signing", lambda: project.signing(settings)),
        Check("locks", lambda: project.locks(settings)),
        Check("quarantine", lambda: project.quarantine(settings)),
    ]


def runbook_checks(settings: Settings, request: RunRequest) -> list[Check]:
    """What holds for this runbook in this environment. Raises InputError if there is no such runbook or environment."""
    subject = runbook.subject(settings, request)
    return [
        Check("runbook and environment", lambda: runbook.loads(subject)),
        Check("parameters", lambda: runbook.parameters(subject)),
        Check("secrets", lambda: runbook.secret_references(subject), slow=True),
        Check("questions", lambda: runbook.questions(subject)),
        Check("playbooks", lambda: ansible_content.playbooks(subject), slow=True),
        Check("prompts", lambda: ansible_content.prompts(subject)),
        Check("hosts", lambda: ansible_content.hosts(subject), slow=True),
        Check("services", lambda: runbook.urls(subject), slow=True),
        Check("locks", lambda: runbook.locks(subject)),
    ]
