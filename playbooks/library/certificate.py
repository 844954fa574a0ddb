#!/usr/bin/python
"""Ansible module: a TLS certificate, signed by an authority of its own."""

from __future__ import annotations

import os
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from ansible.module_utils.basic import AnsibleModule
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DOCUMENTATION = """
module: certificate
short_description: Make a TLS certificate, and renew it in time
description:
  - Key and certificate are one file, for its owner only, so that a reader never gets one without the other.
  - The authority that signs it is made the first time. What clients have to trust is O(trusted).
  - With O(back), the certificate from before comes back, if O(run) has renewed it and it is still valid.
options:
  file: {description: Key and certificate; the one from before stands beside it., type: path, required: true}
  authority: {description: Key and certificate of the authority., type: path, required: true}
  trusted: {description: The certificate of the authority alone., type: path, required: true}
  names: {description: The host names and addresses it is for., type: list, elements: str, required: true}
  days: {description: How long a new one is valid., type: int, default: 90}
  renew_days: {description: It is renewed if fewer days are left., type: int, default: 30}
  back: {description: Take back what this run renewed., type: bool, default: false}
  run: {description: The run that makes it., type: str, default: ""}
"""

EXAMPLES = """
- name: Have a certificate
  certificate:
    file: /srv/env/secrets/tls.pem
    authority: /srv/env/secrets/authority.pem
    trusted: /srv/env/authority.pem
    names: [127.0.0.1]
"""

RETURN = """
fingerprint: {description: Its SHA-256; empty if a check cannot know it., returned: always, type: str}
until: {description: When it ends., returned: always, type: str}
"""

AUTHORITY_DAYS = 3650
# The clocks of clients differ a little.
EARLIER = timedelta(hours=1)


@dataclass(frozen=True)
class Signed:
    """A certificate with its key, and the run that made it."""

    key: Any
    certificate: x509.Certificate
    run: str = ""

    @classmethod
    def read(cls, path: Path) -> Signed:
        """Raises ValueError if that is no key with its certificate."""
        text = path.read_bytes()
        try:
            key = serialization.load_pem_private_key(text, None)
        except TypeError as error:
            raise ValueError(f"{path} is encrypted") from error
        run = text.splitlines()[0].decode("ascii", "replace").removeprefix("made by ")
        return cls(key, x509.load_pem_x509_certificate(text), run)

    @classmethod
    def usable(cls, path: Path) -> Signed | None:
        """The same; None if it is not there, or no use: then another one is made."""
        try:
            return cls.read(path)
        except (FileNotFoundError, ValueError):
            return None

    def is_by(self, authority: Signed) -> bool:
        try:
            self.certificate.verify_directly_issued_by(authority.certificate)
        except (ValueError, TypeError, InvalidSignature):
            return False
        return True

    def text(self) -> bytes:
        key = self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        return f"made by {self.run}\n".encode() + key + self.public()

    def public(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.PEM)

    def left(self) -> timedelta:
        return self.certificate.not_valid_after_utc - datetime.now(UTC)

    def until(self) -> str:
        return f"{self.certificate.not_valid_after_utc:%Y-%m-%d}"

    def names(self) -> set[str]:
        found = self.certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        return {str(name.value) for name in found}


def made(subject: str, days: int, run: str, by: Signed | None = None, names: list[str] | None = None) -> Signed:
    """Answer a new one: an authority if nobody signs it, otherwise one for these names."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    called = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(by.certificate.subject if by else called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - EARLIER)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=by is None, path_length=None if by else 0), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .add_extension(usage(sign=by is not None), critical=True)
    )
    if by:
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(by.key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        builder = builder.add_extension(x509.SubjectAlternativeName([general(name) for name in names or ()]), False)
    return Signed(key, builder.sign(by.key if by else key, hashes.SHA256()), run)


def usage(*, sign: bool) -> x509.KeyUsage:
    """What the key is for: handshakes, or certificates. Strict clients want to read it."""
    others = ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement")
    none = dict.fromkeys((*others, "encipher_only", "decipher_only"), False)
    return x509.KeyUsage(digital_signature=sign, key_cert_sign=not sign, crl_sign=not sign, **none)


def general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def write(path: Path, content: bytes, mode: int) -> None:
    """Whoever reads it reads the old content or the new one, never half of it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_name(f".{path.name}.new")
    new.unlink(missing_ok=True)
    with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode), "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)


class Certificate:
    """The certificate as it is, and what is to be done with it."""

    def __init__(self, module: AnsibleModule) -> None:
        self.module, self.check = module, module.check_mode
        self.file, self.authority, self.trusted = (
            Path(module.params[name]) for name in ("file", "authority", "trusted")
        )
        self.before = self.file.with_name(f"{self.file.name}.before")
        self.present = Signed.usable(self.file)
        # One that cannot be read is never replaced by itself: clients would have to trust another one.
        self.known = Signed.read(self.authority) if self.authority.exists() else None

    def have(self) -> tuple[str, Signed | None]:
        """Answer what is done, and the certificate from then on, as far as a check can know it."""
        wanted, run, present = self.module.params["names"], self.module.params["run"], self.present
        if present and self.known and present.names() == set(wanted) and present.is_by(self.known):
            enough = present.left() > timedelta(days=self.module.params["renew_days"])
            if enough or (run and present.run == run):
                return self.trust(self.known), present
        done = f"valid for {self.module.params['days']} days, for {', '.join(wanted)}\n"
        if self.check:
            return done, None
        if present:
            write(self.before, present.text(), 0o600)
        new = made("arcade", self.module.params["days"], run, self.signer(), wanted)
        write(self.file, new.text(), 0o600)
        return done, new

    def signer(self) -> Signed:
        found = self.known or made("arcade, its own authority", AUTHORITY_DAYS, "")
        if not self.known:
            write(self.authority, found.text(), 0o600)
        self.trust(found)
        return found

    def trust(self, authority: Signed) -> str:
        """Write what clients have to trust; answer what was wrong with it."""
        public = authority.public()
        if self.trusted.exists() and self.trusted.read_bytes() == public:
            return ""
        if not self.check:
            write(self.trusted, public, 0o644)
        return f"{self.trusted} is the authority\n"

    def back(self) -> tuple[str, Signed | None]:
        if self.present is None or self.present.run != self.module.params["run"] or not self.before.exists():
            return "", self.present
        earlier = Signed.read(self.before)
        if earlier.left() < timedelta():
            self.module.fail_json(msg=f"there is no way back: the certificate from before ended on {earlier.until()}")
        if not (self.known and earlier.is_by(self.known)):
            self.module.fail_json(msg="there is no way back: the certificate from before is of another authority")
        if not self.check:
            self.before.replace(self.file)
        return f"valid until {earlier.until()}, as before\n", earlier


def main() -> None:
    paths = ("file", "authority", "trusted")
    module = AnsibleModule(
        argument_spec={
            **{name: {"type": "path", "required": True} for name in paths},
            "names": {"type": "list", "elements": "str", "required": True},
            "days": {"type": "int", "default": 90},
            "renew_days": {"type": "int", "default": 30},
            "back": {"type": "bool", "default": False},
            "run": {"type": "str", "default": ""},
        },
        supports_check_mode=True,
    )
    try:
        found = Certificate(module)
        before = f"valid until {found.present.until()}\n" if found.present else ""
        done, now = found.back() if module.params["back"] else found.have()
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        hint = "If it is the authority's file that cannot be read, and is lost: remove it, and clients get another one"
        module.fail_json(msg=f"there is no certificate: {error}. {hint}")
    fingerprint = now.certificate.fingerprint(hashes.SHA256()).hex() if now else ""
    difference = {"before": before if done else "", "after": done}
    module.exit_json(changed=bool(done), fingerprint=fingerprint, until=now.until() if now else "", diff=difference)


if __name__ == "__main__":
    main()
