"""Scripts that complete the command line in a shell, made from its parser.

A script holds every command, option and value, so that pressing TAB starts no program.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["SHELLS", "script"]

SHELLS = ("bash", "zsh", "fish")

# What an argument is called tells whether it is a place on the disk.
_PLACES = frozenset({"FILE", "FOLDER", "MODEL", "OUT"})


@dataclass(frozen=True)
class _Option:
    names: tuple[str, ...]
    says: str
    takes: bool
    values: tuple[str, ...]
    place: bool


@dataclass(frozen=True)
class _Command:
    """A command: the words that lead to it, and what may follow them."""

    words: tuple[str, ...]
    says: str
    options: tuple[_Option, ...]
    values: tuple[str, ...]
    place: bool
    below: tuple[str, ...]

    @property
    def name(self) -> str:
        return "_".join(("promptguard", *self.words))

    @property
    def flags(self) -> tuple[str, ...]:
        return tuple(name for option in self.options for name in option.names)

    @property
    def follows(self) -> tuple[str, ...]:
        """The words that may come next, options aside."""
        return self.below or self.values


def script(parser: argparse.ArgumentParser, shell: str) -> str:
    """The completion of a parser's commands.

    Args:
        parser: The parser.
        shell: One of ``SHELLS``.
    """
    commands = tuple(_commands(parser, (), ""))
    return {"bash": _bash, "zsh": _zsh, "fish": _fish}[shell](commands)


def _commands(
    parser: argparse.ArgumentParser, words: tuple[str, ...], says: str
) -> Iterator[_Command]:
    options: list[_Option] = []
    values: tuple[str, ...] = ()
    place = False
    inner: list[_Command] = []
    below: tuple[str, ...] = ()
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            told = {
                choice.dest: choice.help or "" for choice in action._choices_actions
            }
            below = tuple(action.choices)
            for name, sub in action.choices.items():
                inner += _commands(sub, (*words, name), told.get(name, ""))
        elif action.option_strings:
            options.append(_option(action))
        else:
            values += tuple(map(str, action.choices or ()))
            place = place or action.metavar in _PLACES
    yield _Command(words, says, tuple(options), values, place, below)
    yield from inner


def _option(action: argparse.Action) -> _Option:
    says = (action.help or "").partition(" (default")[0].replace("%%", "%")
    return _Option(
        names=tuple(action.option_strings),
        says=says,
        takes=action.nargs != 0,
        values=tuple(map(str, action.choices or ())),
        place=action.metavar in _PLACES,
    )


def _bash(commands: tuple[_Command, ...]) -> str:
    lines = [
        "_promptguard() {",
        '    local word="${COMP_WORDS[COMP_CWORD]}"',
        '    local before="${COMP_WORDS[COMP_CWORD-1]}"',
        "    local path=promptguard index",
        # bash takes "--role=user" for three words.
        '    if [[ $word == "=" ]]; then word=""',
        '    elif [[ $before == "=" ]]; then before="${COMP_WORDS[COMP_CWORD-2]}"; fi',
        "    for ((index = 1; index < COMP_CWORD; index++)); do",
        '        case "$path ${COMP_WORDS[index]}" in',
    ]
    for command in commands[1:]:
        above = "_".join(("promptguard", *command.words[:-1]))
        lines.append(
            f'            "{above} {command.words[-1]}") path={command.name} ;;'
        )
    lines += [
        "        esac",
        "    done",
        "    COMPREPLY=()",
        '    case "$path $before" in',
    ]
    for command in commands:
        for option in command.options:
            if option.takes:
                which = " | ".join(f'"{command.name} {name}"' for name in option.names)
                lines.append(f"        {which}) {_bash_values(option)}; return ;;")
    lines += ["    esac", '    case "$path" in']
    for command in commands:
        flags = _bash_words(command.flags)
        plain = _bash_words(command.follows)
        if not command.follows and command.place:
            plain = 'COMPREPLY=($(compgen -f -- "$word"))'
        lines += [
            f"        {command.name})",
            f"            if [[ $word == -* ]]; then {flags}; else {plain}; fi ;;",
        ]
    lines += [
        "    esac",
        "}",
        "complete -o filenames -o bashdefault -F _promptguard promptguard",
    ]
    return "\n".join(lines) + "\n"


def _bash_values(option: _Option) -> str:
    if option.values:
        return _bash_words(option.values)
    return 'COMPREPLY=($(compgen -f -- "$word"))' if option.place else ":"


def _bash_words(words: tuple[str, ...]) -> str:
    if not words:
        return ":"
    return f'COMPREPLY=($(compgen -W "{" ".join(words)}" -- "$word"))'


def _zsh(commands: tuple[_Command, ...]) -> str:
    lines = ["#compdef promptguard", ""]
    for command in commands:
        lines += [
            f"_{command.name}() {{",
            '    local curcontext="$curcontext" state line',
            "    typeset -A opt_args",
            "    _arguments -S -C \\",
        ]
        for option in command.options:
            lines += [f"        {spec} \\" for spec in _zsh_option(option)]
        if command.below:
            inner = [c for c in commands if c.words and c.words[:-1] == command.words]
            told = [f'"{c.words[-1]}\\:{_zsh_says(c.says)}"' for c in inner]
            lines += [
                f"        '1:command:(({' '.join(told)}))' \\",
                "        '*::arguments:->below'",
                '    [[ $state == below ]] && case "$words[1]" in',
                *(f"        {c.words[-1]}) _{c.name} ;;" for c in inner),
                "    esac",
            ]
        elif command.values:
            lines.append(f"        '1:value:({' '.join(command.values)})'")
        elif command.place:
            lines.append("        '*:file:_files'")
        else:
            lines.append("        '*:text: '")
        lines += ["}", ""]
    lines += [
        "if [[ $funcstack[1] == _promptguard ]]; then",
        '    _promptguard "$@"',
        "else",
        "    compdef _promptguard promptguard",
        "fi",
    ]
    return "\n".join(lines) + "\n"


def _zsh_option(option: _Option) -> Iterator[str]:
    for name in option.names:
        value = ""
        if option.takes:
            after = f"({' '.join(option.values)})" if option.values else " "
            value = f"=:value:{'_files' if option.place else after}"
        if not name.startswith("--"):
            value = value.replace("=", "+", 1)
        yield f"'*{name}{value and value[0]}[{_zsh_says(option.says)}]{value[1:]}'"


def _zsh_says(said: str) -> str:
    for sign in "\\[]:":
        said = said.replace(sign, f"\\{sign}")
    return said.replace("'", "").replace('"', "").replace("`", "")


_FISH = """\
# True behind these words, whatever follows them.
function __promptguard_in
    set -l words (string match -v -- '-*' (commandline -opc)[2..-1])
    set -l many (count $argv)
    test (count $words) -ge $many; or return 1
    test "$words[1..$many]" = "$argv"
end
# True right behind these words.
function __promptguard_at
    set -l words (string match -v -- '-*' (commandline -opc)[2..-1])
    test "$words" = "$argv"
end
complete -c promptguard -f
"""


def _fish(commands: tuple[_Command, ...]) -> str:
    lines = []
    for command in commands:
        where = "__promptguard_at" if command.below else "__promptguard_in"
        condition = " ".join((where, *command.words))
        here = f"complete -c promptguard -n {_fish_quoted(condition)}"
        for name in command.below:
            inner = next(c for c in commands if c.words == (*command.words, name))
            lines.append(f"{here} -a {name} -d {_fish_quoted(inner.says)}")
        if command.values:
            lines.append(f"{here} -a {_fish_quoted(' '.join(command.values))}")
        if command.place:
            lines.append(f"{here} -F")
        for option in command.options:
            line = here
            for name in option.names:
                kind = "-l" if name.startswith("--") else "-s"
                line += f" {kind} {name.lstrip('-')}"
            if option.takes:
                line += " -r -F" if option.place else " -x"
            if option.values:
                line += f" -a {_fish_quoted(' '.join(option.values))}"
            lines.append(f"{line} -d {_fish_quoted(option.says)}")
    return _FISH + "\n".join(lines) + "\n"


def _fish_quoted(said: str) -> str:
    return "'" + said.replace("\\", "\\\\").replace("'", "\\'") + "'"
