"""What stands in the place of an endpoint that no guard looks at."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from ..errors import ConfigError
from .options import Options

__all__ = ["Closed", "Shut", "closed", "refused"]


def refused(endpoint: str, name: str) -> ConfigError:
    """The error for an endpoint that is not guarded, with what to do."""
    return ConfigError(
        f"{endpoint} carries text that no guard looks at. Call it on the client that "
        f"is not guarded, or say that you mean it: unguarded=({name!r},)"
    )


def closed(path: str) -> Callable[..., Any]:
    """A method that refuses to be called."""

    def method(*args: Any, **kwargs: Any) -> Any:
        raise refused(path, path)

    return method


class Shut:
    """A part of a client that is closed altogether."""

    def __init__(self, path: str) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refused(f"{self._path}/{name}", self._path)


class Closed:
    """An object or module of which only what is guarded, or holds no text, is open.

    Args:
        target: The object.
        given: What to give in place of its own attributes.
        plain: Names of attributes that carry no text.
        options: What may be left unguarded.
        path: How the attributes are called in ``unguarded``.
    """

    def __init__(
        self,
        target: Any,
        given: Mapping[str, Any],
        plain: frozenset[str],
        options: Options,
        path: str = "",
    ) -> None:
        self._target = target
        self._given = dict(given)
        self._plain = plain
        self._options = options
        self._path = path

    def __getattr__(self, name: str) -> Any:
        if name in self._given:
            return self._given[name]
        value = getattr(self._target, name)
        path = f"{self._path}{name}"
        if name in self._plain or self._options.leaves_out(path):
            return value
        if isinstance(value, _WITHOUT_TEXT):
            return value
        raise refused(path, path)

    def __dir__(self) -> list[str]:
        return dir(self._target)

    def __repr__(self) -> str:
        return f"<guarded {type(self._target).__name__}>"


_WITHOUT_TEXT = (bool, int, float, str, bytes, type, type(None))
