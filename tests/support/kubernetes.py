"""A Kubernetes API server for kubectl: what a real one answered, or a real one whose answers are written down.

A recording has the answers, with status, type and body, for each part of the test, method and path, in their order.
`python -m tests.soak.kubernetes` makes it, with a real server.
"""

import base64
import contextlib
import gzip
import hashlib
import json
import re
import ssl
import tempfile
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

RECORDING = Path(__file__).parent.parent / "core/effects/kubernetes.json"

_PASSED = ("Accept", "Content-Type", "Authorization")
_DIFFERS = re.compile(r"(?<=[?&])(?:timeoutSeconds|resourceVersion)=\d+&?")
"""What kubectl asks for otherwise each time."""

part = [0]
"""The part of the test that asks: who looks once more than then gets nothing of a later part."""

_Exchanges = dict[str, list[dict[str, Any]]]
_Answer = tuple[int, str, Iterable[bytes]]


def kubeconfig(folder: Path, address: str, tokens: dict[str, str]) -> Path:
    """A file for kubectl with a context for each of these users, all of them at this address."""
    written = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "test", "cluster": {"server": address, "insecure-skip-tls-verify": True}}],
        "users": [{"name": name, "user": {"token": token}} for name, token in tokens.items()],
        "contexts": [{"name": name, "context": {"cluster": "test", "user": name}} for name in tokens],
    }
    path = folder / "kubeconfig"
    path.write_text(json.dumps(written))
    path.chmod(0o600)
    return path


@contextlib.contextmanager
def recorded(path: Path = RECORDING) -> Iterator[str]:
    """The address of a server that answers as the real one did. Raises AssertionError if it was asked anything else."""
    recording = json.loads(path.read_text())
    exchanges: _Exchanges = recording["exchanges"]
    unknown: list[str] = []

    def answer(request: BaseHTTPRequestHandler, _: bytes) -> _Answer:
        found = exchanges.get(_name(request))
        if not found:
            unknown.append(_name(request))
            return 404, "text/plain", [b"not recorded"]
        # What is asked once more than then gets the last answer.
        told = found.pop(0) if len(found) > 1 else found[0]
        large = recording["large"].get(told["body"])
        body = gzip.decompress(base64.b64decode(large)) if large else told["body"].encode()
        return told["status"], told["type"], [body]

    with _served(answer) as address:
        yield address
    assert unknown == []


@contextlib.contextmanager
def recording(real: str, path: Path) -> Iterator[str]:
    """The address of a server that asks the real one, and writes down what it answers."""
    exchanges: _Exchanges = {}
    large: dict[str, str] = {}
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE

    def answer(request: BaseHTTPRequestHandler, content: bytes) -> _Answer:
        headers = {name: request.headers[name] for name in _PASSED if name in request.headers}
        asked = urllib.request.Request(real + request.path, content or None, headers, method=request.command)
        try:
            got = urllib.request.urlopen(asked, context=context)
        except urllib.error.HTTPError as error:
            got = error
        kept: dict[str, Any] = {"status": got.status, "type": got.headers.get("Content-Type", ""), "body": ""}
        exchanges.setdefault(_name(request), []).append(kept)
        if "watch=true" in request.path:
            return got.status, kept["type"], _seen(got, kept)
        with got:
            body = got.read()
        kept["body"] = _kept(body, large)
        return got.status, kept["type"], [body]

    with _served(answer) as address:
        yield address
    path.write_text(json.dumps({"exchanges": exchanges, "large": large}, indent=1) + "\n")


def _seen(got: Any, kept: dict[str, Any]) -> Iterator[bytes]:
    """What is watched, until whoever watches it goes away."""
    with got:
        for line in got:
            kept["body"] += line.decode()
            yield line


def _name(request: BaseHTTPRequestHandler) -> str:
    return f"{part[0]} {request.command} {_DIFFERS.sub('', request.path)}"


def _kept(body: bytes, large: dict[str, str]) -> str:
    """The body as text, or the name under which it is kept among the large ones, each of them once."""
    with contextlib.suppress(UnicodeDecodeError):
        if len(body) < 4096:
            return body.decode()
    name = hashlib.sha256(body).hexdigest()[:16]
    large[name] = base64.b64encode(gzip.compress(body, mtime=0)).decode()
    return name


@contextlib.contextmanager
def _served(answer: Callable[[BaseHTTPRequestHandler, bytes], _Answer]) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            status, kind, body = answer(self, self.rfile.read(int(self.headers.get("Content-Length") or 0)))
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            with contextlib.suppress(OSError):
                for piece in (piece for piece in body if piece):
                    self.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
                self.wfile.write(b"0\r\n\r\n")

        do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any  # noqa: N815

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    # kubectl tells who it is over TLS only.
    server.socket = _certified().wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"https://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()


def _certified() -> ssl.SSLContext:
    """A server with a certificate that it has signed itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(now).not_valid_after(now + timedelta(days=1))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    plain = serialization.NoEncryption()
    with tempfile.NamedTemporaryFile() as file:
        file.write(key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, plain))
        file.write(builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))
        file.flush()
        context.load_cert_chain(file.name)
    return context
