"""Models that stay what they are, whatever becomes of their folder or alias.

A service puts new files in force while requests are under way on the old ones. So it
gives each model, as it is now, a name of its own, and lets go of it with the name.
"""

from __future__ import annotations

import itertools
import weakref

from . import hub, infer, registered
from .bundle import statement

__all__ = ["Pinned", "pin", "state"]

_numbers = itertools.count(1)


class Pinned(str):
    """The name of a loaded model, which is there as long as somebody holds the name."""

    __slots__ = ("__weakref__",)

    @property
    def digest(self) -> str:
        """The digest of the bundle."""
        return self.removeprefix(infer.PINNED).partition("#")[0]

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # Another process has no such model, and says so.
        return str, (str(self),)


def pin(model: str | None, revision: str | None = None) -> Pinned:
    """Load a model as it is now, and give it a name.

    A model that is there already, under another such name, is not loaded once more.

    Raises:
        ConfigError: What is named is no model.
        MissingExtra: What fetches it is not installed.
        ModelError: A file is missing, altered, or not for this library.
    """
    if isinstance(model, Pinned):
        return model
    bundle = infer.fetched(model, revision)
    made = infer.same(bundle)
    # Numbered: what was read beside the model, a calibration, may have changed.
    name = Pinned(f"{infer.PINNED}{bundle.digest}#{next(_numbers)}")
    infer.keep(str(name), made)
    weakref.finalize(name, infer.drop, str(name)).atexit = False
    return name


def state(model: str | None, revision: str | None = None) -> str:
    """What would be loaded now: a digest, a commit, or the version of a registry.

    Raises:
        ConfigError: What is named is no model.
        MissingExtra: What asks for it is not installed.
        ModelError: It is not there, or cannot be asked for.
    """
    if isinstance(model, Pinned):
        return model.digest
    if model is not None and revision is not None:
        return hub.commit(model, revision)
    if model is not None and model.startswith(registered.PREFIX):
        return registered.state(model)
    folder = hub.local(model)
    if folder is None:
        # It comes with the library, which does not change while it runs.
        return ""
    return statement(folder).get("digest", str)
