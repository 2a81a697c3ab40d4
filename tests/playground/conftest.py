"""A playground in this process."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from promptguard.playground.server import Playground


@pytest.fixture(scope="module")
def playground() -> Iterator[Playground]:
    with Playground() as made:
        thread = threading.Thread(
            target=made.serve_forever, kwargs={"poll_interval": 0.02}
        )
        thread.start()
        yield made
        made.shutdown()
        thread.join()
