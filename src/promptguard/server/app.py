"""The application: which path leads where."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import Any

from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse, Response

from .. import Policy, __version__
from .checks import CheckAnswer, Checks, RedactAnswer, RestoreAnswer
from .conversations import Conversations
from .description import REFUSALS, takes
from .door import Door, refusal_headers
from .echo import Echo
from .errors import Refused, failed
from .limits import Places, Retries
from .pages import add_docs
from .policies import load, settled, told
from .proxy import ENDPOINTS, Proxy
from .reloading import Held, Reloader
from .settings import Settings
from .upstream import HttpUpstream, Upstream
from .visit import Visit
from .wiring import Wired, wired

__all__ = ["Service", "create_app", "from_environment"]

_OWN = ("/v1/check", "/v1/policy", "/v1/redact", "/v1/restore", "/v1/models")
# Checks at a time for each core; most of them wait for the model.
_FOR_EACH_CORE = 4
# Seconds; five times as often as by default.
_SWITCH = 0.001
# Seconds for requests that are cut off at the end to say so.
_LAST = 1.0


class Service(FastAPI):
    """The application, with what its parts share.

    Attributes:
        ready: The model is loaded, and requests are answered.
        conversations: What was taken out, by conversation.
        places: Requests that are being checked.
    """

    ready: bool = False
    conversations: Conversations
    places: Places
    door: Callable[[Any], Door]

    def build_middleware_stack(self) -> Any:
        """The application with the door before everything else."""
        return self.door(super().build_middleware_stack())


def from_environment() -> Service:
    """The application as the environment has it, for an ASGI server of its own."""
    settings = Settings.of({})
    if "uvicorn" in sys.modules:
        from .protocol import Patient

        Patient.SECONDS = settings.header_seconds
    return create_app(settings)


def create_app(
    settings: Settings,
    *,
    policy: Policy | Held | None = None,
    observers: Wired | None = None,
    hangup: bool = False,
) -> Service:
    """The application.

    Args:
        settings: How it runs.
        policy: What is checked; None reads what the settings name, or the file that
            is found by name now, whenever it is reloaded.
        observers: Who gets the records; None is whom the settings name.
        hangup: Reload at SIGHUP, where nobody else makes anything of it.

    Raises:
        ConfigError: There is something wrong with the policy; all of it is told.
        MissingExtra: Something that is asked for is not installed.
    """
    held = _held(settings, policy)
    known = wired(settings) if observers is None else observers
    upstream: Upstream = Echo()
    if settings.upstream != "echo":
        upstream = HttpUpstream(settings)
    retries = Retries(settings.retries, settings.retry_seconds)
    most = _FOR_EACH_CORE * (os.cpu_count() or 1)
    places = Places(most, settings.queue, settings.queue_seconds)
    kept = Conversations(settings.conversations, settings.conversation_seconds)
    proxy = Proxy(settings, held, upstream, places, retries)
    checks = Checks(settings, held, places, retries, kept)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        import asyncio

        # The loop waits no longer than this for a thread that runs Python.
        sys.setswitchinterval(_SWITCH)
        if held.now is None:
            await asyncio.to_thread(held.load)
        # Modules and tables stay for good. To look through them for garbage takes
        # 30 ms, in the middle of somebody's request.
        gc.collect()
        gc.freeze()
        reloader = Reloader(
            held, settings.watch, hangup=hangup, count=known.count_reload
        )
        await reloader.start()
        service.ready = True
        # Cancelled by whoever does not wait for the end; what was noted is kept still.
        with suppress(asyncio.CancelledError):
            yield
        service.ready = False
        if isinstance(service.middleware_stack, Door):
            await service.middleware_stack.closed(_LAST)
        await reloader.stop()
        gc.unfreeze()
        await upstream.close()
        # What is written waits for a disk or a network.
        await asyncio.to_thread(known.close)

    service = Service(
        title="promptguard",
        version=__version__,
        description="Guards around an OpenAI-compatible endpoint, and by themselves.",
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json" if settings.docs else None,
        redirect_slashes=False,
        lifespan=lifespan,
        responses=REFUSALS,
    )
    service.conversations, service.places = kept, places
    _add_proxy(service, proxy)
    _add_checks(service, proxy, checks, held)
    _add_state(service, known)
    if settings.docs:
        add_docs(service)
    service.add_exception_handler(Refused, _refused)
    service.add_exception_handler(HTTPException, _not_there)
    service.add_exception_handler(Exception, _failed)
    service.door = partial(
        Door,
        settings=settings,
        endpoints=(*ENDPOINTS, *_OWN),
        answer=proxy.answer,
        observers=known.observers,
        retries=retries,
        texts=known.texts,
    )
    return service


def _held(settings: Settings, policy: Policy | Held | None) -> Held:
    if isinstance(policy, Held):
        return policy
    if policy is None:
        fixed = settled(settings)
        return Held(lambda: load(fixed))
    # A name of its own, which stays what it is.
    given = policy
    return Held(lambda: given)


def _add_proxy(app: FastAPI, proxy: Proxy) -> None:
    def add(path: str) -> None:
        # For the description, and for other methods: the door has the proxy answer.
        async def endpoint(request: Request) -> Response:
            return await proxy.answer(request, path)

        name = path.removeprefix("/v1/").replace("/", " ")
        app.add_api_route(
            path,
            endpoint,
            methods=["POST"],
            name=name,
            tags=["proxy"],
            openapi_extra=takes(path),
            response_class=JSONResponse,
        )

    for path in ENDPOINTS:
        add(path)

    @app.get("/v1/models", tags=["proxy"])
    async def models(request: Request) -> Response:
        """The models of the upstream."""
        return await proxy.models(request, "/v1/models")

    @app.get("/v1/models/{model:path}", tags=["proxy"])
    async def model(request: Request, model: str) -> Response:
        """One model of the upstream."""
        parts = model.split("/")
        plain = all(
            p and p.strip(".") and p.isascii() and p.isprintable() for p in parts
        )
        if not plain or any(sign in model for sign in "?#%\\ ") or len(model) > 256:
            raise Refused(404, "model_not_found", "There is no such model.")
        return await proxy.models(request, f"/v1/models/{model}")


def _add_checks(app: FastAPI, proxy: Proxy, checks: Checks, held: Held) -> None:
    @app.post("/v1/check", tags=["guards"], openapi_extra=takes("/v1/check"))
    async def check(request: Request) -> CheckAnswer:
        """What the guards of the policy make of texts."""
        return await checks.check(request, await proxy.body(request))

    @app.post("/v1/redact", tags=["guards"], openapi_extra=takes("/v1/redact"))
    async def redact(request: Request) -> RedactAnswer:
        """Texts without what the policy redacts, as turns of a conversation."""
        return await checks.redact(request, await proxy.body(request))

    @app.post("/v1/restore", tags=["guards"], openapi_extra=takes("/v1/restore"))
    async def restore(request: Request) -> RestoreAnswer:
        """Texts with what was taken out; not into links, addresses and code."""
        return await checks.restore(request, await proxy.body(request))

    @app.delete("/v1/conversations/{id}", tags=["guards"], status_code=204)
    async def forget(request: Request, id: str) -> None:
        """Forget a conversation and what was taken out in it."""
        checks.forget(request, id)

    @app.get("/v1/policy", tags=["guards"])
    async def shown() -> dict[str, Any]:
        """What is looked for, and what happens then."""
        now = held.now
        revision = {} if now is None else now.told
        return {"object": "policy", **told(held.policy), **revision}


def _add_state(app: Service, known: Wired) -> None:
    @app.get("/healthz", tags=["state"])
    async def health() -> dict[str, str]:
        """The process is there."""
        return {"status": "ok"}

    @app.get("/readyz", tags=["state"])
    async def ready() -> dict[str, str]:
        """The model is loaded, and another request would be taken."""
        if not app.ready or app.places.full:
            message = "The service takes no request at the moment."
            raise Refused(503, "not_ready", message, retry_after=1.0)
        return {"status": "ready"}

    metrics = known.metrics
    if metrics is not None:
        page = {"content": {"text/plain": {"schema": {"type": "string"}}}}

        @app.get(
            "/metrics",
            tags=["state"],
            response_class=Response,
            responses={200: page},
        )
        def shown() -> Response:
            """What was counted, for Prometheus."""
            data, kind = metrics.render()
            return Response(data, headers={"content-type": kind})


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, Refused)
    visit: Visit = request.state.visit
    visit.error = error.code
    headers = refusal_headers(error)
    return JSONResponse(error.body, error.status, headers)


async def _failed(request: Request, error: Exception) -> Response:
    # It is raised again, and the door says in the log where it comes from.
    refused = failed()
    return JSONResponse(refused.body, refused.status)


async def _not_there(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    codes = {404: "not_found", 405: "method_not_allowed"}
    code = codes.get(error.status_code, "invalid_request")
    message = "There is no such endpoint."
    if error.status_code == 405:
        message = "The endpoint does not take this method."
    refused = Refused(error.status_code, code, message)
    answer = await _refused(request, refused)
    answer.headers.update(error.headers or {})
    return answer
