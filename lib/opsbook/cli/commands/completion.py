"""Print a shell's completion script, for commands, options, runbooks, environments, parameters and runs."""

import argparse

from opsbook.console.text import say_text

_LOAD = {
    "bash": """\
# Completion of opsbook for bash. For every new shell, put this line into ~/.bashrc:
#   source <(opsbook completion bash)""",
    "zsh": """\
# Completion of opsbook for zsh. For every new shell, put these lines into ~/.zshrc:
#   autoload -Uz compinit && compinit
#   source <(opsbook completion zsh)""",
    "fish": """\
# Completion of opsbook for fish. For every new shell:
#   opsbook completion fish > ~/.config/fish/completions/opsbook.fish""",
}


def execute(options: argparse.Namespace) -> int:
    from argcomplete.shell_integration import shellcode

    first, _, rest = shellcode(["opsbook"], use_defaults=False, shell=options.shell).partition("\n")
    # zsh requires this first line when it loads the script from a folder of functions.
    say_text("\n".join((first, _LOAD[options.shell], rest.rstrip())).lstrip("\n"))
    return 0
