from __future__ import annotations

import pytest


@pytest.fixture
def path(tmp_path):
    return tmp_path / "traffic.db"


@pytest.fixture
def url(path):
    return f"sqlite:///{path}"
