"""Messages that no cell sends: who could approve a run is told, who looks after incidents."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from opsbook.core.effects import messages
from opsbook.core.effects.messages import Channels, Sent
from opsbook.core.model.environment import Channel, Environment
from opsbook.core.model.plan import Plan
from opsbook.core.model.text import quoted
from opsbook.core.planning import context
from opsbook.errors import InputError
from opsbook.params import Secret
from opsbook.settings import Settings

EVENT = "approval-wanted"


def approvers(settings: Settings, environment: Environment, plan: Plan, labels: Mapping[str, str]) -> str:
    """Send `approval-wanted`; what became of it, empty where nobody wants it. A channel that fails stops nothing."""
    values = {
        "runbook": plan.runbook,
        "title": plan.title,
        "plan": plan.id,
        "parameters": ", ".join(f"{name}={quoted(value)}" for name, value in plan.parameters.items()),
        "labels": ", ".join(f"{name}={quoted(value)}" for name, value in labels.items()),
    }
    sent = tell(settings, environment, EVENT, values)
    return sent.headline() if sent else ""


def tell(
    settings: Settings,
    environment: Environment,
    event: str,
    values: Mapping[str, Any],
    audience: str = "",
    paged: str = "",
) -> Sent | None:
    """Send an event to the channels that want it, and for whose audience there is a text; None without such a channel.

    With `audience`, only to those of that audience. `paged`: who is paged by it, and gets it on channels of his own.
    Once: whoever asked waits for it, and can ask again.
    """
    folder = settings.content / messages.FOLDER
    wanted = {
        name: each
        for name, each in messages.wanting(event, _channels(environment.policy.channels), paged).items()
        if audience in ("", each["audience"]) and _has_text(settings, event, each["audience"])
    }
    if not wanted:
        return None
    said = {"environment": environment.name, "operator": context.operator(), "contacts": environment.policy.contacts}
    texts = messages.texts(event, wanted, {**said, **values}, folder)
    try:
        return messages.send(event, wanted, _addresses(settings, environment, wanted), texts, tries=1)
    except InputError as error:
        return Sent(event, (), dict.fromkeys(wanted, error.message), texts.texts)


def tries(settings: Settings, environment: Environment, events: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Send a test through each channel that one of these events reaches, whoever is on call: its name, and why it was
    not taken, empty if it was. Without events, through each channel.
    """
    title = f"Test of messages from {environment.name}"
    body = f"Nothing happened. {context.operator()} tries whether messages about incidents arrive here."
    for name, each in _channels(environment.policy.channels).items():
        one = {name: {**each, "person": ""}}
        reached = (messages.wanting(event, one) and _has_text(settings, event, each["audience"]) for event in events)
        if not events or any(reached):
            text = messages.Texts({each["audience"]: (title, body)}, {})
            try:
                sent = messages.send("test", one, _addresses(settings, environment, one), text, tries=1)
                yield name, sent.failed.get(name, "")
            except InputError as error:
                yield name, error.message


def reached(settings: Settings, channels: Mapping[str, Channel], event: str, person: str) -> set[str]:
    """The channels that get an event which pages this person: they want it, and there is a text for them."""
    wanted = messages.wanting(event, _channels(channels), person)
    return {name for name, each in wanted.items() if _has_text(settings, event, each["audience"])}


def _channels(channels: Mapping[str, Channel]) -> dict[str, dict[str, Any]]:
    return {name: each.model_dump(mode="json") for name, each in channels.items()}


def _has_text(settings: Settings, event: str, audience: str) -> bool:
    folder = settings.content / messages.FOLDER
    return any((folder / file).is_file() for file in messages.files_of(event, audience))


def _addresses(settings: Settings, environment: Environment, wanted: Channels) -> dict[str, Secret]:
    """Where each channel leads. Raises InputError if that secret is not available."""
    named = {each["to"] for each in wanted.values()}
    policy = environment.policy
    only = policy.model_copy(update={"secrets": {name: to for name, to in policy.secrets.items() if name in named}})
    vault = context.vault(settings, replace(environment, policy=only), {}, {})
    return {name: Secret(vault.get(each["to"]) or "", each["to"]) for name, each in wanted.items()}
