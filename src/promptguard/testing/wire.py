"""Scripted replies in the shapes that the APIs send over the wire."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from .replies import Reply

__all__ = ["Wire", "wire_of"]

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Wire:
    """How one endpoint speaks.

    Args:
        needs: The field that a request must have.
        whole: An answer in one piece.
        chunks: The events of a streamed answer.
        named: Each event goes with its type as a name.
        done: What is sent after the last event.
    """

    needs: str
    whole: Callable[[Json, Reply], Json]
    chunks: Callable[[Json, Reply], Iterator[Json]]
    named: bool = False
    done: str = ""

    def accepts(self, body: Json) -> bool:
        """True when the body has what the endpoint needs."""
        kind = list if self.needs in ("messages", "contents") else object
        return isinstance(body.get(self.needs), kind) and self.needs in body

    def streams(self, path: str, body: Json) -> bool:
        """True when a request asks for a stream."""
        return bool(body.get("stream")) or ":streamGenerateContent" in path


def wire_of(path: str) -> Wire | None:
    """How the endpoint at a path speaks, or None where there is none."""
    path = path.partition("?")[0]
    google = path.startswith(("/v1/models/", "/v1beta/models/")) and (
        path.endswith((":generateContent", ":streamGenerateContent"))
    )
    return _GOOGLE if google else _WIRES.get(path)


def _envelope(body: Json, kind: str, id: str = "chatcmpl-1") -> Json:
    model = body.get("model", "test-model")
    return {"id": id, "object": kind, "created": 0, "model": model}


def _completion(body: Json, reply: Reply) -> Json:
    message: Json = {
        "role": "assistant",
        "content": reply.content,
        "refusal": reply.refusal,
    }
    if reply.reasoning is not None:
        message["reasoning_content"] = reply.reasoning
    if reply.tool_calls:
        message["tool_calls"] = [
            {
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for call in reply.tool_calls
        ]
    logprobs = None
    if body.get("logprobs"):
        logprobs = reply.logprobs or _logprobs(reply.content or "")
    choices = [
        {
            "index": index,
            "message": message,
            "finish_reason": _finish(reply),
            "logprobs": logprobs,
        }
        for index in range(body.get("n") or 1)
    ]
    envelope = _envelope(body, "chat.completion")
    return {**envelope, "choices": choices, "usage": _usage(reply)}


def _chunks(body: Json, reply: Reply) -> Iterator[Json]:
    """The chunks of a streamed answer; several choices take turns."""
    envelope = _envelope(body, "chat.completion.chunk")
    options = body.get("stream_options")
    usage = isinstance(options, dict) and options.get("include_usage")
    if usage:
        envelope["usage"] = None
    choices = range(body.get("n") or 1)
    finish = _finish(reply)
    for delta in [*_deltas(reply), None]:
        for index in choices:
            choice = {"index": index, "delta": delta or {}, "logprobs": None}
            if delta and delta.get("content") and body.get("logprobs"):
                choice["logprobs"] = _logprobs(delta["content"])
            choice["finish_reason"] = None if delta else finish
            yield {**envelope, "choices": [choice]}
    if usage:
        yield {**envelope, "choices": [], "usage": _usage(reply)}


def _deltas(reply: Reply) -> Iterator[Json]:
    yield {"role": "assistant", "content": "" if reply.content is not None else None}
    for name in ("reasoning", "content", "refusal"):
        key = "reasoning_content" if name == "reasoning" else name
        for piece in _pieces(getattr(reply, name) or "", reply.size):
            yield {key: piece}
    for index, call in enumerate(reply.tool_calls):
        function = {"name": call.name, "arguments": ""}
        head = {"id": call.id, "type": "function", "function": function}
        yield {"tool_calls": [{"index": index, **head}]}
        for piece in _pieces(call.arguments, reply.size):
            yield {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}


def _text_choices(body: Json, reply: Reply, text: str, finish: str | None) -> Json:
    envelope = _envelope(body, "text_completion", "cmpl-1")
    choice = {"text": text, "finish_reason": finish, "logprobs": None}
    indexes = range(body.get("n") or 1)
    return {**envelope, "choices": [{"index": i, **choice} for i in indexes]}


def _text(body: Json, reply: Reply) -> Json:
    answer = _text_choices(body, reply, reply.content or "", _finish(reply))
    return {**answer, "usage": _usage(reply)}


def _text_chunks(body: Json, reply: Reply) -> Iterator[Json]:
    for piece in _pieces(reply.content or "", reply.size):
        yield _text_choices(body, reply, piece, None)
    yield _text_choices(body, reply, "", _finish(reply))


def _embeddings(body: Json, reply: Reply) -> Json:
    given = body["input"] if isinstance(body["input"], list) else [body["input"]]
    rows = [
        {"object": "embedding", "index": index, "embedding": [0.5, 0.25]}
        for index in range(len(given))
    ]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return {"object": "list", "data": rows, "model": "test-model", "usage": usage}


def _no_chunks(body: Json, reply: Reply) -> Iterator[Json]:
    return iter(())


def _response_items(reply: Reply) -> Iterator[Json]:
    """The finished items of a response, in the order in which they come."""
    if reply.reasoning is not None:
        summary = [{"type": "summary_text", "text": reply.reasoning}]
        yield {"type": "reasoning", "id": "rs_1", "summary": summary}
    content: list[Json] = []
    if reply.content is not None:
        part = {"type": "output_text", "text": reply.content}
        content.append({**part, "annotations": [], "logprobs": []})
    if reply.refusal is not None:
        content.append({"type": "refusal", "refusal": reply.refusal})
    if content:
        about = {"role": "assistant", "status": "completed", "content": content}
        yield {"type": "message", "id": "msg_1", **about}
    for number, call in enumerate(reply.tool_calls):
        head = {"type": "function_call", "id": f"fc_{number}", "call_id": call.id}
        said = {"name": call.name, "arguments": call.arguments}
        yield {**head, **said, "status": "completed"}


def _response(body: Json, reply: Reply) -> Json:
    return _response_of(body, list(_response_items(reply)), "completed")


def _response_of(body: Json, output: list[Json], status: str) -> Json:
    total = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    details = {
        "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
        "output_tokens_details": {"reasoning_tokens": 0},
    }
    return {
        "id": "resp_1",
        "object": "response",
        "created_at": 0,
        "model": body.get("model", "test-model"),
        "status": status,
        "output": output,
        "error": None,
        "incomplete_details": None,
        "instructions": body.get("instructions"),
        "metadata": {},
        "parallel_tool_calls": True,
        "tool_choice": "auto",
        "tools": [],
        "temperature": 1.0,
        "top_p": 1.0,
        "usage": {**total, **details} if status == "completed" else None,
    }


def _response_chunks(body: Json, reply: Reply) -> Iterator[Json]:
    for number, event in enumerate(_response_events(body, reply)):
        yield {**event, "sequence_number": number}


def _response_events(body: Json, reply: Reply) -> Iterator[Json]:
    begun = _response_of(body, [], "in_progress")
    yield {"type": "response.created", "response": begun}
    yield {"type": "response.in_progress", "response": begun}
    for index, item in enumerate(_response_items(reply)):
        place = {"output_index": index}
        empty = {**item}
        for name in ("content", "summary", "arguments"):
            if name in item:
                empty[name] = "" if name == "arguments" else []
        yield {"type": "response.output_item.added", **place, "item": empty}
        place["item_id"] = item["id"]
        if item["type"] == "function_call":
            name = "response.function_call_arguments"
            text = item["arguments"]
            for piece in _pieces(text, reply.size):
                yield {"type": f"{name}.delta", **place, "delta": piece}
            done = {"arguments": text, "name": item["name"]}
            yield {"type": f"{name}.done", **place, **done}
        for number, part in enumerate(item.get("summary", ())):
            inner = {**place, "summary_index": number}
            yield from _part_events(part, inner, "reasoning_summary_part", reply.size)
        for number, part in enumerate(item.get("content", ())):
            inner = {**place, "content_index": number}
            yield from _part_events(part, inner, "content_part", reply.size)
        done = {"output_index": index, "item": item}
        yield {"type": "response.output_item.done", **done}
    yield {"type": "response.completed", "response": _response(body, reply)}


def _part_events(part: Json, place: Json, holder: str, size: int) -> Iterator[Json]:
    key = "refusal" if part["type"] == "refusal" else "text"
    stems = {"summary_text": "reasoning_summary_text"}
    kind: str = part["type"]
    stem = "response." + stems.get(kind, kind)
    spelled: Json = {"logprobs": []} if part["type"] == "output_text" else {}
    empty = {**part, key: ""}
    yield {"type": f"response.{holder}.added", **place, "part": empty}
    for piece in _pieces(part[key], size):
        yield {"type": f"{stem}.delta", **place, "delta": piece, **spelled}
    yield {"type": f"{stem}.done", **place, key: part[key], **spelled}
    yield {"type": f"response.{holder}.done", **place, "part": part}


def _blocks(reply: Reply) -> Iterator[Json]:
    if reply.reasoning is not None:
        yield {"type": "thinking", "thinking": reply.reasoning, "signature": "c2ln"}
    for text in (reply.content, reply.refusal):
        if text is not None:
            yield {"type": "text", "text": text}
    for call in reply.tool_calls:
        head = {"type": "tool_use", "id": call.id, "name": call.name}
        yield {**head, "input": json.loads(call.arguments)}


def _message(body: Json, reply: Reply) -> Json:
    stop = "tool_use" if reply.tool_calls else "end_turn"
    return _message_of(body, list(_blocks(reply)), stop)


def _message_of(body: Json, content: list[Json], stop: str | None) -> Json:
    head = {"id": "msg_1", "type": "message", "role": "assistant"}
    about = {"model": body.get("model", "test-model"), "content": content}
    usage = {"input_tokens": 1, "output_tokens": 1}
    ends = {"stop_reason": stop, "stop_sequence": None, "usage": usage}
    return {**head, **about, **ends}


def _message_chunks(body: Json, reply: Reply) -> Iterator[Json]:
    yield {"type": "message_start", "message": _message_of(body, [], None)}
    yield {"type": "ping"}
    for index, block in enumerate(_blocks(reply)):
        empty, name, delta = _block_delta(block)
        yield {"type": "content_block_start", "index": index, "content_block": empty}
        said = block[name] if name != "input" else json.dumps(block["input"])
        field = "partial_json" if name == "input" else name
        for piece in _pieces(said, reply.size):
            step = {"type": delta, field: piece}
            yield {"type": "content_block_delta", "index": index, "delta": step}
        if block["type"] == "thinking":
            step = {"type": "signature_delta", "signature": block["signature"]}
            yield {"type": "content_block_delta", "index": index, "delta": step}
        yield {"type": "content_block_stop", "index": index}
    stop = "tool_use" if reply.tool_calls else "end_turn"
    ends = {"stop_reason": stop, "stop_sequence": None}
    yield {"type": "message_delta", "delta": ends, "usage": {"output_tokens": 1}}
    yield {"type": "message_stop"}


def _block_delta(block: Json) -> tuple[Json, str, str]:
    """The block as it begins, the field that grows, and the type of its deltas."""
    if block["type"] == "tool_use":
        return {**block, "input": {}}, "input", "input_json_delta"
    if block["type"] == "thinking":
        return {**block, "thinking": "", "signature": ""}, "thinking", "thinking_delta"
    return {**block, "text": ""}, "text", "text_delta"


def _google(body: Json, reply: Reply) -> Json:
    return _candidate(list(_google_parts(reply)), "STOP")


def _google_parts(reply: Reply) -> Iterator[Json]:
    if reply.reasoning is not None:
        yield {"text": reply.reasoning, "thought": True}
    for text in (reply.content, reply.refusal):
        if text is not None:
            yield {"text": text}
    for call in reply.tool_calls:
        yield {"functionCall": {"name": call.name, "args": json.loads(call.arguments)}}


def _google_chunks(body: Json, reply: Reply) -> Iterator[Json]:
    for part in _google_parts(reply):
        if "text" in part:
            for piece in _pieces(part["text"], reply.size):
                yield _candidate([{**part, "text": piece}], None)
        else:
            yield _candidate([part], None)
    yield _candidate([{"text": ""}], "STOP")


def _candidate(parts: list[Json], finish: str | None) -> Json:
    candidate: Json = {"index": 0, "content": {"role": "model", "parts": parts}}
    if finish:
        candidate["finishReason"] = finish
    usage = {"promptTokenCount": 1, "candidatesTokenCount": 1, "totalTokenCount": 2}
    about = {"usageMetadata": usage, "modelVersion": "test-model"}
    return {"candidates": [candidate], **about}


def _pieces(text: str, size: int) -> Iterator[str]:
    for start in range(0, len(text), size):
        yield text[start : start + size]


def _finish(reply: Reply) -> str:
    return reply.finish_reason or ("tool_calls" if reply.tool_calls else "stop")


def _logprobs(text: str) -> Json:
    token = {"token": text, "logprob": -0.1, "bytes": None, "top_logprobs": []}
    return {"content": [token], "refusal": None}


def _usage(reply: Reply) -> dict[str, int]:
    read, written = reply.tokens
    total = {"total_tokens": read + written}
    return {"prompt_tokens": read, "completion_tokens": written, **total}


_WIRES = {
    "/v1/chat/completions": Wire("messages", _completion, _chunks, done="[DONE]"),
    "/v1/completions": Wire("prompt", _text, _text_chunks, done="[DONE]"),
    "/v1/embeddings": Wire("input", _embeddings, _no_chunks),
    "/v1/responses": Wire("input", _response, _response_chunks, named=True),
    "/v1/messages": Wire("messages", _message, _message_chunks, named=True),
}
_GOOGLE = Wire("contents", _google, _google_chunks)
