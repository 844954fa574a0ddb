"""The forms in which tools print a secret: encoders of our own, and the tools themselves where they are installed."""

import base64
import binascii
import html
import json
import os
import pprint
import quopri
import re
import shlex
import shutil
import subprocess
import textwrap
import urllib.parse
from collections.abc import Callable

import jinja2
import yaml

Form = Callable[[str], str]


def _quote(safe: str) -> Form:
    return lambda secret: urllib.parse.quote(secret, safe=safe)


def _each(make: Callable[[int], str], between: str = "") -> Form:
    """Each byte of the secret in a spelling of its own."""
    return lambda secret: between.join(map(make, secret.encode()))


def _wrapped(encode: Callable[[bytes], bytes], width: int, end: str = "\n", before: str = "") -> Form:
    """An encoding in lines. `before` stands in front of the secret, and moves it."""

    return lambda secret: _lines(width, end)(encode((before + secret).encode()).decode())


def _lines(size: int, end: str) -> Form:
    return lambda text: end.join(text[at : at + size] for at in range(0, len(text), size))


def _go(secret: str) -> str:
    """As Go's %q does."""
    return json.dumps(secret, ensure_ascii=False).replace("\\u00", "\\x")


def _coloured(secret: str) -> str:
    half = len(secret) // 2
    return f"\x1b[31m{secret[:half]}\x1b[0m\x1b[1;38;5;9m\x1b[K{secret[half:]}\x1b(B\x1b[m"


def _traced(secret: str) -> str:
    """As `set -x` of bash does with a sign that it quotes."""
    return "'" + secret.replace("'", "'\\''") + "'"


def _ansi_c(secret: str) -> str:
    """As `printf %q` of bash does with a control character."""
    spelled = {"'": "\\'", "\\": "\\\\", "\n": "\\n", "\t": "\\t"}
    return "$'" + "".join(spelled.get(sign, sign) for sign in secret) + "'"


def _printf_q(secret: str) -> str:
    return re.sub(r"([^\w%+,./:=@-])", r"\\\1", secret)


def _mixed_shell(secret: str) -> str:
    """As the shell in coreutils' `ls` does: $'\\n' between quotes."""
    return "'" + secret.replace("'", "'\\''").replace("\n", "'$'\\n''") + "'"


def _nested(*forms: Form) -> Form:
    def made(secret: str) -> str:
        for form in forms:
            secret = form(secret)
        return secret

    return made


def _jinja(template: str) -> Form:
    made = jinja2.Environment(autoescape=False).from_string(template)
    return lambda secret: made.render(s=secret)


def _little_endian(secret: str) -> str:
    data = secret.encode() + b"\0" * (len(secret.encode()) % 2)
    return " ".join(data[at : at + 2][::-1].hex() for at in range(0, len(data), 2))


_B64, _URL64 = base64.b64encode, base64.urlsafe_b64encode

FORMS: dict[str, Form] = {
    "raw": str,
    "JSON": json.dumps,
    "JSON, not ASCII only": lambda secret: json.dumps(secret, ensure_ascii=False),
    "JSON in JSON": _nested(json.dumps, json.dumps),
    "JSON in JSON in JSON": _nested(json.dumps, json.dumps, json.dumps),
    "JSON with slashes escaped": lambda secret: json.dumps(secret).replace("/", "\\/"),
    "JSON for HTML": lambda secret: re.sub("[<>&'+]", lambda m: f"\\u{ord(m[0]):04x}", json.dumps(secret)),
    "JSON, every character": lambda secret: "".join(
        f"\\u{unit:04X}" for unit in memoryview(secret.encode("utf-16")[2:]).cast("H")
    ),
    "repr": repr,
    "ascii": ascii,
    "repr of bytes": lambda secret: repr(secret.encode()),
    "repr of repr": lambda secret: repr(repr(secret)),
    "pprint": lambda secret: pprint.pformat(secret, width=20),
    "Go": _go,
    "C, hex": _each(lambda byte: f"\\x{byte:02x}"),
    "C, octal": _each(lambda byte: f"\\{byte:03o}"),
    "JavaScript and Rust": lambda secret: "".join(f"\\u{{{ord(sign):x}}}" for sign in secret),
    "URL": _quote(""),
    "URL with slashes": _quote("/"),
    "URL that keeps marks": _quote("+&='!*()~"),
    "URL of a form": urllib.parse.quote_plus,
    "URL of a form that keeps marks": lambda secret: urllib.parse.quote_plus(secret, safe="&='/"),
    "URL in small letters": lambda s: re.sub("%..", lambda m: m[0].lower(), urllib.parse.quote(s, safe="")),
    "URL twice": _nested(_quote(""), _quote("")),
    "URL three times": _nested(_quote(""), _quote(""), _quote("")),
    "URL, every byte": _each(lambda byte: f"%{byte:02X}"),
    "HTML": html.escape,
    "HTML without quotes": lambda secret: html.escape(secret, quote=False),
    "HTML, decimal": lambda secret: "".join(f"&#{ord(sign)};" for sign in secret),
    "HTML, hex": lambda secret: "".join(f"&#x{ord(sign):X};" for sign in secret),
    "HTML twice": _nested(html.escape, html.escape),
    "HTML of JSON": _nested(json.dumps, html.escape),
    "JSON of HTML": _nested(html.escape, json.dumps),
    "URL of JSON": _nested(json.dumps, _quote("")),
    "JSON of URL": _nested(_quote("/"), json.dumps),
    "Jinja |e": _jinja("{{ s|e }}"),
    "Jinja |tojson": _jinja("{{ s|tojson }}"),
    "Jinja |urlencode": _jinja("{{ s|urlencode }}"),
    "shlex.quote": shlex.quote,
    "shell trace": _traced,
    "shell trace of sh -c": _nested(_traced, _traced),
    "printf %q": _printf_q,
    "printf %q twice": _nested(_printf_q, _printf_q),
    "$'…'": _ansi_c,
    "'…'$'\\n''…'": _mixed_shell,
    "PowerShell, SQL, YAML in single quotes": lambda secret: "'" + secret.replace("'", "''") + "'",
    "CSV": lambda secret: '"' + secret.replace('"', '""') + '"',
    "regular expression": re.escape,
    "YAML": lambda secret: str(yaml.safe_dump({"key": secret})),
    "YAML, double quotes": lambda secret: str(yaml.safe_dump({"key": secret}, default_style='"', width=30)),
    "YAML, single quotes": lambda secret: str(yaml.safe_dump({"key": secret}, default_style="'", width=30)),
    "YAML, folded": lambda secret: str(yaml.safe_dump([{"key": secret}], default_style=">", width=30)),
    "YAML, literal": lambda secret: str(yaml.safe_dump([{"key": secret}], default_style="|")),
    "indented": lambda secret: textwrap.indent(secret, "        "),
    "coloured": _coloured,
    "wrapped after 13": _lines(13, "\n"),
    "wrapped and indented": _lines(11, "\r\n    "),
    "wrapped with a backslash": _lines(17, "\\\n  "),
    "quoted-printable": lambda secret: quopri.encodestring(secret.encode()).decode(),
    "base64": _wrapped(_B64, 10**6),
    "base64, 76": _wrapped(_B64, 76),
    "base64, 64": _wrapped(_B64, 64, "\r\n"),
    "base64 behind one byte": _wrapped(_B64, 76, before=":"),
    "base64 behind two bytes": _wrapped(_B64, 64, before="u:"),
    "base64 for URLs": _wrapped(_URL64, 10**6, before="x"),
    "base64 in JSON": _nested(_wrapped(_B64, 76), json.dumps),
    "base64 in JSON in JSON": _nested(_wrapped(_B64, 64), json.dumps, json.dumps),
    "base64 in a URL": _nested(_wrapped(_B64, 10**6), _quote("")),
    "base64 of $(base64)": _wrapped(_B64, 12, " "),
    "base64, indented": _wrapped(_B64, 60, "\n      "),
    "base64, coloured": _nested(_wrapped(_B64, 10**6), _coloured),
    "encodebytes": lambda secret: base64.encodebytes(secret.encode()).decode(),
    "base64 of UTF-16": lambda secret: base64.b64encode(secret.encode("utf-16-le")).decode(),
    "base32": _wrapped(base64.b32encode, 76),
    "base32 behind a byte": _wrapped(base64.b32encode, 64, before=":"),
    "hex": lambda secret: secret.encode().hex(),
    "hex, upper case": lambda secret: secret.encode().hex().upper(),
    "hex, colons": lambda secret: secret.encode().hex(":"),
    "hex, colons, wrapped": _nested(lambda secret: secret.encode().hex(":"), _lines(45, "\n    ")),
    "hex, blanks": lambda secret: secret.encode().hex(" ").upper(),
    "hex, dashes": lambda secret: secret.encode().hex("-"),
    "hex, words": lambda secret: secret.encode().hex(" ", -2),
    "hex, little-endian words": _little_endian,
    "hex, C array": _each(lambda byte: f"0x{byte:02x}", ", "),
    "hex, hexlify": lambda secret: repr(binascii.hexlify(secret.encode())),
    "decimal list": lambda secret: str(list(secret.encode())),
    "decimal, Go": _each(str, " "),
    "octal bytes": _each(lambda byte: f"{byte:03o}", " "),
}
"""Every form by its name; each takes a secret and returns what is printed."""

_TOOLS: dict[str, list[str]] = {
    "base64": ["base64"],
    "base64 -w 20": ["base64", "-w", "20"],
    "openssl base64": ["openssl", "base64"],
    "openssl enc -A": ["openssl", "enc", "-base64", "-A"],
    "base32": ["base32"],
    "basenc --base64url": ["basenc", "--base64url"],
    "basenc --base16": ["basenc", "--base16"],
    "xxd": ["xxd"],
    "xxd -p": ["xxd", "-p"],
    "xxd -i": ["xxd", "-i"],
    "xxd -u -g1": ["xxd", "-u", "-g", "1"],
    "xxd -c 8 -g4": ["xxd", "-c", "8", "-g", "4"],
    "hexdump": ["hexdump"],
    "hexdump -C": ["hexdump", "-C"],
    "hexdump -b": ["hexdump", "-b"],
    "od": ["od"],
    "od -c": ["od", "-c"],
    "od -b": ["od", "-b"],
    "od -x": ["od", "-x"],
    "od -tx1": ["od", "-A", "x", "-t", "x1"],
    "od -tx1z": ["od", "-t", "x1z"],
    "od -An -tx1": ["od", "-An", "-t", "x1"],
    "od -tx4": ["od", "-t", "x4"],
    "jq @sh": ["jq", "-Rrs", "@sh"],
    "jq @html": ["jq", "-Rrs", "@html"],
    "jq @uri": ["jq", "-Rrs", "@uri"],
    "jq @json": ["jq", "-Rrs", "@json|@json"],
    "jq @base64": ["jq", "-Rrs", "@base64"],
    "jq @csv": ["jq", "-Rrs", "[.]|@csv"],
    "jq @tsv": ["jq", "-Rrs", "[.]|@tsv"],
    "jq -a": ["jq", "-Rsa", "."],
    "jq explode": ["jq", "-Rsc", "explode"],
    "bash -x": ["bash", "-c", 'IFS= read -rd "" x; set -x; : "$x"'],
    "bash -x, C": ["env", "LC_ALL=C", "bash", "-c", 'IFS= read -rd "" x; set -x; : "$x"'],
    "bash printf %q": ["bash", "-c", 'IFS= read -rd "" x; printf %q "$x"'],
    "bash printf %q, C": ["env", "LC_ALL=C", "bash", "-c", 'IFS= read -rd "" x; printf %q "$x"'],
    "bash declare -p": ["bash", "-c", 'IFS= read -rd "" x; declare -p x'],
    "bash @Q": ["bash", "-c", 'IFS= read -rd "" x; echo "${x@Q}"'],
    "coreutils printf %q": ["bash", "-c", 'IFS= read -rd "" x; env printf %q "$x"'],
    "dash -x": ["dash", "-c", 'x=$(cat; echo .); set -x; : "$x"'],
    "zsh -x": ["zsh", "-fc", 'x=$(cat); set -x; : "$x"'],
    "zsh (qqqq)": ["zsh", "-fc", "x=$(cat); echo -r - ${(qqqq)x}"],
    "perl Dumper": ["perl", "-MData::Dumper", "-e", "$Data::Dumper::Useqq = 1; local $/; print Dumper(<STDIN>)"],
    "node": ["node", "-e", "console.log([require('fs').readFileSync(0,'utf8')])"],
    "node Buffer": ["node", "-e", "console.log(JSON.stringify(require('fs').readFileSync(0)))"],
    "fold": ["fold", "-w", "20"],
}

TOOLS = {name: command for name, command in _TOOLS.items() if shutil.which(command[0])}
"""Commands that read a secret from their input, of those that are installed."""


def printed(command: list[str], secret: str) -> str:
    """What a command of TOOLS prints on both streams."""
    env = {"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, input=secret.encode(), capture_output=True, check=True, env=env)
    return (done.stdout + done.stderr).decode(errors="replace")


_TURNED = str.maketrans(
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "nopqrstuvwxyzabcdefghijklmNOPQRSTUVWXYZABCDEFGHIJKLM5678901234",
)


def leaked(printed: str, other: str, written: str) -> set[str]:
    """What is left of a secret: pieces of eight signs of what was printed that are in what was written of it.

    `other` is what is printed of `turned(secret)`: what both have, such as offsets and names, tells nothing.
    """
    return (_pieces(printed) - _pieces(other)) & _pieces(written)


def turned(secret: str) -> str:
    """Another secret with the same signs, as far as quoting sees them."""
    return secret.translate(_TURNED)


def _pieces(text: str) -> set[str]:
    found = set()
    for part in re.split("⟦[^⟧]*⟧", text):
        # Escapes of a terminal are nobody's secret: with them, what is left of a blank at the end has eight signs.
        signs = re.sub(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\([0-9A-Za-z])|[\s'\"`\\=]|%3D", "", part)
        found |= {signs[at : at + 8] for at in range(len(signs) - 7)}
    return found
