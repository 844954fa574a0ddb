"""The notify effect: messages of a run to people."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opsbook.core.effects import messages
from opsbook.core.effects.basic import here, secret
from opsbook.core.effects.call import EffectCall
from opsbook.core.effects.channel import perform
from opsbook.core.effects.clean import clean
from opsbook.core.effects.messages import FOLDER, Sent
from opsbook.params import Secret


def notify(event: str, values: Mapping[str, Any] | None = None, *, pretend: Any = None, key: str | None = None) -> Sent:
    """Send the message of an event to every channel of the environment that wants it.

        notify("release-promoted", {"version": version})

    Channels are in environment.yml. A text is a Jinja2 template, `playbooks/messages/EVENT.AUDIENCE.j2` or
    `EVENT.j2`: its first line is the title. It sees `values`, `environment`, `run`, `operator` and `contacts`.
    A channel that fails is tried three times, and never fails the run: `failed` of the result has why.
    The same holds for a text that is missing or cannot be filled in: only a check raises EffectFailed for it. Raises
    TypeError for a secret among the values.
    A check fills in the texts, sends nothing, and returns `pretend`.
    """
    given = dict(values or {})
    if hidden := [name for name, value in given.items() if isinstance(value, Secret)]:
        raise TypeError(f"notify(): {hidden[0]} is a secret, and messages are read by anybody")
    wanted = messages.wanting(event, here.channels)
    addresses = {name: secret(each["to"], key=f"notify {name}") for name, each in wanted.items()}

    def work(call: EffectCall) -> tuple[Sent, Any]:
        context = {name: getattr(here, name) for name in ("environment", "run", "operator", "contacts")}
        texts = messages.texts(event, wanted, {**context, **given}, Path(here.content, FOLDER))
        if call.check:
            messages.check_ready(texts.wrong, wanted)
            told = {"task": f"notify {event}", "state": "changed"}
            titles = {name: texts.texts[each["audience"]][0] for name, each in wanted.items()}
            would = tuple({"host": name, **told, "diff": title} for name, title in titles.items())
            found = Sent(event, (), {}, texts.texts, would)
        else:
            found = messages.send(event, wanted, addresses, texts)
            print(found.headline())
        return found, {**found.to_json(), "changed": bool(found.sent)}

    request = {"event": event, "values": clean(given), "channels": sorted(wanted)}
    # Idempotent: who may have got a message gets it again rather than not at all.
    rules = {"idempotent": True, "key": key, "pretend": pretend, "decode": Sent.of}
    return perform("notify", request, f"notify {event}", work, changes=True, **rules)
