"""What people do to an incident. Every command prints where the incident is then, and what comes next."""

import argparse
from functools import partial

from opsbook.console import common
from opsbook.console.text import say
from opsbook.core.model.events import read
from opsbook.core.planning import bind
from opsbook.errors import InputError
from opsbook.incidents import acting, executing, status_page, store, telling, timeline
from opsbook.incidents.acting import Acting, Opening
from opsbook.incidents.commands import reading
from opsbook.incidents.facts import IncidentEscalated, MessageSent
from opsbook.incidents.incident import Incident


def open_(options: argparse.Namespace) -> int:
    """Open an incident. Its journal begins, and everybody sees it in opsbook incident list."""
    values = {}
    for name, given in bind.pairs(options.parameter).items():
        if len(given) > 1:
            raise InputError(f"{name} is given {len(given)} times.", "Give it once; put lists into one value.")
        values[name] = given[0]
    settings, severity = common.project(options), options.severity
    if options.impact or options.urgency:
        if severity:
            raise InputError("A severity is given, and what it follows from.", "Leave one of them out.")
        severity = acting.severity_by(settings, options.impact, options.urgency)
    said = Opening(options.title, severity, options.environment, options.runbook, values)
    return _told(options, acting.open_(settings, said))


def ack(options: argparse.Namespace) -> int:
    """Say that you work on it. Only the first one does: everybody else is told who."""
    return _told(options, _acting(options).acknowledge())


def escalate(options: argparse.Namespace) -> int:
    """Page whoever is on call next, because you need help. What they did not hear by then they read in the incident."""
    now = _acting(options).escalate(options.why, options.to)
    code = _told(options, now)
    asked = read(now.events[-1])
    if isinstance(asked, IncidentEscalated) and asked.on_call and asked.reached:
        return code
    if not options.json:
        say(acting.NOBODY)
    return 1


def note(options: argparse.Namespace) -> int:
    """Write down what you saw or did, while you know it."""
    return _told(options, _acting(options).note(options.note, options.at))


def severity(options: argparse.Namespace) -> int:
    """Say how bad it is. Whoever is unsure takes the higher one."""
    return _told(options, _acting(options).severity(options.severity, options.why))


def role(options: argparse.Namespace) -> int:
    """Take a role, or give it to somebody: one person leads, one writes to others, one takes notes."""
    return _told(options, _acting(options).role(options.role, options.who))


def update(options: argparse.Namespace) -> int:
    """Tell others: it is written down, and sent to the channels of the environment for this audience."""
    return _told(options, _acting(options).update(options.audience, options.message))


def message(options: argparse.Namespace) -> int:
    """Print a message about the incident for an audience, to be copied to wherever they read: it sends nothing.

    That of now, unless --moment says another: opened; update, with the last update for them; or resolved.
    """
    now = store.load(store.find(common.project(options), options.incident))
    moment = options.moment or ("resolved" if now.over else "update" if now.updates_for(options.audience) else "opened")
    text = next(reversed(now.updates_for(options.audience)), "") if moment == "update" else ""
    if moment == "update" and not text:
        hint = f"opsbook incident update {now.id} {options.audience} TEXT writes one."
        raise InputError(f"{now.id} has no update for {options.audience}.", hint)
    title, body = telling.written(common.project(options), now, moment, options.audience, text)
    told = {"incident": now.id, "moment": moment, "audience": options.audience, "title": title, "body": body}
    return common.tell(options, told, title, "", *body.split("\n"))


def publish(options: argparse.Namespace) -> int:
    """Put it on the public status page, with what players were told, and tell players; without a title, take it off.

    Only this title and the updates for players are shown: nothing that was written for engineers.
    """
    return _told(options, _acting(options).publish(options.title))


def write_status_page(options: argparse.Namespace) -> int:
    """Write the public status page now. Each change of a public incident does so by itself."""
    path = status_page.write(common.project(options), options.out)
    if path is None:
        raise InputError("Where to?", 'Name a file with --out, or status_page = "…" in opsbook.toml.')
    return common.tell(options, {"page": str(path)}, f"Written: {path}")


def attach(options: argparse.Namespace) -> int:
    """Say that a run belongs to the incident. A run with --incident does so by itself."""
    return _told(options, _acting(options).attach(options.run))


def mitigate(options: argparse.Namespace) -> int:
    """Say that nobody suffers any more. The cause may still be there: resolve comes later."""
    return _told(options, _acting(options).mitigate(options.how))


def resolve(options: argparse.Namespace) -> int:
    """Say that it is over. The incident is sealed; notes and actions may still be added, each with a new seal."""
    return _told(options, _acting(options).resolve(options.how, anyway=options.anyway))


def action(options: argparse.Namespace) -> int:
    """Add something to be done so that it does not happen again, or close it."""
    doing = _acting(options)
    if options.close is not None:
        return _told(options, doing.close_action(options.close, options.task))
    if not (options.owner and options.due):
        raise InputError("An action needs somebody who does it, and a day.", "Give --owner PERSON and --due DAY.")
    return _told(options, doing.add_action(options.task, options.owner, options.due))


def review(options: argparse.Namespace) -> int:
    """Write the page of the review from the journal, for people to finish. It is never written over.

    With --close the page counts as finished: the incident keeps its digest.
    """
    if options.close:
        return _told(options, _acting(options).close_review())
    doing = _acting(options)
    shown, new = doing.begin_review()
    said = f"Written: {shown}" if new else f"{shown} is there already, and was left as it is."
    after = f"Finish it where it says TODO, then: opsbook incident review {doing.path.name} --close"
    return common.tell(options, {"incident": doing.path.name, "page": shown, "new": new}, said, after)


def execute(options: argparse.Namespace) -> int:
    """Run a command, and keep it with its output and exit code in the journal of an incident.

    For what no page does. Nothing interprets it: it is a program and its arguments. Its exit code is that of this
    command. opsbook new NAME --from INCIDENT makes a page of what was run.
    """
    argv = options.argv[1:] if options.argv[:1] == ["--"] else options.argv
    if not argv:
        raise InputError("Which command?", "opsbook exec --incident ID -- COMMAND ARGUMENT …")
    settings, show = common.project(options), partial(print, end="", flush=True)
    return executing.execute(settings, executing.chosen(settings, options.incident), argv, show)


def _acting(options: argparse.Namespace) -> Acting:
    return Acting(common.project(options), options.incident)


def _told(options: argparse.Namespace, now: Incident) -> int:
    last = timeline.entry_of(now.events[-1]) if now.events else None
    sent = [last.text] if last and last.kind in (MessageSent.type, IncidentEscalated.type) else []
    if any("to nobody" in each for each in sent):
        sent.append(f"opsbook incident message {now.id} players|support|… prints one, to be copied")
    below = (f"  {line}" for line in (*sent, *now.outlook()))
    return common.tell(options, reading.told(now), f"{now.id}: {now.state}, {now.severity}", *below)
