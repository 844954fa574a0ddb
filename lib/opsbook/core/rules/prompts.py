"""C011: a playbook that asks a person, where nobody can answer."""

from opsbook.core.model.runbook import Runbook
from opsbook.core.rules.base import Found, Known, at, calls
from opsbook.core.source.prompts import unanswered, way_out


def _asks(runbook: Runbook, known: Known) -> Found:
    """C011: a prompt that no call answers."""
    for _step, call in calls(runbook):
        name = call.literal(0, "name") if call.name == "playbook" else None
        if name is None or known.prompts is None:
            continue
        for prompt in unanswered(call, known.prompts(name)):
            text = f"{prompt}, and nobody can answer; {way_out(prompt)}"
            yield at(runbook, call.line, "C011", text, column=call.column, warning=not prompt.sure)


CHECKS = (_asks,)
