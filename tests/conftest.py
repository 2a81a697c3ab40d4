"""No test reaches beyond this machine.

An audit hook sees every connection and every look-up of a name that Python code of this
process makes, whatever library makes it and however deep. What a test tried is told at
its end as well, because libraries swallow the error and go on without the network.
Processes that a test starts are not watched.

A suite that was started in the background ignores Ctrl-C, and so would the processes
that it starts and interrupts: here it is heard again.
"""

from __future__ import annotations

import ipaddress
import os
import signal
import sys
import threading
from collections.abc import Iterator

import pytest

HERE = frozenset({"", "localhost", "ip6-localhost", "localhost.localdomain"})
_tried: list[str] = []
_lock = threading.Lock()


class Outside(OSError):
    """A test tried to reach another machine."""


def is_here(host: object) -> bool:
    """True for this machine: the loopback interface, or every address of its own."""
    if host is None:
        return True
    if isinstance(host, bytes | bytearray):
        host = bytes(host).decode("ascii", "replace")
    if not isinstance(host, str):
        return False
    # MLflow resolves an address with the name and password that stand before it.
    host = host.rpartition("@")[2]
    if host in HERE:
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None) or address
    return mapped.is_loopback or mapped.is_unspecified


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def _watch(event: str, arguments: tuple[object, ...]) -> None:
    if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
        address = arguments[1]
        # A path is a Unix socket; None is one that is connected already.
        host = address[0] if isinstance(address, tuple) and address else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not is_here(host):
        with _lock:
            _tried.append(f"{event} {host!r}")
        raise Outside(f"tests reach no other machine, and this is one: {host!r}")


sys.addaudithook(_watch)
# MLflow would tell of its use.
os.environ["MLFLOW_DISABLE_TELEMETRY"] = "true"


@pytest.fixture
def outside() -> list[str]:
    """What was tried so far; a test that tries on purpose empties it."""
    return _tried


@pytest.fixture(autouse=True)
def _nothing_leaves_this_machine() -> Iterator[None]:
    yield
    with _lock:
        tried, _tried[:] = _tried[:], []
    assert not tried, f"this test tried to reach other machines: {', '.join(tried)}"
