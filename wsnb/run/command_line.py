"""The shell's side of the command `wsnb`: errors with the nearest name, and completion of words in bash and zsh."""

import argparse
import re

from wsnb.run import params

CHOICE = re.compile(r"(.*)invalid choice: '([^']*)' \(choose from (.*)\)")
SCRIPT = """\
# wsnb completion: source <(wsnb completion {shell})
{head}_wsnb() {{
  local word=${{COMP_WORDS[COMP_CWORD]}} words=""
  if [ "$COMP_CWORD" -eq 1 ]; then words="{commands}"
  else case "${{COMP_WORDS[1]}} $word" in
{options}
    {named}) words="$(wsnb list --names 2>/dev/null)" ;;
  esac; fi
  COMPREPLY=($(compgen -W "$words" -- "$word"))
  [ ${{#COMPREPLY[@]}} -gt 0 ] || COMPREPLY=($(compgen -f -- "$word"))
}}
complete -F _wsnb wsnb
"""
ZSH = "autoload -Uz compinit bashcompinit && compinit && bashcompinit\n"


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors suggest the nearest command, choice or option."""

    def error(self, message):
        """Print usage and MESSAGE, with the nearest choice instead of all of them, and exit with code 2."""
        if match := CHOICE.fullmatch(message):
            choices = [one.strip().strip("'") for one in match[3].split(",")]
            message = f"{match[1]}{match[2]!r} is none; {params.nearest(match[2], choices)}"
        super().error(message)

    def parse_args(self, args=None, namespace=None):
        """As argparse's, but unknown options come with the nearest option of their command."""
        found, rest = self.parse_known_args(args, namespace)
        if rest:
            own = command(self, getattr(found, "command", None))
            options = [one for one in own._option_string_actions if one.startswith("--")]
            unknown = next((one for one in rest if one.startswith("-")), rest[0])
            hint = f"; {params.nearest(unknown, options)}" if unknown.startswith("--") else ""
            own.error(f"unrecognized arguments: {' '.join(rest)}{hint}")
        return found


def _commands(parser) -> dict:
    """{name: parser} of the commands of PARSER."""
    actions = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    return actions[0].choices if actions else {}


def command(parser, name):
    """The parser of the command NAME; PARSER itself without one."""
    return _commands(parser).get(name, parser)


def completion(parser, shell: str) -> str:
    """A script for SHELL, bash or zsh, that completes the commands, their options, and the names of experiments."""
    commands = _commands(parser)
    cases = []
    for name, one in commands.items():
        options = " ".join(sorted(one._option_string_actions))
        cases.append(f'    "{name} -"*) words="{options}" ;;')
    named = "|".join(f'"{name} "*' for name in ("run", "plan", "params", "status"))
    return SCRIPT.format(shell=shell, head=ZSH if shell == "zsh" else "", commands=" ".join(commands),
                         options="\n".join(cases), named=named)
