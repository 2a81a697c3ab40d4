"""A streamed answer in the terminal, with what the guards hold back shown live.

What may go is printed as it goes. What has arrived and is still held is shown dim
behind it: a number that may become a card number stays there until it is known to be
none, or until it is taken out. Whoever reads the stream behind the guard never sees it.

    python examples/stream_terminal.py             as fast as the model
    python examples/stream_terminal.py --delay 0.1  the scripted model, slower
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from functools import partial
from typing import Any

from endpoint import Endpoint, endpoint
from openai import OpenAI

import promptguard as pg
from promptguard.testing import Reply

WIDTH = min(88, shutil.get_terminal_size().columns)
LIVE = sys.stdout.isatty() and "NO_COLOR" not in os.environ
DIM, RED, BOLD, PLAIN = ("\033[2m", "\033[31m", "\033[1m", "\033[0m")
if not LIVE:
    DIM = RED = BOLD = PLAIN = ""

STOPPED = "[stopped]"
ANSWERS = {
    "order": (
        "Thank you for asking. Your parcel has left our stores this morning, and with "
        "a little luck it is with you on Friday. Ada from the office will look after "
        "it: write to ada@example.org if anything is missing, and she will answer on "
        "the same day. It was paid with the card 4111 1111 1111 1111, and nothing is "
        "open. If you want to change the address, please do so before noon tomorrow, "
        "because after that the parcel is on its way and nobody can reach the driver. "
        "We hope that you enjoy your new kettle, and that the tea tastes as it should."
    ),
    "project": (
        "The plans for next year are settled. In spring there is a new kettle, which "
        "the people in the laboratory call Heliotrope, and it will cost half as much."
    ),
}


def scripted(delay: float, body: dict[str, Any]) -> Reply:
    """The stand-in for a model."""
    asked = body["messages"][-1]["content"]
    answer = ANSWERS["project" if "next year" in asked else "order"]
    return Reply(content=answer, size=4, delay=delay)


class Screen:
    """What has arrived, what has gone, and what lies between."""

    def __init__(self) -> None:
        self.begun = time.perf_counter()
        self.arrived = self.gone = ""
        self.column = self.rows = self.chunks = self.most = 0
        self.shown = False
        self.values = {STOPPED: ""}

    def mark(self, label: str, value: str) -> str:
        """What stands in place of a value; it tells later how long the value was."""
        for token, other in self.values.items():
            if other == value:
                return token
        token = f"[{label.lower()} {len(self.values)}]"
        self.values[token] = value
        return token

    @property
    def held(self) -> str:
        """What has arrived and not gone, in the words of the model."""
        done = len(self.gone)
        for token, value in self.values.items():
            done += self.gone.count(token) * (len(value) - len(token))
        return self.arrived[done:]

    def arrive(self, text: str) -> None:
        self.arrived += text
        self.chunks += 1
        self.most = max(self.most, len(self.held))
        self._held()

    def go(self, text: str) -> None:
        self._unheld()
        self.gone += text
        if not LIVE:
            seconds = time.perf_counter() - self.begun
            print(f"  {seconds:5.2f} s  held {len(self.held):>3}  goes {text!r}")
            return
        flowing, self.column, _ = flow(text, self.column)
        sys.stdout.write(flowing)
        self._held()

    def end(self) -> None:
        self._unheld()
        print(
            f"{'' if not LIVE else chr(10)}  {DIM}{len(self.arrived)} characters in "
            f"{self.chunks} chunks; at most {self.most} held at a time, "
            f"{len(self.held)} never let go{PLAIN}"
        )

    def _held(self) -> None:
        if LIVE:
            self._unheld()
            shown, _, self.rows = flow(self.held, self.column)
            sys.stdout.write(f"{RED}{DIM}{shown}{PLAIN}")
            sys.stdout.flush()
            self.shown = True

    def _unheld(self) -> None:
        """Go back to where the held text begins, and wipe it out."""
        if self.shown:
            up = f"\033[{self.rows}A" if self.rows else ""
            right = f"\033[{self.column}C" if self.column else ""
            sys.stdout.write(f"{up}\r{right}\033[J")
            self.shown = False


def flow(text: str, column: int) -> tuple[str, int, int]:
    """A text in lines that fit, from a column on: with its last column and its lines.

    What is held and what goes break at the same places, so that nothing jumps.
    """
    lines = [""]
    for word in re.findall(r"\S+|\s", text.replace("\n", " ")):
        if word == " " and column > WIDTH - 16:
            lines.append("")
            column = 0
            continue
        lines[-1] += word
        column += len(word)
    return "\n".join(lines), column, len(lines) - 1


def text_of(chunk: Any) -> str:
    return (chunk.choices[0].delta.content or "") if chunk.choices else ""


def seen(stream: Iterable[Any], screen: Screen) -> Iterator[Any]:
    """The model's own stream, before the guards: here it is only looked at."""
    for chunk in stream:
        if text_of(chunk):
            screen.arrive(text_of(chunk))
        yield chunk


def show(client: OpenAI, model: str, title: str, prompt: str) -> None:
    screen = Screen()
    codenames = pg.Keywords(("Heliotrope",), action=pg.Action.BLOCK)

    @pg.guarded(
        output=pg.PII(operator=screen.mark) | codenames,
        on_block=pg.replace(STOPPED),
    )
    def ask(prompt: str) -> Iterator[Any]:
        messages = [{"role": "user", "content": prompt}]
        stream = client.chat.completions.create(
            model=model, messages=messages, stream=True
        )
        return seen(stream, screen)

    print(f"\n{BOLD}{title}{PLAIN}")
    for chunk in ask(prompt):
        if text_of(chunk):
            screen.go(text_of(chunk))
    screen.end()


def main(llm: Endpoint) -> None:
    print(llm.told)
    pg.PII().warmup()
    with OpenAI(**llm.options) as client:
        where = "Where is my order? Repeat how I paid and whom you can reach."
        show(client, llm.model, "Taken out of the stream: personal data", where)
        plans = "What is planned for next year? Say what it is called."
        show(client, llm.model, "Ended in the stream: a word that may not go", plans)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--delay", type=float, default=0.01, help="seconds a chunk")
    chosen = parser.parse_args()
    with endpoint(partial(scripted, chosen.delay)) as llm:
        main(llm)
