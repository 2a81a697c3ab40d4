"""Argument parsers whose errors are one line, and name what was meant."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import NoReturn

from .errors import nearest, unknown

__all__ = ["ERROR", "Parser", "TopParser"]

ERROR = 2
"""The exit status when nothing was done."""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors are one line, and name what was meant."""

    def error(self, message: str) -> NoReturn:
        self.exit(ERROR, f"{self.prog}: {message}; see {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: object) -> None:
        # What argparse asks for each value that has choices.
        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        if not isinstance(action, argparse._SubParsersAction):
            kind = (action.option_strings or [action.dest])[0].lstrip("-")
            said = str(unknown(kind, value, names)).removesuffix(".")
            raise argparse.ArgumentError(action, said)
        near = nearest(value, names)
        hint = "" if near is None else f"; did you mean {near}?"
        # Not repeated: it may be a prompt.
        self.error(f"no such command{hint or '.'} Known: {', '.join(names)}")

    def unknown(self, words: Sequence[str]) -> NoReturn:
        """End because of words that no argument takes."""
        known = [name for name in self._option_string_actions if name[:2] == "--"]
        options = [word.partition("=")[0] for word in words if word[:1] == "-"]
        near = [name for word in options if (name := nearest(word, known))]
        hint = f" (did you mean {near[0]}?)" if near else ""
        # argparse would repeat the words it did not know, and they may be a prompt.
        self.error(
            f"too many words or an unknown option{hint}; put the text in quotes, and "
            "-- before one that begins with a dash"
        )


class TopParser(Parser):
    """The parser of the program's own words, which may be a text by mistake."""

    def error(self, message: str) -> NoReturn:
        if not message.startswith("no such command"):
            message = "no such command or option"
        super().error(f"{message}; to check a text: check TEXT")
