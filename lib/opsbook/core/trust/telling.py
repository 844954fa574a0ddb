"""Messages about runs that have not begun: who could approve one is told, with the command to type."""

from collections.abc import Mapping
from dataclasses import replace

from opsbook.core.effects import messages
from opsbook.core.effects.messages import Channels, Sent, Source
from opsbook.core.model.environment import Environment
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import quoted
from opsbook.core.planning import context
from opsbook.errors import InputError
from opsbook.params import Secret
from opsbook.settings import Settings

EVENT = "approval-wanted"


def approvers(settings: Settings, environment: Environment, plan: Plan, labels: Mapping[str, str]) -> str:
    """Send `approval-wanted` to the channels that want it, and for whose audience there is a text; what became of it,
    empty without such a channel. A channel that fails stops nothing.
    """
    folder = settings.content / messages.FOLDER
    channels = {name: each.model_dump(mode="json") for name, each in environment.policy.channels.items()}
    wanted = {
        name: each
        for name, each in messages.wanting(EVENT, channels).items()
        if any((folder / file).is_file() for file in messages.files_of(EVENT, each["audience"]))
    }
    if not wanted:
        return ""
    said = {"environment": environment.name, "operator": context.operator(), "contacts": environment.policy.contacts}
    values = {
        "runbook": plan.runbook,
        "title": plan.title,
        "plan": plan.id,
        "parameters": ", ".join(f"{name}={quoted(value)}" for name, value in plan.parameters.items()),
        "labels": ", ".join(f"{name}={quoted(value)}" for name, value in labels.items()),
    }
    texts = messages.texts(EVENT, wanted, values, Source(folder, said))
    try:
        # Once: whoever asked waits for it, and can ask again.
        sent = messages.send(EVENT, wanted, _addresses(settings, environment, wanted), texts, tries=1)
    except InputError as error:
        sent = Sent(EVENT, (), dict.fromkeys(wanted, error.message), texts.texts)
    return sent.headline()


def _addresses(settings: Settings, environment: Environment, wanted: Channels) -> dict[str, Secret]:
    """Where each channel leads. Raises InputError if that secret is not available."""
    named = {each["to"] for each in wanted.values()}
    policy = environment.policy
    only = policy.model_copy(update={"secrets": {name: to for name, to in policy.secrets.items() if name in named}})
    vault = context.vault(settings, replace(environment, policy=only), {}, {})
    return {name: Secret(vault.get(each["to"]) or "", each["to"]) for name, each in wanted.items()}
