"""What tests of approvals share: how ann asks, bob approves, and somebody forges."""

import json
from datetime import UTC, datetime, timedelta

from opsbook.core.model.approval import Approval
from opsbook.core.trust import requests, sign
from tests.support.project import Result
from tests.support.team import Team

RUN = ("run", "count", "-e", "prod", "--yes")
PROD = "playbooks/inventories/prod/environment.yml"


def asked(team: Team) -> str:
    """Ann asks for the plan; its id."""
    return str(
        json.loads(team.by("ann").opsbook("plan", "count", "-e", "prod", "--request", "--json", check=True).out)["id"]
    )


def approved(team: Team, by: str = "bob") -> str:
    plan = asked(team)
    team.by(by).opsbook("approve", plan, "--yes", check=True)
    return plan


def run(team: Team, *arguments: str, by: str = "ann") -> Result:
    return team.by(by).opsbook(*RUN, *arguments)


def refused(done: Result, sentence: str) -> None:
    assert done.code == 4, f"{done.out}\n{done.err}"
    said = " ".join((done.out + done.err).split())
    assert sentence in said, said


def forged(team: Team, wanted: str, by: str = "bob", **changes: object) -> Approval:
    """An approval that bob's key really signed, of other content than `opsbook approve` would give it."""
    found = requests.find(team.root / ".opsbook", wanted)
    now = datetime.now(UTC)
    content = {
        "id": requests.new_id(),
        "plan": found.plan.digest,
        "runbook": "count",
        "environment": "prod",
        "decision": "approve",
        "note": "",
        "by": "bob@elsewhere",
        "signed": now.isoformat(),
        "state": requests.identity(team.root / ".opsbook"),
        "expires": (now + timedelta(hours=1)).isoformat(),
    }
    approval = Approval.read(content | changes)
    requests.keep(found.folder, approval, sign.sign(team.key(by), sign.APPROVAL, approval.statement()))
    return approval
