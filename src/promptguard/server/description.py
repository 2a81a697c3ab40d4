"""What the OpenAPI description says of bodies that are read by hand."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from .checks import CheckRequest, RedactRequest, RestoreRequest

__all__ = ["REFUSALS", "body_of", "takes"]

_TEXT = {"type": "string"}
_MODEL = {"type": "string", "examples": ["gpt-4o-mini"]}
_STREAM = {"type": "boolean"}
_MESSAGE = {
    "type": "object",
    "required": ["role", "content"],
    "properties": {
        "role": {"enum": ["system", "developer", "user", "assistant", "tool"]},
        "content": {
            "anyOf": [
                _TEXT,
                {
                    "type": "array",
                    "items": {
                        "type": "object",
                        "required": ["type", "text"],
                        "properties": {"type": {"const": "text"}, "text": _TEXT},
                    },
                },
            ]
        },
    },
}
_TEXTS = {"anyOf": [_TEXT, {"type": "array", "items": _TEXT}]}
_MESSAGES = {"type": "array", "items": _MESSAGE}
_BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {
        "model": _MODEL,
        "messages": {**_MESSAGES, "minItems": 1},
        "stream": _STREAM,
    },
    "/v1/completions": {"model": _MODEL, "prompt": _TEXTS, "stream": _STREAM},
    "/v1/responses": {
        "model": _MODEL,
        "input": {"anyOf": [_TEXT, _MESSAGES]},
        "instructions": _TEXT,
        "stream": _STREAM,
    },
    "/v1/embeddings": {"model": _MODEL, "input": _TEXTS},
}
_NEEDED = {"/v1/chat/completions": "messages", "/v1/completions": "prompt"}
_MODELS: dict[str, type[BaseModel]] = {
    "/v1/check": CheckRequest,
    "/v1/redact": RedactRequest,
    "/v1/restore": RestoreRequest,
}
_ERROR = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": _TEXT,
                "type": _TEXT,
                "param": {"type": ["string", "null"]},
                "code": _TEXT,
            },
        }
    },
}


def _refusal(what: str) -> dict[str, Any]:
    return {"description": what, "content": {"application/json": {"schema": _ERROR}}}


REFUSALS: dict[int | str, dict[str, Any]] = {
    400: _refusal("Blocked (`content_filter`), or not to be read."),
    401: _refusal("The API key is missing or not known."),
    403: _refusal("The host is called by a name that is not its own."),
    404: _refusal("There is nothing of this name."),
    405: _refusal("Not with this method."),
    408: _refusal("The body took too long."),
    413: _refusal("The body is too large."),
    415: _refusal("The body is not plain JSON."),
    422: _refusal("The body is not what the endpoint takes."),
    429: _refusal("Too many requests, or too many that were blocked."),
    500: _refusal("A guard failed, and nothing was let through."),
    502: _refusal("The upstream failed, or cannot be reached."),
    503: _refusal("Too many at a time; `Retry-After` says when."),
    504: _refusal("The upstream took too long."),
}
"""What every endpoint may answer besides what it is for."""


def body_of(path: str) -> dict[str, Any]:
    """The JSON Schema of the body that an endpoint takes."""
    if path in _MODELS:
        return _inlined(_MODELS[path].model_json_schema())
    fields = _BODIES[path]
    needed = ["model", _NEEDED.get(path, "input")]
    return {"type": "object", "properties": fields, "required": needed}


def takes(path: str) -> dict[str, Any]:
    """The same as FastAPI has it in ``openapi_extra``."""
    content = {"application/json": {"schema": body_of(path)}}
    said: dict[str, Any] = {"requestBody": {"required": True, "content": content}}
    if "stream" in _BODIES.get(path, {}):
        # Of each event, which is JSON but for the last one.
        events: dict[str, Any] = {"text/event-stream": {"schema": {}}}
        said["responses"] = {"200": {"content": events}}
    return said


def _inlined(schema: dict[str, Any]) -> dict[str, Any]:
    """A schema with its definitions in the places where they are named."""
    definitions = schema.pop("$defs", {})

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            if "$ref" in value:
                return put(definitions[value["$ref"].rpartition("/")[2]])
            return {key: put(inner) for key, inner in value.items()}
        return [put(inner) for inner in value] if isinstance(value, list) else value

    made: dict[str, Any] = put(schema)
    return made
