"""Checks of the project: environments, documents, secrets, the signing key, locks, quarantine, services under Node."""

import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path

from opsbook import files
from opsbook.core.catalog import catalog
from opsbook.core.locks import lock
from opsbook.core.model.text import number_of
from opsbook.core.planning import environment as policies
from opsbook.core.record import store
from opsbook.core.trust import sign
from opsbook.doctor.finding import Finding, fine, refused, warning, wrong
from opsbook.environments import ages
from opsbook.errors import Refused
from opsbook.lint import checks
from opsbook.settings import Settings


def environments(settings: Settings) -> Iterator[Finding]:
    """Every environment loads."""
    found, broken = policies.every(settings)
    if not (found or broken):
        yield warning("there is no environment", "opsbook init makes one, or finds inventories that are there.")
    for error in broken:
        yield from refused(error)
    for each in found:
        path = policies.policy_path(settings, each.name)
        if not path.exists() and each.name in settings.ansible.inventories:
            said = f"{each.name} has no policy, so it is closed: runs need committed files, an approval and a signature"
            named = path.relative_to(settings.content)
            yield warning(said, f"Say in {named} who may do what: sandbox: true, or protected and approvals.")
    if found:
        yield fine(f"{number_of(len(found), 'environment')}: {', '.join(each.name for each in found)}")


def documents(settings: Settings) -> Iterator[Finding]:
    """Every document passes opsbook check without errors."""
    problems = checks.check(settings, [])
    errors = sum(not problem.warning for problem in problems)
    pages = number_of(len(catalog.paths(settings)), "document")
    if errors:
        yield wrong(f"{pages}, {number_of(errors, 'error')}", "opsbook check shows every one with its line.")
    else:
        yield fine(f"{pages}, no errors, {number_of(len(problems), 'warning')}")


def secret_files(settings: Settings) -> Iterator[Finding]:
    """Files of secrets exist, and only this user can read them."""
    files: dict[Path, str] = {}
    if settings.vault_password_file is not None:
        files[settings.vault_password_file] = "vault_password_file"
    # The check of the environments reports broken ones.
    for each in policies.every(settings)[0]:
        files |= referenced(settings, each.policy.secrets, each.name)
    found = [finding for path, what in files.items() for finding in guarded_file(path, what)]
    yield from found or [fine(f"files of secrets: {len(files)}")]


def referenced(settings: Settings, references: Mapping[str, str], where: str) -> dict[Path, str]:
    """The files of `file:` references, each with a description."""
    files = {}
    for name, reference in references.items():
        scheme, _, rest = reference.partition(":")
        if scheme == "file":
            files[settings.root / Path(rest).expanduser()] = f"secret {name} of {where}"
    return files


def guarded_file(path: Path, what: str) -> Iterator[Finding]:
    """The file can be read by this user, and by nobody else."""
    if not path.is_file() or not os.access(path, os.R_OK):
        yield wrong(f"{what}: {path} cannot be read", "Put the file there, or correct its path or its rights.")
    elif path.stat().st_mode & 0o077:
        yield warning(f"{what}: others can read or change {path}", f"chmod 600 {path}")


def locks(settings: Settings) -> Iterator[Finding]:
    """Locks of runs that will never release them."""
    held = lock.holders(settings.state)
    kept = [finding for one in held for finding in _kept(settings, one)]
    yield from kept or [
        fine(f"{number_of(len(held), 'lock')} held, each by a run that goes on" if held else "no locks")
    ]


def _kept(settings: Settings, held: lock.Lock) -> Iterator[Finding]:
    record = store.exact(settings.records, held.run)
    if record is not None and record.state == "running":
        return
    if record is None:
        why, look = f"{held.run}, which has no record here", "Look at the target"
    else:
        ended = "was lost" if record.state == "lost" else f"ended as {record.glance()['outcome']}"
        why, look = f"{held.run}, which {ended}", f"opsbook records show {held.run}"
    hint = f"{look}; once it is right: opsbook unlock {held.target} --reason WHY."
    yield warning(f"{held.target} is locked by {why}", hint)


def quarantine(settings: Settings) -> Iterator[Finding]:
    """No record is in quarantine because of a secret."""
    folder = settings.records / store.QUARANTINE
    runs = sorted(os.listdir(folder)) if folder.is_dir() else []  # noqa: PTH208  (names are all it needs)
    if runs:
        shown = ", ".join(runs[:3]) + (", …" if len(runs) > 3 else "")
        text = f"{number_of(len(runs), 'record')} in quarantine, because a secret was found: {shown}"
        hint = "Change those secrets; then opsbook records restore RUN --reason WHY brings a record back."
        yield warning(text, hint)
    else:
        yield fine("no record in quarantine")


_TRIAL = b"opsbook doctor"


def signing(settings: Settings) -> Iterator[Finding]:
    """This user's signatures count. Without protected environments a missing key is no error."""
    wanted = any(each.policy.protected or each.policy.approvals for each in policies.every(settings)[0])
    bad = wrong if wanted else warning
    key = settings.signing_key
    if key is None:
        text = "there is no signing key: seals are not signed"
        yield wrong(text, "Name one in opsbook.toml (signing_key).") if wanted else fine(text)
        return
    if key.is_file() and key.suffix != ".pub":
        yield from guarded_file(key, "signing_key")
    try:
        signature = sign.sign(key, sign.OPERATOR, _TRIAL)
        known = sign.committed(settings.root, settings.allowed_signers, settings.protected_branch)
        who = sign.signer(known.text, sign.OPERATOR, _TRIAL, signature, datetime.now(UTC))
    except sign.Unsigned as error:
        yield bad(str(error), "Put it into an agent: ssh-add.")
    except sign.BadSignature as error:
        yield bad(str(error), f"Have the key added to {settings.allowed_signers} on {settings.protected_branch}.")
    except Refused as error:
        yield bad(error.message.rstrip("."), error.hint)
    else:
        yield fine(f"signs as {who.principal}, by {settings.allowed_signers} of {known.branch}")


# -- programs that are optional, and that a target of the Makefile installs


LOCK = "package-lock.json"


def node_packages(settings: Settings) -> Iterator[Finding]:
    """Services under Node have the packages that the Makefile's NAME-packages installs for services/NAME."""
    make = settings.content / "Makefile"
    known = {line.partition(":")[0] for line in (files.read_text(make) if make.is_file() else "").splitlines()}
    found = [path for path in sorted(settings.content.glob(f"services/*/{LOCK}")) if _target(path) in known]
    good = []
    for path in found:
        name, copy = path.parent.name, Path(sys.prefix, path.parent.name, LOCK)
        if shutil.which("node") is None:
            yield warning(f"{name} cannot run: there is no Node", f"Install Node and npm, then make {_target(path)}.")
        elif not copy.with_name("ready").is_file():
            yield warning(f"{name} cannot run: its Node packages are not installed", f"make {_target(path)}")
        elif copy.read_bytes() != path.read_bytes():
            yield warning(f"{name}: its Node packages are not those of its {LOCK}", f"make {_target(path)}")
        else:
            good.append(name)
    if good or not found:
        yield fine(f"services under Node: {', '.join(good) or 'none'}")


MONITORING = ("prometheus", "prometheus-alertmanager")


def monitoring_programs(settings: Settings) -> Iterator[Finding]:
    """Prometheus and Alertmanager are there, where the Makefile can bring them."""
    make, beside = settings.content / "Makefile", Path(sys.executable).parent
    if not make.is_file() or not re.search(r"(?m)^monitoring-packages:", files.read_text(make)):
        yield fine("programs of a monitoring: none")
        return
    missing = [name for name in MONITORING if not (shutil.which(name) or (beside / name).exists())]
    if missing:
        hint = "As root install what docs/monitoring.md names; without root: make monitoring-packages."
        yield warning(f"the monitoring cannot start: there is no {' and no '.join(missing)}", hint)
    else:
        yield fine(f"programs of a monitoring: {', '.join(MONITORING)}")


def _target(path: Path) -> str:
    return f"{path.parent.name}-packages"


# -- how old secrets are, as far as something proves it


def secret_ages(settings: Settings) -> Iterator[Finding]:
    """Each secret of each environment with its age, by the last run of the page that changes it or by its file."""
    # The check of the environments reports broken ones.
    known = [
        (each.name, age) for each in policies.every(settings)[0] for age in ages.ages(settings, each.name, each.policy)
    ]
    for place, age in known:
        said = f"{age.name} of {place}: {age.in_words()}"
        change = f"opsbook run {age.by} -e {place}" if age.by else "Change it where it comes from"
        wanting = age.overdue or (age.max_age is not None and age.since is None)
        yield warning(said, f"{change}.") if wanting else fine(said)
    if not known:
        yield fine("no environment names a secret")
