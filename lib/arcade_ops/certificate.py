"""What the load balancer shows to clients that come by TLS."""

import socket
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from opsbook import effect, here


@effect(changes=False)
def served(url: str) -> dict[str, Any]:
    """The certificate that is served at `url`: fingerprint (SHA-256), until (a day), days left, and problem.

    `problem` is why a client that trusts the authority of the environment does not get in, or empty. Without an answer,
    fingerprint and until are empty, and days is 0.
    """
    place = urlsplit(url)
    address = (str(place.hostname), place.port or 443)
    trusted = Path(here.state, "env", here.environment, "authority.pem")
    problem = _refusal(address, trusted)
    try:
        found = x509.load_der_x509_certificate(_shown(address))
    except (OSError, ValueError) as error:
        return {"fingerprint": "", "until": "", "days": 0, "problem": problem or str(error)}
    left = found.not_valid_after_utc - datetime.now(UTC)
    return {
        "fingerprint": found.fingerprint(hashes.SHA256()).hex(),
        "until": f"{found.not_valid_after_utc:%Y-%m-%d}",
        "days": left.days,
        "problem": problem,
    }


def _refusal(address: tuple[str, int], trusted: Path) -> str:
    try:
        context = ssl.create_default_context(cafile=trusted)
        _handshake(address, context)
    except (OSError, ssl.SSLError) as error:
        return f"{address[0]}:{address[1]} does not take TLS as a client wants it: {error}"
    return ""


def _shown(address: tuple[str, int]) -> bytes:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # Only looked at, whatever it is.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    return _handshake(address, context)


def _handshake(address: tuple[str, int], context: ssl.SSLContext) -> bytes:
    with (
        socket.create_connection(address, timeout=5) as plain,
        context.wrap_socket(plain, server_hostname=address[0]) as connection,
    ):
        return connection.getpeercert(binary_form=True) or b""
