"""What is usually done next in an incident, as commands to paste."""

import shlex

from opsbook.incidents.incident import Incident, State


def run_line(found: Incident) -> str:
    """The command that runs the page of an incident."""
    values = [word for name, value in found.parameters.items() for word in ("-p", f"{name}={value}")]
    place = ["-e", found.environment] if found.environment else []
    return shlex.join(["opsbook", "run", found.runbook, *place, *values, "--incident", found.id])


def after(found: Incident) -> str:
    """The command of the next state; empty after the last one."""
    lines = {
        State.OPEN: f"opsbook incident ack {found.id}",
        State.ACKNOWLEDGED: f'opsbook incident mitigate {found.id} "HOW"',
        State.MITIGATED: f'opsbook incident resolve {found.id} "HOW"',
        State.RESOLVED: f"opsbook incident review {found.id}",
    }
    return lines.get(found.state, "")


def commands(found: Incident) -> list[str]:
    """The page that helps, while the incident lasts, and the next state."""
    own = [run_line(found)] if found.runbook and not found.over else []
    return own + ([line] if (line := after(found)) else [])
