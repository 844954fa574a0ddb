"""Checks of the signing key: it exists, is private, signs without a prompt, and is known on the branch."""

from collections.abc import Iterator
from datetime import UTC, datetime

from opsbook.core.planning import environment as policies
from opsbook.core.trust import sign, signers
from opsbook.doctor.finding import Finding, fine, warning, wrong
from opsbook.doctor.project import guarded_file
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

_TRIAL = b"opsbook doctor"


def signing(settings: Settings) -> Iterator[Finding]:
    """This user's signatures count. Without protected environments a missing key is no error."""
    wanted = _protected(settings)
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
        known = signers.committed(settings.root, settings.allowed_signers, settings.protected_branch)
        who = sign.signer(known.text, sign.OPERATOR, _TRIAL, signature, datetime.now(UTC))
    except sign.Unsigned as error:
        yield bad(str(error), "Put it into an agent: ssh-add.")
    except sign.BadSignature as error:
        yield bad(str(error), f"Have the key added to {settings.allowed_signers} on {settings.protected_branch}.")
    except Refused as error:
        yield bad(error.message.rstrip("."), error.hint)
    else:
        yield fine(f"signs as {who.principal}, by {settings.allowed_signers} of {known.branch}")


def _protected(settings: Settings) -> bool:
    """Whether any environment requires signatures."""
    for name in policies.names(settings):
        try:
            policy = policies.load(settings, name).policy
        except InputError:
            # The check of the environments reports it.
            continue
        if policy.protected or policy.approvals:
            return True
    return False
