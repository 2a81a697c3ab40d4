"""Services and an upstream for the tests of a module."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest
from serving import PATTERNS, Service, Upstream

NEEDED = ("fastapi", "httpx2", "prometheus_client", "uvicorn")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    missing = [name for name in NEEDED if find_spec(name) is None]
    here = Path(__file__).parent
    for item in items if missing else ():
        if here in item.path.parents:
            reason = f"needs the extra 'server': {', '.join(missing)} is missing"
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    made = Upstream()
    yield made
    made.close()


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Service]]:
    """Starts services, and ends them after the module."""
    made: list[Service] = []

    def start(policy: str = PATTERNS, *options: str, **env: str) -> Service:
        folder = tmp_path_factory.mktemp("service")
        service = Service(folder, policy, list(options), env)
        made.append(service)
        return service

    yield start
    for service in made:
        service.stop()


@pytest.fixture(scope="module")
def guarded(start: Callable[..., Service], upstream: Upstream) -> Service:
    """The service in front of the upstream, with guards that know three words."""
    return start(PATTERNS, "--upstream", upstream.address)
