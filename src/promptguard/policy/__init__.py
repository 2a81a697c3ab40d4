"""Policies: what is checked and what happens then, from a file.

policy = Policy.load("promptguard.toml")

@guarded(policy=policy)
def ask(prompt: str) -> str: ...
"""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import ConfigError, unknown
from ..guard import Guard

if TYPE_CHECKING:
    from .._costs import Limit
    from ..engine import OnError

__all__ = ["NAME", "VARIABLE", "Policy"]

NAME = "promptguard.toml"
"""What a policy is called where it is found by name."""

VARIABLE = "PROMPTGUARD_POLICY"
"""The environment variable that names the policy, wherever it is."""


@dataclass(frozen=True, kw_only=True)
class Policy:
    """What is checked, and what happens then: all that ``guarded`` can be told.

    Args:
        input: Guards for what goes to the model; each knows the roles it is for.
        output: Guards for what the model answers.
        on_block: What happens to a text that is blocked; None raises Blocked.
        on_error: What happens to a text when a guard breaks.
        restore: Put redacted values back into the text of the answer.
        dry_run: Report, and change nothing.
        budget: How long the guards may take over the arguments, and over the answer.
        routes: Policies by name, for parts of an application.
        source: The file it was read from.
    """

    input: Guard | None = None
    output: Guard | None = None
    on_block: Any = None
    on_error: OnError = "block"
    restore: bool = False
    dry_run: bool = False
    budget: Limit = None
    routes: tuple[tuple[str, Policy], ...] = ()
    source: str = field(default="", compare=False)

    @classmethod
    def load(cls, path: str | os.PathLike[str] | None = None) -> Policy:
        """Read a policy file.

        Args:
            path: The file; it ends with .toml, .json, .yaml or .yml. None looks for
                one: the file that PROMPTGUARD_POLICY names, or else promptguard.toml in
                the working directory or the nearest directory above it.

        Raises:
            ConfigError: There is none, or something is wrong with it; all that is wrong
                is told, with its line.
            MissingExtra: It is YAML, and the extra ``yaml`` is not installed.
        """
        from .building import made, refused
        from .files import read

        source = read(cls.find() if path is None else Path(path))
        done = made(source)
        if done.policy is None:
            raise refused(source, done.wrongs)
        return done.policy

    @staticmethod
    def find() -> Path:
        """The policy file that is found by name; see ``load``.

        Raises:
            ConfigError: There is none.
        """
        named = os.environ.get(VARIABLE)
        if named:
            if not Path(named).is_file():
                raise ConfigError(f"{VARIABLE} names {named}, which is not a file")
            return Path(named)
        here = Path.cwd()
        for folder in (here, *here.parents):
            if (folder / NAME).is_file():
                return folder / NAME
        raise ConfigError(
            f"found no policy: there is no {NAME} in {here} or above it, and "
            f"{VARIABLE} is not set. `promptguard policy init` writes one to start "
            "from; or pass guards, as in @guarded(input=PromptInjection())"
        )

    def route(self, name: str) -> Policy:
        """The policy for one part of an application.

        Raises:
            ConfigError: There is no route of this name.
        """
        routes = dict(self.routes)
        if name not in routes:
            if not routes:
                raise ConfigError(f"{self.source or 'the policy'} has no routes")
            raise unknown("route", name, routes)
        return routes[name]

    def warmup(self) -> None:
        """Load what the first check would load, and try it. LLMs are not called.

        Raises:
            ModelError: A model file is missing or altered.
            ConfigError: A model has no such label or rate.
        """
        for policy in (self, *(policy for _, policy in self.routes)):
            for guard in (policy.input, policy.output):
                if guard is not None:
                    guard.warmup()

    def pinned(self) -> Policy:
        """The same policy with its models as they are now, loaded.

        Whatever becomes of a folder, a branch or an alias, the policy does not change.
        The models are there as long as it is, in this process.

        Raises:
            ModelError: A model file is missing or altered, or cannot be fetched.
            ConfigError: What is named is no model.
            MissingExtra: What fetches a model is not installed.
        """
        from .pinning import pinned

        return pinned(self)

    def revisions(self) -> tuple[tuple[str, str], ...]:
        """By guard, what its model would be if it were loaded now.

        The digest of a bundle, a commit of the Hub, the version of a registry; empty
        for the model that is shipped. Of a pinned policy, the digests that it has.

        Raises:
            ModelError: A model is not there, or cannot be asked for.
            ConfigError: What is named is no model.
            MissingExtra: What asks for a model is not installed.
        """
        from .pinning import revisions

        return revisions(self)
