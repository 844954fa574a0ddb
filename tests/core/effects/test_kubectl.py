"""kubectl() with the real kubectl, against the recorded answers of a real API server, or such a server itself.

`make soak` runs the same against a server that it builds (`tests/soak/kubernetes.py`), and records it.
"""

import contextlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import ROOT, kubernetes
from tests.support.project import Project

pytestmark = pytest.mark.slow

ADDRESS, TOKENS = "OPSBOOK_TEST_CLUSTER", {"owner": "owner-of-the-cluster", "reader": "who-may-only-look"}
"""Variable with the address of a real server, which knows these users."""

HOSTILE = "web; touch pwned --as=admin"
POLICY = """\
title: Development
sandbox: true
settings: {kubernetes: {context: CONTEXT, namespace: default, kubeconfig: KUBECONFIG}}
secrets: {token: "file:TOKEN"}
"""
LOOK = """
## Parameters
```python tags=["parameters"]
name: str  # Of a deployment
```

## Steps

### Write and look
```python timeout=300
from opsbook import EffectFailed, kubectl, secret

def tell(*words, **more):
    try:
        found = kubectl(*words, pretend="SIMULATED", **more)
        print("TOLD", " ".join(found.stdout.split())[:200] if found != "SIMULATED" else found)
    except (EffectFailed, ValueError) as error:
        print("FAILED", " ".join(str(error).split())[:200])
    except TypeError as error:
        print("FAILED kubectl", error)

tell("apply", manifest=[
    {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "settings"}, "data": {"name": name}},
    {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "keys"}, "stringData": {"token": secret("token")}},
], options={"validate": "false"})
print("DATA", kubectl("get", "configmap/settings", ignore=["stdout", "seconds"]).json["data"])
print("KEYS", kubectl("get", "secret/keys", ignore=["stdout", "seconds"]).json["data"])
tell("get", f"deployment/{name}")
tell("label", "configmap/settings", f"app={name}")
tell("label", "configmap/settings", "app=web", options={"overwrite": True})
tell("get", "--all-namespaces")
tell("exec", "web", "id")
tell("get", "pods", options={"as": "admin"})
tell("get", "pods", options={"selector": "app=" + name})
tell("get", "secrets", options={"watch": True})
tell("create", "token", "default")
tell("apply", options={"kustomize": "elsewhere"})
tell("apply", file="k8s")
```
"""


@pytest.fixture
def cluster(project: Project) -> Iterator[Path]:
    """A kubeconfig with two contexts. With a real server, what it answers is written down."""
    kubernetes.part[0] = 0
    real = os.environ.get(ADDRESS)
    served = kubernetes.recording(real, kubernetes.RECORDING) if real else kubernetes.recorded()
    with served as address:
        yield kubernetes.kubeconfig(project.root.parent, address, TOKENS)


def test_what_the_cluster_is_told_and_answers(project: Project, cluster: Path) -> None:
    token = project.root.parent / "token"
    token.write_text("s3cret-of-the-service")
    token.chmod(0o600)
    project.env |= {
        "HOME": str(project.root.parent),
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    }
    _in_context(project, cluster, "owner", token)
    project.page(LOOK, "look")
    (project.root / "k8s").mkdir()
    (project.root / "k8s/outside.yml").symlink_to(token)
    checked = _told(project, "look", "--check")
    assert checked[0] == "TOLD SIMULATED", checked
    told = _told(project, "look")
    assert told[:3] == [
        "TOLD configmap/settings created secret/keys created",
        f"DATA {{'name': {HOSTILE!r}}}",
        "KEYS {'token': '(hidden)'}",
    ]
    assert told[3].endswith(f'Error from server (NotFound): deployments.apps "{HOSTILE}" not found')
    assert told[4].startswith(f"FAILED kubectl ended with exit code 1: error: invalid label spec: app={HOSTILE}")
    assert told[5:9] == [
        "TOLD configmap/settings labeled",
        "FAILED kubectl(): '--all-namespaces' is no name; options are given as options={…}",
        told[7],
        "FAILED kubectl() takes no option 'as': the environment, file= and manifest= decide what it acts on, and get "
        "answers in JSON",
    ]
    assert told[7].startswith("FAILED kubectl() does not offer 'exec'")
    assert f'that match label selector "app={HOSTILE}"' in told[9]
    refused = ("takes no option 'watch'", "does not offer 'create token'", "takes no option 'kustomize'")
    assert [text in line for text, line in zip(refused, told[10:13], strict=True)] == [True] * 3, told[10:]
    assert told[13:] == ["FAILED k8s is no file of the project, or leads out of it"]
    assert not list(project.root.parent.rglob("pwned"))

    page = (ROOT / "docs/examples/release-to-kubernetes.md").read_text()
    project.write("runbooks/release-to-kubernetes.md", page)
    assert project.opsbook("check").code == 0
    _in_context(project, cluster, "reader", token)
    assert "kubectl ended with exit code 1: no" in _release(project, "1.0", code=1)
    _in_context(project, cluster, "owner", token)
    assert "+  name: web" in _release(project, "1.0", "--check").replace("+    name: web", "+  name: web")
    assert "successfully rolled out" in _release(project, "1.0")
    assert "shop/web:1.1" in _release(project, "1.1")
    failed = _release(project, "broken", code=1)
    assert "exceeded its progress deadline" in failed
    assert "deployment.apps/web rolled back" in failed

    found = [path for path in (project.root / "records").rglob("*") if path.is_file()]
    assert all("s3cret-of-the-service" not in path.read_text(errors="replace") for path in found)
    record = next(path.name for path in project.records() if "look" in path.name and _live(path))
    project.opsbook("records", "export", record, "--recording", "good", check=True)
    cluster.unlink()
    assert "1 recording replayed" in project.opsbook("test", check=True).out


def test_without_a_context_no_cluster_is_meant(project: Project) -> None:
    project.page("## Steps\n\n### Look\n```python\nfrom opsbook import kubectl\nkubectl('get', 'pods')\n```\n")
    done = project.opsbook("run", "page", "-e", "dev", "--yes")
    assert (
        "environment dev names no cluster: settings: {kubernetes: {context: …, namespace: …}} in its policy" in done.out
    )


def _in_context(project: Project, kubeconfig: Path, context: str, token: Path) -> None:
    text = POLICY.replace("CONTEXT", context).replace("KUBECONFIG", str(kubeconfig)).replace("TOKEN", str(token))
    project.write("playbooks/inventories/dev/environment.yml", text)


def _told(project: Project, page: str, *how: str) -> list[str]:
    kubernetes.part[0] += 1
    done = project.opsbook("run", page, "-e", "dev", "--yes", "-p", f"name={HOSTILE}", *how)
    lines = [line.strip(" |") for line in done.out.splitlines()]
    return [line for line in lines if line.startswith(("TOLD", "FAILED", "DATA", "KEYS"))]


def _release(project: Project, tag: str, *how: str, code: int = 0) -> str:
    kubernetes.part[0] += 1
    values = ("-p", "deployment=web", "-p", f"image=shop/web:{tag}")
    done = project.opsbook("run", "release-to-kubernetes", "-e", "dev", "--yes", *values, *how)
    assert done.code == code, done.out
    return done.out


def _live(record: Path) -> bool:
    with contextlib.suppress(StopIteration), (record / "journal.jsonl").open() as lines:
        return bool(json.loads(next(lines))["data"]["mode"] == "live")
    return False
