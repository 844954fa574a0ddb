"""terraform() with the real Terraform: what was planned and approved is what is applied, and nothing else."""

import re
from pathlib import Path

import pytest

from tests.support import ROOT, terraform
from tests.support.project import Project

pytestmark = pytest.mark.slow

HOSTILE = '${file("/etc/passwd")}"; touch pwned; #'
FOLDER = """
terraform {
  backend "local" {}
}
variable "size" { type = string }
variable "token" {
  type      = string
  sensitive = true
}
resource "terraform_data" "app" {
  input = [var.size, var.token]
  provisioner "local-exec" {
    command = "printf '%s\\\\n' \\"$SIZE\\" >> \\"$OUT\\""
    environment = {
      SIZE = var.size
      OUT  = "PLACE/applied"
    }
  }
}
output "size" { value = var.size }
output "token" {
  value     = var.token
  sensitive = true
}
"""
POLICY = """\
title: Development
sandbox: true
settings: {terraform: {program: PROGRAM}}
secrets: {token: "file:TOKEN"}
"""
PLAN = """
## Parameters
```python tags=["parameters"]
size: str  # How large
```

## Steps

### Plan it
```python
from opsbook import secret, terraform

planned = terraform("plan", "infra", vars={"size": size, "token": secret("token")}, backend={"path": "PLACE/state"})
print("PLANNED", planned.digest, planned.counts, planned.changes)
```
"""
APPLY = """
## Parameters
```python tags=["parameters"]
plan: str  # The digest of the plan
```

## Steps

### Apply it
```python
from opsbook import EffectFailed, terraform

done = terraform("apply", "infra", plan=plan, backend={"path": "PLACE/state"}, pretend="nothing")
print("APPLIED", done if done == "nothing" else (done.counts, done.outputs))
```
"""


def test_exactly_the_plan_that_was_named_is_applied(project: Project) -> None:
    place = project.root.parent
    token = place / "token"
    token.write_text("s3cret-of-the-cloud")
    token.chmod(0o600)
    policy = POLICY.replace("PROGRAM", str(terraform.program(place))).replace("TOKEN", str(token))
    project.write("playbooks/inventories/dev/environment.yml", policy)
    project.write("infra/main.tf", FOLDER.replace("PLACE", str(place)))
    project.page(PLAN.replace("PLACE", str(place)), "plan-it")
    project.page(APPLY.replace("PLACE", str(place)), "apply-it")
    first, second = (_planned(project, size) for size in (HOSTILE, "3"))
    assert not (place / "applied").exists()

    checked = project.opsbook("run", "apply-it", "-e", "dev", "--check", "-p", f"plan={first}")
    assert "terraform apply infra: dev" in checked.out
    assert 'resource "terraform_data" "app"' in checked.out, checked.out
    assert "APPLIED nothing" in checked.out
    assert not (place / "applied").exists()

    done = project.opsbook("run", "apply-it", "-e", "dev", "--yes", "-p", f"plan={first}")
    assert done.code == 0, done.out
    assert (place / "applied").read_text() == f"{HOSTILE}\n"
    assert f"{{'add': 1, 'change': 0, 'destroy': 0}}, {{'size': {HOSTILE!r}, 'token': '(hidden)'}}" in done.out
    # The other one was planned before the state changed.
    stale = project.opsbook("run", "apply-it", "-e", "dev", "--yes", "-p", f"plan={second}")
    assert "Saved plan is stale" in stale.out
    assert "  Changed" not in stale.out
    assert (place / "applied").read_text() == f"{HOSTILE}\n"

    missing = project.opsbook("run", "apply-it", "-e", "dev", "--yes", "-p", f"plan={'0' * 64}")
    assert "there is no plan 000000000000 of infra for dev on this machine" in missing.out
    third = _planned(project, "4")
    saved = next((project.root / ".opsbook/terraform").rglob(f"{third}.tfplan"))
    assert saved.stat().st_mode & 0o777 == 0o600
    saved.write_bytes(saved.read_bytes() + b" ")
    altered = project.opsbook("run", "apply-it", "-e", "dev", "--yes", "-p", f"plan={third}")
    assert "was changed since it was saved" in altered.out

    found = [path for path in (project.root / "records").rglob("*") if path.is_file()]
    assert all("s3cret-of-the-cloud" not in path.read_text(errors="replace") for path in found)
    project.opsbook("records", "export", _record(project, "apply-it", 1), "--recording", "good", check=True)
    (place / "terraform").unlink()
    assert "1 recording replayed" in project.opsbook("test", check=True).out


STATES = """
## Steps

### Each has its own
```python timeout=600
from concurrent.futures import ThreadPoolExecutor
from opsbook import EffectFailed, terraform

states = {name: {"path": f"PLACE/{name}.state"} for name in ("one", "other")}
plans = {n: terraform("plan", "infra", vars={"size": n}, backend=states[n]).digest for n in states}
try:
    terraform("apply", "infra", plan=plans["one"], backend=states["other"])
except EffectFailed as error:
    print(error)
for name in states:
    terraform("apply", "infra/", plan=plans[name], backend=states[name])

def look(number):
    name = [*states][number % 2]
    return name == terraform("output", "infra", backend=states[name], key=f"look-{number}").outputs["size"]

with ThreadPoolExecutor(2) as both:
    print("THEIR OWN", all(both.map(look, range(6))))
```
"""


def test_two_states_of_one_folder_are_never_mixed_up(project: Project) -> None:
    place = project.root.parent
    policy = POLICY.replace("PROGRAM", str(terraform.program(place)))
    project.write("playbooks/inventories/dev/environment.yml", policy.partition("secrets:")[0])
    folder = 'terraform {\n  backend "local" {}\n}\nvariable "size" { default = "" }\n'
    output = 'output "size" { value = terraform_data.app.output }\n'
    project.write("infra/main.tf", f'{folder}resource "terraform_data" "app" {{ input = var.size }}\n{output}')
    project.page(STATES.replace("PLACE", str(place)))
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert done.code == 0, done.out
    assert "of infra for dev on this machine" in done.out
    assert "THEIR OWN True" in done.out


def test_the_pages_that_plan_and_apply(project: Project) -> None:
    place = project.root.parent
    policy = POLICY.replace("PROGRAM", f"{terraform.program(place)}}}, backend: {{path: {place}/state").partition(
        "secrets"
    )
    project.write("playbooks/inventories/dev/environment.yml", policy[0])
    folder = 'terraform {\n  backend "local" {}\n}\nvariable "size" { type = number }\n'
    project.write("infrastructure/main.tf", f'{folder}resource "terraform_data" "app" {{ input = var.size }}\n')
    for name in ("plan", "apply"):
        page = (ROOT / f"docs/examples/{name}-infrastructure.md").read_text()
        project.write(f"runbooks/{name}-infrastructure.md", page)
    assert project.opsbook("check").code == 0
    planned = project.opsbook("run", "plan-infrastructure", "-e", "dev", "--yes", "-p", "size=3")
    command = re.search(r"opsbook (plan apply-infrastructure -e dev -p plan=(\w{64}))", planned.out)
    assert command, planned.out
    assert project.opsbook(*command[1].split()).code == 0
    done = project.opsbook("run", "apply-infrastructure", "-e", "dev", "--yes", "-p", f"plan={command[2]}")
    assert "Apply complete! Resources: 1 added" in done.out, done.out
    assert "There is nothing to do." in project.opsbook("run", "plan-infrastructure", "-e", "dev", "--yes").out


def test_a_state_that_would_be_lost_is_refused(project: Project) -> None:
    place = project.root.parent
    policy = POLICY.replace("PROGRAM", str(terraform.program(place)))
    project.write("playbooks/inventories/dev/environment.yml", policy.partition("secrets:")[0])
    project.write("infra/main.tf", 'resource "terraform_data" "app" {}\n')
    project.page("## Steps\n\n### Plan\n```python\nfrom opsbook import terraform\nterraform('plan', 'infra')\n```\n")
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert "the state of infra would be in the files of this run alone" in done.out, done.out


def _planned(project: Project, size: str) -> str:
    done = project.opsbook("run", "plan-it", "-e", "dev", "--yes", "-p", f"size={size}")
    found = re.search(r"PLANNED (\w{64}) \{.*\} True", done.out)
    assert found, done.out
    return found[1]


def _record(project: Project, page: str, number: int) -> str:
    """The id of a run of this page."""
    found: list[Path] = [path for path in project.records() if page in path.name]
    return found[number].name


FAILS = """\
#!/bin/sh
case "$*" in
    *" output "*) echo '{"token": "s3cret-of-the-cloud"}'; test ! -e HANGS || exec sleep 60; exit 1;;
esac
exec REAL "$@"
"""
OUTPUT = """
## Steps

### Read it
```python
from opsbook import terraform

terraform("output", "infra", backend={"path": "PLACE/state"}, timeout=TIMEOUT)
```
"""


@pytest.mark.parametrize("hangs", [False, True])
def test_outputs_of_a_terraform_that_fails_are_not_kept(project: Project, *, hangs: bool) -> None:
    place = project.root.parent
    hanging = place / "hangs"
    if hangs:
        hanging.touch()
    real = terraform.program(place)
    program = project.write("fails", FAILS.replace("REAL", str(real)).replace("HANGS", str(hanging)))
    program.chmod(0o755)
    policy = POLICY.partition("secrets:")[0].replace("PROGRAM", str(program))
    project.write("playbooks/inventories/dev/environment.yml", policy)
    project.write("infra/main.tf", 'terraform {\n  backend "local" {}\n}\n')
    project.page(OUTPUT.replace("PLACE", str(place)).replace("TIMEOUT", "5" if hangs else "60"))
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert done.code == 1, done.out
    assert ("stopped: timed out" if hangs else "ended with exit code 1") in done.out, done.out
    written = [path for path in (project.root / "records").rglob("*") if path.is_file()]
    assert all("s3cret-of-the-cloud" not in path.read_text(errors="replace") for path in written)
    assert "s3cret-of-the-cloud" not in done.out + done.err
