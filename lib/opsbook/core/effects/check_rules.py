"""What may run on hosts, or where Ansible itself runs, in a check; each rule returns why not (ADR 28)."""

import re
import shlex
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

READS = frozenset(
    """
    stat slurp find assert set_fact set_stats debug fail ping setup gather_facts getent service_facts package_facts
    wait_for wait_for_connection include_vars add_host group_by pause meta validate_argument_spec
    """.split()  # noqa: SIM905  (a long list of words is easier to read this way)
)
"""Modules of ansible.builtin that change nothing on a host."""

_HELPERS = frozenset({"async_wrapper", "async_status"})
"""Modules with which Ansible starts others."""

_LOOKUPS = frozenset(
    """
    config csvfile dict env file fileglob first_found indexed_items ini inventory_hostnames items list nested
    random_choice sequence subelements template together unvault url varnames vars
    """.split()  # noqa: SIM905
)
"""Lookups of ansible.builtin that run nothing and write nothing."""

_FACTS_OF_PROGRAMS = ("local", "facter", "ohai")
"""Facts that come from scripts on the host."""

_PROGRAMS = {
    ("assemble", "validate"): "",
    ("git", "executable"): "git",
    ("git", "ssh_opts"): "",
    ("pip", "executable"): r"pip[\d.]*",
    ("subversion", "executable"): "svn",
    ("unarchive", "extra_opts"): "",
}
"""Arguments that name a program which a module starts in a check, too, and what it may be called."""

_LOADERS = re.compile(
    r"(LD_|DYLD_|PYTHON(?!UNBUFFERED|DONTWRITE|IOENC|UTF8|WARN)|PERL5|RUBY|BASH_|NODE_|JAVA_TOOL|ENV$"
    r"|GIT_(SSH|EXEC|PROXY|ASKPASS|CONFIG|EXTERNAL|EDITOR|PAGER|TEMPLATE)|.*[^\w])"
)
"""Variables that make programs load or run something; and what is no name, which a shell would read."""

_SHELL = r"(sh|bash|dash|ash|ksh|zsh|fish|csh|tcsh)"
_PYTHON = r"(python|pypy)[\d.]*"
_META = re.compile(r"[`;&|<>()\n]|\$(?!\{?\w+\}?)|\$\{\w+[^\w}]")
_FORMAT = re.compile(r"%\(\w+\)s")
_SSH_RUNS = re.compile(
    r"(localcommand|permitlocalcommand|knownhostscommand|remotecommand|pkcs11provider|securitykeyprovider"
    r"|xauthlocation|include|match)\b",
    re.IGNORECASE,
)
_NETCAT = frozenset({"-4", "-6", "-N", "-q", "-v", "-w", "-X", "-x", "--proxy", "--proxy-type"})
_PROXY = re.compile(r"proxycommand[\s=]+(.*)", re.IGNORECASE | re.DOTALL)
_SSH_FLAG = re.compile(r"([1246AaCfGgKkMNnqrsTtVvXxYy]*)(?:([BbcDEeFIiJLlmOoPpQRSWw])(.*))?", re.DOTALL)
"""Flags of ssh, sftp and scp: those without a value, then one with its value."""
_SECRET = re.compile(r"pass|private_key$|token|secret")
_PROGRAM = re.compile(r"(executable|exe|command|cmd)$")


@dataclass(frozen=True)
class Rules:
    """`content` is the folder of the project; `installed` are folders of Python packages, that of Ansible first.

    `reads` is what [check] reads in opsbook.toml names.
    """

    content: str
    installed: tuple[str, ...]
    reads: frozenset[str]

    # -- code

    def built_in(self, path: str, folder: str) -> str:
        """The name of a part of Ansible itself, by its file; empty for any other file."""
        place = Path(path)
        return place.stem if str(place.parent) == f"{self.installed[0]}/ansible/{folder}" else ""

    def is_installed(self, path: str) -> bool:
        return any(Path(path).is_relative_to(folder) for folder in self.installed)

    def named(self, *names: str) -> bool:
        """Whether opsbook.toml names one of these, or the collection it is of."""
        return any(name in self.reads or name.rpartition(".")[0] in self.reads for name in names if name)

    def plugin(self, kind: str, name: str, path: str) -> str:
        """Code that Ansible itself loads."""
        if self.is_installed(path) or self.named(name, Path(path).stem):
            return ""
        what = f"plugin {Path(path).stem}" if kind != "collection" else name.rstrip(".")
        return f"{kind} {what}, which is code of the project"

    def lookup(self, name: str, path: str) -> str:
        known = self.built_in(path, "plugins/lookup")
        if known in _LOOKUPS or self.named(name, f"ansible.builtin.{known}" if known else name):
            return ""
        return f"lookup {known or name}, which may run or write something"

    def module(self, name: str, path: str, style: str) -> str:
        """A module that is told to simulate only: whether it can know. Others run as they are."""
        if style == "new" or self.is_installed(path) or self.named(name):
            return ""
        return f"module {name}, which cannot simulate"

    def real(self, name: str, path: str, arguments: Mapping[str, Any]) -> str:
        """A module that really runs, though it is only a check: it may only read."""
        known = self.built_in(path, "modules")
        only_gets = known == "uri" and str(arguments.get("method") or "GET").upper() in ("GET", "HEAD")
        if known in READS | _HELPERS or (only_gets and not arguments.get("dest")):
            return ""
        return "" if self.named(name, f"ansible.builtin.{known}" if known else "") else f"{name} with check_mode: false"

    # -- arguments

    def facts(self, arguments: Mapping[str, Any]) -> str:
        """Facts that come from scripts."""
        subsets = arguments.get("gather_subset") or ()
        wanted = re.split(r"[,\s]+", subsets) if isinstance(subsets, str) else [str(each) for each in subsets]
        asked = [name for name in _FACTS_OF_PROGRAMS if name in wanted]
        if arguments.get("fact_path") not in (None, "", "/etc/ansible/facts.d"):
            asked.append("fact_path")
        return f"facts from scripts ({', '.join(asked)})" if asked else ""

    def arguments(self, module: str, arguments: Mapping[str, Any]) -> str:
        for (of, name), called in _PROGRAMS.items():
            value = arguments.get(name) if of == module else None
            if value and (not called or self.program(value, called)):
                return f"{module} with {name}: {value}"
        repo = str(arguments.get("repo") or "") if module in ("git", "subversion") else ""
        return f"{module} with repo: {repo}" if repo.startswith("-") or "::" in repo else ""

    def environment(self, given: Mapping[str, Any]) -> str:
        for name, value in given.items():
            paths = str(value).split(":") if str(name).endswith("PATH") else ()
            if _LOADERS.match(str(name)) or any(self.of_project(each) for each in paths):
                return f"environment: {name}, which makes programs load something"
        return ""

    # -- programs

    def of_project(self, path: str) -> bool:
        """Whether a path leads to the project, or to a folder that nobody can know."""
        if not path.startswith(("/", "~", "$")):
            return True
        place = Path(path)
        inside = place.is_relative_to(self.content) or place.resolve().is_relative_to(self.content)
        return inside and place.parent != Path(sys.executable).parent

    def program(self, text: Any, called: str = ".*") -> str:
        """A program by its name or path. `called`: what it may be called."""
        words = str(text).split()
        by_env = len(words) == 2 and words[0] == "/usr/bin/env"
        path = words[-1] if by_env or len(words) == 1 else ""
        known = bool(re.fullmatch(called, Path(path).name)) if path else False
        if known and not _META.search(str(text)) and not ("/" in path and self.of_project(path)):
            return ""
        return "" if self.named(str(text)) else f"{text} as a program"

    def interpreter(self, shebang: str | None) -> str:
        """What a module is run with, such as #!/usr/bin/python3."""
        return self.program(shebang[2:], _PYTHON) if shebang else ""

    def shell(self, text: str) -> str:
        return self.program(text.split(" ", 1)[0], _SHELL) if text else ""

    def options(self, kind: str, name: str, options: Mapping[str, Any]) -> Iterable[str]:
        """The options of a connection, a shell or become: what they would run."""
        for key, value in options.items():
            texts = [str(each) for each in (value if isinstance(value, list) else [value]) if isinstance(each, str)]
            for text in texts if _PROGRAM.search(key) or not _SECRET.search(key) else ():
                if text and not self.named(text) and self._runs(kind, name, key, text):
                    yield f"{key}: {text}"

    def _runs(self, kind: str, name: str, key: str, text: str) -> bool:
        user = key.endswith("user") and len(text.split()) > 1
        flag = key in ("host", "remote_addr") or key.endswith("user")
        if key == "pkcs11_provider" or user or (flag and text.startswith("-")):
            return True
        if key == "proxy_command":
            return self._proxy_runs(text)
        if key.endswith("_args"):
            return self._ssh_runs(text)
        if key == "become_flags":
            return not re.fullmatch(r"(\s*(-[ugprtCh]\s+\w+|-(?!c)\w*|--(?!command)[\w-]+(=\w+)?)(?=\s|$))*\s*", text)
        if end := _PROGRAM.search(key):
            called = {"become": name, "connection": key[: end.start()].rstrip("_") or ".*"}.get(kind, _SHELL)
            return bool(self.program(text, called))
        return bool(_META.search(_FORMAT.sub("", text)))

    def _ssh_runs(self, text: str, hosts: int = 0) -> bool:
        """Whether these arguments of ssh make it run something else, or read a file that may.

        `hosts` is how many words may be no flags: any more would be a command.
        """
        words = _words(text)
        while words:
            word = words.pop(0)
            found = _SSH_FLAG.fullmatch(word[1:]) if word.startswith("-") else None
            if found is None:
                hosts -= 1
                continue
            flag, value = found[2] or "", found[3] or ""
            if flag and not value:
                value = words.pop(0) if words else ""
            if flag == "F" and value not in ("none", "/dev/null"):
                return True
            if flag in ("D", "E", "I", "S") or (flag == "o" and self._option_runs(value.strip())):
                return True
        return hosts < 0

    def _option_runs(self, text: str) -> bool:
        proxy = _PROXY.match(text)
        return self._proxy_runs(proxy[1]) if proxy else bool(_SSH_RUNS.match(text))

    def _proxy_runs(self, text: str) -> bool:
        """Whether the command that reaches a host is anything but ssh or netcat."""
        words = _words(text.removeprefix('"').removesuffix('"'))
        if not words or _META.search(text) or self.program(words[0], r"ssh|nc|ncat|netcat|none"):
            return True
        if Path(words[0]).name == "ssh":
            return self._ssh_runs(shlex.join(words[1:]), hosts=1)
        return any(word.startswith("-") and word not in _NETCAT for word in words[1:])


def _words(text: str) -> list[str]:
    """The words of a command line; one that no program knows where they cannot be told apart."""
    try:
        return shlex.split(text)
    except ValueError:
        return ["?", "?"]
