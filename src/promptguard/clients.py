"""guard_client: a client with guards around everything that it sends and gets."""

from __future__ import annotations

import os
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Any, TypeVar

from ._costs import Limit
from .engine import OnError
from .errors import ConfigError
from .guard import Guard
from .guarded import Settings, check_options, settled

if TYPE_CHECKING:
    from .policy import Policy

__all__ = ["guard_client"]

Client = TypeVar("Client")


def guard_client(
    client: Client,
    *,
    input: Guard | None = None,
    output: Guard | None = None,
    policy: Policy | str | os.PathLike[str] | None = None,
    route: str | None = None,
    on_block: Any = None,
    on_error: OnError = "block",
    restore: bool = False,
    dry_run: bool = False,
    budget: Limit = None,
    unguarded: Sequence[str] = (),
) -> Client:
    """Put guards around a client of an LLM.

        client = guard_client(OpenAI(), input=PromptInjection(), output=Secrets())

    Args:
        client: A client of OpenAI or Anthropic, sync or async.
        input: What to look for in the texts of a request; see ``guarded``.
        output: What to look for in the texts of an answer and of a stream.
        policy: See ``guarded``.
        route: The route of the policy to follow.
        on_block: See ``guarded``. A text becomes an answer of the client's own shape,
            and ends a stream the way the client expects.
        on_error: ``"allow"`` goes on when a guard fails; the verdict is degraded.
        restore: Put redacted values back into the text of the answer.
        dry_run: Report and change nothing; see ``guarded``.
        budget: How long the guards may take; see ``guarded``.
        unguarded: Endpoints that may carry text no guard looks at, by the beginning of
            their path: ``("files", "images/generations")``.

    Returns:
        An object of the client's own type that shares its connections. Clients that
        are derived from it (``with_options``, ``with_raw_response``) are guarded too.
        The client that was given stays as it was.

    Raises:
        ConfigError: An option is wrong, or the client is of unknown shape; when used,
            an endpoint carries text, is not guarded and not named in ``unguarded``.
        Blocked: When used, a guard decided that the text must not go on.
        GuardError: When used, a guard broke.
    """
    made = settled(
        Settings(input, output, on_block, on_error, restore, dry_run, budget),
        policy,
        route,
    )
    check_options(
        made.input,
        made.output,
        None,
        made.on_block,
        made.on_error,
        made.restore,
        made.dry_run,
    )
    if isinstance(unguarded, str) or not all(isinstance(n, str) for n in unguarded):
        raise ConfigError('unguarded is a tuple of names: unguarded=("files",)')
    from .adapters import families
    from .adapters.options import Options

    names = tuple(name.strip("/") for name in unguarded)
    options = Options(*made[:5], names, made.dry_run, made.budget)
    # The module openai makes a client, and wants a key, when it is asked what it has.
    known = () if isinstance(client, ModuleType) else families()
    for fits, guard in known:
        if fits(client):
            guarded: Client = guard(client, options)
            return guarded
    raise ConfigError(
        f"guard_client does not know a {type(client).__name__}; it knows clients of "
        "OpenAI, Anthropic and Google. Guard the function that calls it with guarded"
    )
