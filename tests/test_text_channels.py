"""Every text channel of the clients' own types is read: 0 are left out.

The types are asked which fields they have. Each field that can hold a string is filled
with a mark of its own, one at a time in an object that holds nothing else of the kind;
what the readers do not find must be in the lists below, which say why.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import pydantic
import pytest

from promptguard.answers import read_answer
from promptguard.arguments import read
from promptguard.errors import ConfigError
from promptguard.events import seen
from promptguard.items import BLOCK_KINDS, ITEM_KINDS, UNSEEN_KINDS
from promptguard.messages import TEXT_PARTS

# Says which one, of what kind, when, how many: nothing that a model writes freely.
LABELS = frozenset(
    "background caller_id code container created_by domain fingerprint format id "
    "inference_geo model name namespace object output_format param quality "
    "server_label server_name service_tier size skill_id stop_reason "
    "stop_sequence system_fingerprint "
    "tool_name toolset_name type version role retrieved_at page_age".split()
)
# Images, audio and files: they lower the coverage. Sealed: only the API can read it.
UNSEEN = frozenset("data file_data file_url image_url partial_image_b64 result".split())
SEALED = frozenset(
    "encrypted_content encrypted_index encrypted_stdout obfuscation signature".split()
)
# The request again, the texts again token by token, and what the API says of a failure.
ECHOES = frozenset(
    "instructions logprobs metadata moderation prompt prompt_cache_key reasoning "
    "safety_identifier text tool_choice tools top_logprobs user".split()
)


def examples(kind: Any, depth: int = 6) -> Iterator[Any]:
    """Values of a type, so that each field of each member of each union is there."""
    origin = get_origin(kind)
    if origin is Annotated:
        yield from examples(get_args(kind)[0], depth)
    elif origin in (Union, types.UnionType):
        for inner in get_args(kind):
            yield from examples(inner, depth)
    elif origin is Literal:
        yield from get_args(kind)[:1]
    elif origin in (list, typing.List):  # noqa: UP006
        for inner in examples(get_args(kind)[0], depth):
            yield [inner]
    elif origin is dict:
        yield {"key": "MARK"}
    elif kind is str:
        yield "MARK"
    elif kind in (object, Any):
        yield {"key": "MARK"}
    elif isinstance(kind, type) and issubclass(kind, pydantic.BaseModel) and depth:
        yield from filled(kind, depth - 1)


def filled(model: Any, depth: int) -> Iterator[dict[str, Any]]:
    """Mappings of a model with one field filled at a time, beside its literals."""
    base: dict[str, Any] = {}
    for name, info in model.model_fields.items():
        literal = literals(info.annotation)
        if literal is not None:
            base[name] = literal
        elif info.is_required():
            base[name] = plain(info.annotation)
    yield dict(base)
    for name, info in model.model_fields.items():
        if literals(info.annotation) is None:
            for value in examples(info.annotation, depth):
                if marked(value):
                    yield {**base, name: value}


def literals(kind: Any) -> Any:
    if get_origin(kind) is Literal:
        return get_args(kind)[0]
    if get_origin(kind) in (Union, types.UnionType, Annotated):
        found = [literals(inner) for inner in get_args(kind)]
        return (
            next((value for value in found if value is not None), None)
            if not any(inner is str for inner in get_args(kind))
            else None
        )
    return None


def plain(kind: Any) -> Any:
    origin = get_origin(kind)
    if origin in (Union, types.UnionType, Annotated):
        return None if type(None) in get_args(kind) else plain(get_args(kind)[0])
    if origin in (list, typing.List):  # noqa: UP006
        return []
    if origin is dict or kind in (object, Any):
        return {}
    if kind in (int, float):
        return 0
    if isinstance(kind, type) and issubclass(kind, pydantic.BaseModel):
        return next(filled(kind, 2))
    return "" if kind is str else None


def marked(value: Any) -> bool:
    return any(text == "MARK" for _, text in strings(value))


def strings(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict | list):
        items = value.items() if isinstance(value, dict) else enumerate(value)
        for key, inner in items:
            yield from strings(inner, (*path, key))


def missed(data: Any, found: set[str], harmless: frozenset[str]) -> set[str]:
    """The marked fields that were not found, but for the harmless ones."""
    if "MARK" in found:
        return set()
    left = set()
    for path, text in strings(data):
        named = [key for key in path if isinstance(key, str)]
        ids = any(key.endswith(("_id", "_ids")) for key in named)
        # Of an image or a file among the outputs of a tool, as of its bytes.
        file = named[-2:] in (["output", "filename"], ["outputs", "url"])
        if text == "MARK" and not ids | file and harmless.isdisjoint(named):
            left.add(".".join(named))
    return left


def holds(*names: str) -> frozenset[str]:
    return LABELS | UNSEEN | SEALED | frozenset(names)


def test_responses_are_read_to_the_last_field():
    from openai.types.responses import ResponseOutputItem

    count, left = 0, set()
    for item in examples(ResponseOutputItem):
        answer = {"object": "response", "output": [item]}
        found = {part.text for part in read_answer(answer).parts}
        # `code` and `result` are texts in some items; where they are, they are found.
        left |= missed(item, found, holds("keys", "logprobs", "environment"))
        count += marked(item)
    assert count > 100
    assert left == set()


def test_items_with_code_and_results_are_read():
    for item in (
        {"type": "code_interpreter_call", "code": "MARK"},
        {"type": "program", "code": "MARK"},
        {"type": "program_output", "result": "MARK"},
    ):
        answer = {"object": "response", "output": [item]}
        assert [part.text for part in read_answer(answer).parts] == ["MARK"]


def test_events_of_responses_are_read_to_the_last_field():
    from openai.types.responses import ResponseStreamEvent

    count, left = 0, set()
    for event in examples(ResponseStreamEvent, 5):
        if event["type"] == "response.audio.delta":
            continue
        held = seen(event)
        found = {text.text for text in (*held.pieces, *held.parts)}
        about = holds("keys", "logprobs", "environment")
        if "response" in event:
            about |= ECHOES - {"text", "reasoning"}
            data = {"output": event["response"].get("output", [])}
        else:
            data = event
        left |= missed(data, found, about)
        count += marked(data)
    assert count > 200
    assert left == set()


def test_chat_completions_are_read_to_the_last_field():
    from openai.types import Completion
    from openai.types.chat import ChatCompletion, ChatCompletionChunk

    count, left = 0, set()
    for kind in (ChatCompletion, Completion, ChatCompletionChunk):
        for data in examples(kind):
            if not data["choices"]:
                continue
            choice = data["choices"][0]
            if kind is ChatCompletionChunk:
                try:
                    held = seen(data)
                except ConfigError as refused:
                    # Nothing passes unread: the stream is refused as a whole.
                    assert "cannot be checked while they stream" in str(refused)
                    continue
                found = {text.text for text in (*held.pieces, *held.parts)}
            else:
                if kind is ChatCompletion and not choice.get("message"):
                    continue
                found = {part.text for part in read_answer(data).parts}
            left |= missed(choice, found, holds("logprobs", "moderation"))
            count += marked(choice)
    assert count > 15
    assert left == set()


def test_messages_of_anthropic_are_read_to_the_last_field():
    pytest.importorskip("anthropic", reason="needs the extra 'clients'")
    from anthropic.types import Message, RawMessageStreamEvent
    from anthropic.types.beta import BetaMessage, BetaRawMessageStreamEvent

    count, left = 0, set()
    about = holds("caller", "container", "diagnostics", "context_management", "usage")
    for kind in (Message, BetaMessage):
        for data in examples(kind, 7):
            found = {part.text for part in read_answer(data).parts}
            left |= missed(data, found, about)
            count += marked(data)
    for kind in (RawMessageStreamEvent, BetaRawMessageStreamEvent):
        for data in examples(kind, 7):
            block = data.get("content_block") or {}
            if block.get("type") in ("text", "thinking"):
                continue
            held = seen(data)
            found = {text.text for text in (*held.pieces, *held.parts)}
            left |= missed(data, found, about)
            count += marked(data)
    assert count > 200
    assert left == set()


def param_kinds(root: Any) -> set[str]:
    """The values of ``type`` in a union of typed dicts."""
    found: set[str] = set()
    for inner in get_args(root):
        hints = typing.get_type_hints(inner) if isinstance(inner, type) else {}
        kind = hints.get("type")
        while kind is not None and get_origin(kind) is not Literal:
            kind = next(iter(get_args(kind)), None)
        found |= set(get_args(kind)) if kind is not None else set()
    return found


def test_every_type_of_an_item_in_a_request_is_known():
    from openai.types.responses import ResponseInputItemParam

    kinds = param_kinds(ResponseInputItemParam) - {"message"}
    assert len(kinds) > 20
    assert kinds <= ITEM_KINDS
    for kind in kinds:
        call = {"input": [{"role": "user", "content": "x"}, {"type": kind}]}
        assert read((), call).parts


def test_every_type_of_a_block_in_a_request_is_known():
    pytest.importorskip("anthropic", reason="needs the extra 'clients'")
    from anthropic.types import ContentBlockParam
    from anthropic.types.beta import BetaContentBlockParam

    kinds = param_kinds(ContentBlockParam) | param_kinds(BetaContentBlockParam)
    assert len(kinds) > 15
    assert kinds <= BLOCK_KINDS | UNSEEN_KINDS | set(TEXT_PARTS)
