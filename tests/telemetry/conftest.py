from __future__ import annotations

import pytest
from records_made import GUARD, TEXT, record_of

from promptguard import AnyOf
from promptguard.records import Record


@pytest.fixture
def guard() -> AnyOf:
    return GUARD


@pytest.fixture
def record(guard: AnyOf) -> Record:
    return record_of(guard.check(TEXT), time=1_800_000_000.0)


@pytest.fixture
def make_record():
    return record_of
