"""What the guards need to know of each family of clients; none of them is imported."""

from collections.abc import Callable
from typing import Any

from .google import guard_google, is_google
from .http import guard_http, is_http
from .options import Options

__all__ = ["families"]


def families() -> tuple[
    tuple[Callable[[Any], bool], Callable[[Any, Options], Any]], ...
]:
    """For each family, how its clients are known and how they are guarded."""
    return ((is_http, guard_http), (is_google, guard_google))
