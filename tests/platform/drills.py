"""The drills of this project: what each shows, and how one is begun."""

import json
import re
from dataclasses import dataclass

import yaml

from tests.platform.conftest import Platform
from tests.support import ROOT
from tests.support.project import until

VERSION = "1.0.0"
PAGES = ROOT / "runbooks/training/drills"
MENDED = "the service is mended: "
WAIT_SECONDS = 600


@dataclass(frozen=True)
class Case:
    """What a drill shows while it is not mended, the parameters of the runbook that mends it, what service-health
    names (the instance, or the file), and a tree beside that of arcade which leads there too."""

    shows: str
    given: tuple[str, ...] = ()
    named: str = "arcade-1 "
    tree: str = ""


CASES = {
    "instance-down": Case("arcade-1 does not answer", ("-p", "host=arcade-1")),
    "bad-release": Case("arcade-1 answers Register with 500", ("-p", f"version={VERSION}")),
    "database-down": Case("players get 503", tree="database"),
    "slow-handler": Case("ms for Info", ("-p", f"version={VERSION}")),
    "full-disk": Case("players get 507"),
    "wrong-weight": Case("30 % of the requests go to a canary; players get 500", named="arcade-3 ", tree="caddy"),
    "wrong-configuration": Case("arcade-1 is not ready (database); players get 503", tree="database"),
    "leaked-credential": Case(
        "the leaked password still opens the database", ("-p", "reason=leak"), named="logs/connections.debug"
    ),
}


def front(drill: str) -> dict[str, dict[str, list[str]]]:
    return dict(yaml.safe_load((PAGES / f"{drill}.md").read_text(encoding="utf-8").split("---")[1]))


def begin(platform: Platform, drill: str, par: str) -> str:
    """Start a drill: its run. It returns when the fault shows."""
    started = platform.opsbook("drill", "start", drill, "--par", par, "--json", check=True)
    told = json.loads(started.out)
    assert told["symptoms"]
    return str(told["run"])


def waiting(platform: Platform, run: str, shows: str = "") -> str:
    """What is wrong, as the drill says while it waits for somebody to mend it, once it says `shows`.

    An instance that starts again with the fault first does not answer at all.
    """

    def said() -> str | None:
        (journal,) = platform.root.glob(f"records/**/{run}/journal.jsonl")
        text = journal.read_text(encoding="utf-8")
        assert '"run-finished"' not in text, platform.opsbook("records", "show", run).out
        found = re.findall(rf'"text":"{MENDED}([^"]+)"', text)
        return next((each for each in found if shows in each), None)

    return str(until(said, f"the fault of {run}", WAIT_SECONDS))
