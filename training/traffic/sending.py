"""Sending requests to a running service, and noting which request became what.

The service names every request in ``x-request-id``, and keeps it under that name: by
this id, and by nothing that is alike, a captured text is known to be the one that was
sent. The notes hold no texts.
"""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from ..errors import PipelineError
from ..faults import AGAIN
from ..files import write_atomically
from .plan import Item, Plan, Pool, items

__all__ = [
    "PROTOCOLS",
    "Sent",
    "Service",
    "ServiceDown",
    "noted",
    "read_sent",
    "send",
]

PROTOCOLS = ("openai", "guard")
"""Chat completions through OpenAI's client, or ``/v1/check`` of the service."""

# Of a service that refuses for now, or does not answer.
_PASSING = frozenset({408, 429, 503})
_LONGEST_PAUSE = 5.0


class ServiceDown(PipelineError):
    """The service does not answer, or refuses to."""


@dataclass(frozen=True, kw_only=True)
class Service:
    """Where requests go.

    Args:
        url: The address, with or without ``/v1``.
        key: An API key of the service, if it asks for one.
        model: The model that is asked for.
        protocol: One of ``PROTOCOLS``.
        seconds: How long an answer may take.
        patience: Seconds for which a service that is away, or busy, is tried again.
    """

    url: str
    key: str = field(default="", repr=False)
    model: str = "echo"
    protocol: str = "openai"
    seconds: float = 60.0
    patience: float = 20.0

    def __post_init__(self) -> None:
        if self.protocol not in PROTOCOLS:
            raise PipelineError(
                f"traffic: no protocol {self.protocol!r}. Known: {', '.join(PROTOCOLS)}"
            )
        if not self.url.startswith(("http://", "https://")):
            raise PipelineError(
                "traffic: the address of a service is written like "
                "http://127.0.0.1:8080"
            )

    @property
    def root(self) -> str:
        return self.url.rstrip("/").removesuffix("/v1").rstrip("/")

    def see(self) -> None:
        """See that it is there.

        Raises:
            ServiceDown: It is not.
        """
        try:
            with urllib.request.urlopen(f"{self.root}/readyz", timeout=10):
                return
        except urllib.error.HTTPError as error:
            error.close()
            if error.code == 503:
                return
            problem = f"answers {error.code} at /readyz"
        except (OSError, ValueError) as error:
            problem = f"does not answer ({type(error).__name__})"
        raise ServiceDown(
            f"traffic: {self.root} {problem}; start a service, as in: promptguard "
            "serve --capture sqlite:///traffic.db"
        )


@dataclass(frozen=True, slots=True)
class Sent:
    """A request that was sent, without its text.

    Args:
        number: Its place in the plan.
        request: Its id, as the service keeps it.
        status: The HTTP status of the answer.
        at: When it was sent.
        role: Of its text.
        length: Of its text, in characters: the captured text has as many.
        truth: What is true of its text, by label.
        origin: Where its text comes from.
        category: Of its text.
        lang: Of its text.
        drift: The kind of drift that it has; empty for none.
    """

    number: int
    request: str
    status: int
    at: str
    role: str
    length: int
    truth: dict[str, int]
    origin: str
    category: str
    lang: str
    drift: str


def send(
    plan: Plan,
    pool: Pool,
    service: Service,
    out: Path,
    *,
    rate: float = 20.0,
    workers: int = 8,
    bar: bool = True,
) -> list[Sent]:
    """Send the requests of a plan that the file does not have yet; gives all of them.

    Args:
        plan: What is sent.
        pool: The texts it is drawn from.
        service: Where it goes.
        out: A file of JSON lines, which is added to: the plan, then a line for each
            request, written when its answer is there.
        rate: Requests a second, evenly spaced; less where the service is slower.
        workers: Requests that may be under way at a time.
        bar: Show the progress.

    Raises:
        ServiceDown: The service went away, or takes no requests. What was sent is in
            the file, and the same command goes on from there.
        PipelineError: The file is of another plan, or cannot be written.
    """
    if rate <= 0 or workers < 1:
        raise PipelineError("traffic: rate must be above 0, and workers at least 1")
    done = {sent.number: sent for sent in noted(plan, pool, out)}
    left = [item for item in items(plan, pool) if item.number not in done]
    if left:
        service.see()
        notes = _Notes(out)
        with (
            notes,
            tqdm(
                total=plan.requests,
                initial=len(done),
                desc=f"send {plan.drift or 'traffic'}",
                unit="request",
                disable=not bar,
            ) as progress,
        ):

            def note(sent: Sent) -> None:
                notes.write(sent)
                done[sent.number] = sent
                progress.update()

            _Sender(service, rate, workers).send(left, note)
    return [done[number] for number in sorted(done) if number < plan.requests]


def noted(plan: Plan, pool: Pool, out: Path) -> list[Sent]:
    """The requests of a plan that were sent already; the file is begun if need be.

    Raises:
        PipelineError: The file is of another plan, or cannot be read.
    """
    return _begun(plan.stated | {"texts": pool.digest}, out)


def read_sent(path: Path) -> list[Sent]:
    """What was noted of the requests that were sent.

    Raises:
        PipelineError: There is no such file, or it is of another kind.
    """
    return _read(path)[1]


def _begun(wanted: dict[str, Any], out: Path) -> list[Sent]:
    if not out.exists():
        out.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(out, (json.dumps({"plan": wanted}) + "\n").encode())
        return []
    stated, sent = _read(out)
    if stated != wanted:
        other = sorted(name for name in wanted if stated.get(name) != wanted[name])
        raise PipelineError(
            f"{out} is of another plan: {', '.join(other)} is another; name another "
            "file with --sent, or repeat the command that began it"
        )
    return sent


def _read(path: Path) -> tuple[dict[str, Any], list[Sent]]:
    try:
        lines = path.read_text("utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise PipelineError(
            f"{path} cannot be read ({type(error).__name__}); it is what --sent wrote"
        ) from None
    # What a run that was killed had begun to write, and a disk had not taken.
    whole = [line for line in lines[:-1] if line]
    try:
        plan: dict[str, Any] = json.loads(whole[0])["plan"]
        sent = [Sent(**json.loads(line)) for line in whole[1:]]
    except (LookupError, TypeError, ValueError):
        raise PipelineError(
            f"{path} is not what `python -m training traffic` writes with --sent"
        ) from None
    return plan, sent


class _Notes:
    """The file of what was sent; each line of it is whole."""

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, threading.Lock()

    def __enter__(self) -> _Notes:
        content = self._path.read_bytes()
        whole = content.rfind(b"\n") + 1
        self._file: IO[bytes] = self._path.open("r+b")
        # Half a line, of a run that was killed, would run into the next one.
        self._file.truncate(whole)
        self._file.seek(whole)
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def write(self, sent: Sent) -> None:
        with self._lock:
            self._file.write((json.dumps(asdict(sent)) + "\n").encode())
            self._file.flush()


class _Sender:
    def __init__(self, service: Service, rate: float, workers: int) -> None:
        self._service, self._rate, self._workers = service, rate, workers
        self._over = threading.Event()
        self._ask = _asking(service)

    def send(self, left: Iterable[Item], noted: Callable[[Sent], None]) -> None:
        begun, running = time.monotonic(), set[Future[None]]()

        def work(item: Item) -> None:
            if (sent := self._one(item)) is not None:
                noted(sent)

        with ThreadPoolExecutor(self._workers, "traffic") as pool:
            try:
                for place, item in enumerate(left):
                    # An even pace, whatever the answers take; no more at once than
                    # there are workers.
                    self._over.wait(max(0.0, begun + place / self._rate - _now()))
                    running = _settled(running, self._workers)
                    running.add(pool.submit(work, item))
                _settled(running, 0)
            except BaseException:
                self._over.set()
                raise

    def _one(self, item: Item) -> Sent | None:
        """What became of a request; None where another one has ended the run."""
        pause, until = 0.1, _now() + self._service.patience
        while True:
            if self._over.is_set():
                return None
            at = datetime.now(UTC).isoformat(timespec="milliseconds")
            status, headers = self._ask(item)
            if status not in _PASSING and status:
                break
            pause = min(_pause(headers, pause), _LONGEST_PAUSE)
            if _now() + pause > until:
                self._over.set()
                what = f"answers {status}" if status else "does not answer any more"
                raise ServiceDown(
                    f"traffic: {self._service.root} {what}; what was sent is noted; "
                    f"{AGAIN}"
                )
            self._over.wait(pause)
            pause *= 2
        # 400 is a prompt that was blocked, which is what traffic is for.
        name = headers.get("x-request-id", "")
        if status in (401, 403, 404) or not name:
            self._over.set()
            raise ServiceDown(
                f"traffic: {self._service.root} answers {status}"
                + ("" if name else " without x-request-id")
                + "; name a promptguard service, and its key with --key-variable"
            )
        return Sent(
            item.number,
            name,
            status,
            at,
            item.role,
            len(item.text),
            item.truth,
            item.origin,
            item.category,
            item.lang,
            item.drift,
        )


def _now() -> float:
    return time.monotonic()


def _settled(running: set[Future[None]], most: int) -> set[Future[None]]:
    """Wait until fewer than so many are under way; what went wrong is raised."""
    while running and len(running) >= max(most, 1):
        done, running = wait(running, return_when=FIRST_COMPLETED)
        for each in done:
            each.result()
    return running


def _pause(headers: Mapping[str, str], otherwise: float) -> float:
    try:
        return max(0.05, float(headers["retry-after"]))
    except (KeyError, ValueError):
        return otherwise


_Answer = tuple[int, Mapping[str, str]]


def _asking(service: Service) -> Callable[[Item], _Answer]:
    """Asks the service; status 0 means that it did not answer."""
    if service.protocol == "guard":
        return lambda item: _check(service, item)
    try:
        import openai
    except ImportError:
        raise PipelineError(
            "traffic: openai is not installed; pip install 'promptguard-llm[openai]', "
            "or send with --protocol guard"
        ) from None
    client = openai.OpenAI(
        base_url=f"{service.root}/v1",
        api_key=service.key or "none",
        timeout=service.seconds,
        max_retries=0,
    )

    def ask(item: Item) -> _Answer:
        messages: Any = _messages(item)
        try:
            answer = client.chat.completions.with_raw_response.create(
                model=service.model, messages=messages
            )
        except openai.APIStatusError as error:
            return error.status_code, error.response.headers
        except openai.APIConnectionError:
            return 0, {}
        return 200, answer.headers

    return ask


def _messages(item: Item) -> list[dict[str, Any]]:
    """The text alone, or as what a tool returned, which needs a call before it."""
    if item.role == "user":
        return [{"role": "user", "content": item.text}]
    call: dict[str, Any] = {"id": "call_1", "type": "function"}
    call |= {"function": {"name": "fetch", "arguments": "{}"}}
    return [
        {"role": "user", "content": "Go on."},
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": item.text},
    ]


def _check(service: Service, item: Item) -> _Answer:
    body = {"texts": [{"role": item.role, "text": item.text}]}
    headers = {"content-type": "application/json"}
    if service.key:
        headers["authorization"] = f"Bearer {service.key}"
    request = urllib.request.Request(
        f"{service.root}/v1/check", json.dumps(body).encode(), headers
    )
    try:
        with urllib.request.urlopen(request, timeout=service.seconds) as answer:
            return answer.status, _lower(answer.headers)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, _lower(error.headers)
    except OSError:
        return 0, {}


def _lower(headers: Any) -> dict[str, str]:
    # Any: the headers of an e-mail, which urllib has of HTTP too.
    return {name.lower(): value for name, value in headers.items()}
