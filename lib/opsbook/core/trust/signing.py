"""Sign and verify seals, and sign statements of the operator at this machine."""

from collections import Counter
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import datetime

from opsbook.core.model.approval import Claim, Identity
from opsbook.core.planning.context import operator
from opsbook.core.record import seal, store
from opsbook.core.trust import sign
from opsbook.core.trust.proofs import claims
from opsbook.core.trust.reviewing import review_of
from opsbook.core.trust.sign import Signers
from opsbook.errors import InputError, Refused
from opsbook.settings import Settings

_AT_ONCE = 8
"""Records whose signatures are verified in parallel: each takes two short processes."""


@dataclass(frozen=True)
class Verified:
    """A verified record: what does not match its seal, who signed it, why it has no signature, and what it says of
    people, with what proves that.
    """

    run: str
    flaws: tuple[seal.Flaw, ...] = ()
    signer: str = ""
    unsigned: str = ""
    claims: tuple[Claim, ...] = ()


def signers(found: Iterable[Verified]) -> Iterator[str]:
    """How many of the good ones are signed by whom, and how many are not, and why not: a line for each."""
    good = [each for each in found if not each.flaws]
    for signer, count in Counter(each.signer for each in good if each.signer).most_common():
        yield f"{count} signed by {signer}"
    for why, count in Counter(each.unsigned for each in good if each.unsigned).most_common():
        yield f"{count} not signed: {why}"


def sealer(settings: Settings) -> seal.Sign:
    """Signs seals with the project's key, without asking for a passphrase: a run may end unattended."""

    def made(data: bytes) -> str:
        if settings.signing_key is None:
            raise seal.NotSealed("there is no signing_key in opsbook.toml")
        try:
            return sign.sign(settings.signing_key, sign.SEAL, data)
        except sign.Unsigned as error:
            raise seal.NotSealed(str(error)) from error

    return made


def known_signers(settings: Settings) -> Signers | None:
    """The known signers; None if they cannot be determined."""
    try:
        return sign.committed(settings.root, settings.allowed_signers, settings.protected_branch)
    except Refused:
        return None


def verified(settings: Settings, records: Iterable[store.Record]) -> Iterator[Verified]:
    """Each of these records verified against its seal, in their order."""
    known = known_signers(settings)
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        yield from pool.map(lambda record: _with_claims(settings, record, _verified(record, known), known), records)


def _with_claims(settings: Settings, record: store.Record, found: Verified, known: Signers | None) -> Verified:
    """Also what the record says of people; what is not proven as it says is a flaw."""
    try:
        told = claims(record, known)
    except InputError:
        # The seal says so already.
        return found
    review = review_of(settings, record.id)
    told += [review] if review.who or review.flaw else []
    bad = (seal.Flaw(each.file, f"{each.what} {each.who}: {each.flaw}") for each in told if each.flaw)
    return replace(found, flaws=(*found.flaws, *bad), claims=tuple(told))


def _verified(record: store.Record, known: Signers | None) -> Verified:
    flaws = tuple(seal.verify(record.folder))
    signature = seal.signature(record.folder)
    if signature is None or (flaws and not signature.text):
        return Verified(record.id, flaws)
    if not signature.text:
        return Verified(record.id, flaws, unsigned=signature.unsigned or "nobody was asked to sign it")
    try:
        return Verified(record.id, flaws, _whose(signature, known))
    except (sign.BadSignature, sign.Unsigned, ValueError, OverflowError) as error:
        return Verified(record.id, (*flaws, seal.Flaw(store.SIGNATURE, str(error))))


def _whose(signature: seal.Signature, known: Signers | None) -> str:
    """Who signed a seal. Raises BadSignature if the signature proves nothing."""
    if known is None:
        key = sign.fingerprint(sign.SEAL, signature.data, signature.text)
        return f"{key}, unknown signer: there is no allowed_signers here"
    at = datetime.fromisoformat(signature.sealed)
    found = sign.signer(known.text, sign.SEAL, signature.data, signature.text, at)
    return f"{found.principal} ({found.key})"


def signed_here(settings: Settings, namespace: str, data: bytes, now: datetime, *, ask: bool) -> tuple[str, Identity]:
    """The operator's signature, and whose it is by the committed signers. Raises Refused."""
    if settings.signing_key is None:
        raise Refused("There is no key to sign with.", "Name it in opsbook.toml (signing_key), or OPSBOOK_SIGNING_KEY.")
    known = sign.committed(settings.root, settings.allowed_signers, settings.protected_branch)
    try:
        signature = sign.sign(settings.signing_key, namespace, data, ask=ask)
        found = sign.signer(known.text, namespace, data, signature, now)
    except (sign.Unsigned, sign.BadSignature) as error:
        raise Refused(f"You cannot sign that: {error}.", "opsbook doctor says what is missing.") from error
    return signature, replace(found, user=operator())
