"""A text of the caller's own in the shape of a client's answer, and at a stream's end.

The shapes are those of the public references of the APIs: chat completions,
completions and responses of OpenAI, messages of Anthropic.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from typing import Any, get_args

from ..shapes import get
from ..verdict import Action, Verdict

__all__ = ["ID", "Told", "bare", "cut", "made", "whole"]

ID = "blocked_by_promptguard"


def made(cast: Any, data: dict[str, Any]) -> Any:
    """The data as an object of the client's class, or as it is where there is none.

    Args:
        cast: A class, or a union of classes that differ in the literal ``type``.
    """
    construct = getattr(cast, "construct", None)
    if construct is not None:
        return construct(**data)
    for inner in _classes(cast):
        kind = getattr(inner, "model_fields", {}).get("type")
        if kind is not None and data.get("type") in get_args(kind.annotation):
            return inner.construct(**data)
    return data


def _classes(cast: Any) -> list[Any]:
    if isinstance(cast, type):
        return [cast]
    return [found for inner in get_args(cast) for found in _classes(inner)]


def whole(kind: str, body: Mapping[str, Any], text: str) -> dict[str, Any]:
    """An ordinary answer that says the text.

    Not one that was cut off by a filter: the helpers of the clients raise on that, and
    the caller asked for a text.
    """
    model = body.get("model") or ID
    if kind == "messages":
        block = {"type": "text", "text": text}
        return _message(model, [block], "end_turn")
    if kind == "responses":
        return _response({}, model, [_item(text)])
    choice: dict[str, Any] = {"finish_reason": "stop", "logprobs": None}
    if kind == "chat":
        message = {"role": "assistant", "content": text, "refusal": None}
        choice["message"] = {**message, "parsed": None}
    else:
        choice["text"] = text
    number = body.get("n")
    return {
        **_envelope(model, "chat.completion" if kind == "chat" else "text_completion"),
        "choices": [
            {"index": index, **choice}
            for index in range(number if isinstance(number, int) else 1)
        ],
    }


def cut(kind: str, answer: Mapping[str, Any], verdict: Verdict) -> dict[str, Any]:
    """An answer of which nothing is left, cut off as by the provider's own filter.

    Args:
        kind: The shape of the answer.
        answer: What came, as JSON gave it; its envelope stays.
        verdict: Why it is blocked.
    """
    if kind == "responses":
        incomplete = _response(answer, answer.get("model") or ID, [], "incomplete")
        reason = {"reason": "content_filter"}
        usage = {"usage": answer.get("usage")}
        return {**incomplete, **usage, "incomplete_details": reason}
    names = ("id", "object", "created", "model", "usage")
    frame = {name: answer[name] for name in names if name in answer}
    said: dict[str, Any] = {"text": ""}
    if kind == "chat":
        message = {"role": "assistant", "content": None, "refusal": None}
        said = {"message": message}
    choices = get(answer, "choices") or [{}]
    return {
        **frame,
        "choices": [
            {"index": index, **said, **_filtered(verdict)}
            for index in range(len(choices))
        ],
    }


def bare(
    kind: str, body: Mapping[str, Any], answer: Mapping[str, Any]
) -> dict[str, Any]:
    """A frame of our own for an answer whose own frame is not to be seen."""
    model = body.get("model") or ID
    frame: dict[str, Any] = {"model": model}
    if kind != "responses":
        frame = _envelope(
            model, "chat.completion" if kind == "chat" else "text_completion"
        )
        frame["choices"] = [{}] * len(get(answer, "choices") or [{}])
    usage = get(answer, "usage")
    counts = usage.items() if isinstance(usage, dict) else ()
    names = ("prompt", "completion", "input", "output", "total")
    known = {f"{name}_tokens" for name in names}
    frame["usage"] = {k: v for k, v in counts if k in known and type(v) is int}
    return frame


def _filtered(verdict: Verdict) -> dict[str, Any]:
    """What a choice says that a filter has cut off."""
    results = {
        finding.guard: {"filtered": True, "detected": True}
        for finding in verdict.findings
        if finding.action is Action.BLOCK
    }
    about = {"finish_reason": "content_filter", "logprobs": None}
    return {**about, "content_filter_results": results}


class Told:
    """What a stream has told so far, and how it can be ended from there."""

    def __init__(
        self,
        kind: str,
        body: Mapping[str, Any],
        cast: Any,
        choices: Iterable[int] | None = None,
    ) -> None:
        self._kind = kind
        self._model = body.get("model") or ID
        self._cast = cast
        number = body.get("n")
        if choices is None:
            choices = range(number if isinstance(number, int) else 1)
        self._open = set(choices)
        self._frame: Any = None
        # The text, block or item that is open: its places, its kind and what it said.
        self._place: dict[str, Any] | None = None
        self._said = ""
        self._next = 0

    def note(self, chunk: Any) -> None:
        """Remember a chunk that went out."""
        if self._kind == "responses":
            self._note_response(chunk)
        elif self._kind == "messages":
            self._note_message(chunk)
        else:
            for choice in get(chunk, "choices") or ():
                if get(choice, "finish_reason"):
                    self._open.discard(get(choice, "index"))
            self._frame = chunk

    def ending(self, text: str) -> list[Any]:
        """The chunks that say the text and end the stream."""
        if self._kind == "responses":
            events = self._end_response(text)
        elif self._kind == "messages":
            events = self._end_message(text)
        else:
            events = self._end_choices(text)
        return [made(self._cast, event) for event in events]

    def cut(self, verdict: Verdict) -> list[dict[str, Any]]:
        """The chunks that end the stream, cut off as by the provider's own filter."""
        if self._kind == "responses":
            response = cut("responses", self._frame or {"model": self._model}, verdict)
            return [{"type": "response.incomplete", "response": response}]
        said: dict[str, Any] = {"delta": {}} if self._kind == "chat" else {"text": ""}
        kind = "chat.completion.chunk" if self._kind == "chat" else "text_completion"
        frame = _envelope(get(self._frame, "model") or self._model, kind)
        frame["id"] = get(self._frame, "id") or ID
        return [
            {**frame, "choices": [{"index": index, **said, **_filtered(verdict)}]}
            for index in sorted(self._open)
        ]

    def _end_choices(self, text: str) -> list[dict[str, Any]]:
        chat = self._kind == "chat"
        kind = "chat.completion.chunk" if chat else "text_completion"
        said: dict[str, Any] = {"text": text}
        if chat:
            said = {"delta": {"role": "assistant", "content": text}}
        choice = {**said, "finish_reason": "stop", "logprobs": None}
        frame = _envelope(get(self._frame, "model") or self._model, kind)
        frame["id"] = get(self._frame, "id") or ID
        return [
            {**frame, "choices": [{"index": index, **choice}]}
            for index in sorted(self._open)
        ]

    def _note_response(self, event: Any) -> None:
        kind = get(event, "type")
        if get(event, "response") is not None:
            self._frame = get(event, "response")
        if kind == "response.output_item.added":
            self._next += 1
        if kind == "response.output_text.delta":
            names = ("item_id", "output_index", "content_index")
            place = {name: get(event, name) for name in names}
            if place != self._place:
                self._place, self._said = place, ""
            self._said += get(event, "delta")
        elif isinstance(kind, str) and kind.endswith(".done"):
            self._place = None

    def _end_response(self, text: str) -> list[dict[str, Any]]:
        place, said = self._place, self._said + text
        part = {"type": "output_text", "text": "", "annotations": []}
        events: list[dict[str, Any]] = []
        if self._frame is None:
            response = _response({}, self._model, [], "in_progress")
            events.append({"type": "response.created", "response": response})
        if place is None:
            said = text
            places = {"output_index": self._next, "content_index": 0}
            place = {"item_id": ID, **places}
            item = {**_item(""), "content": [], "status": "in_progress"}
            added = {"output_index": self._next, "item": item}
            events.append({"type": "response.output_item.added", **added})
            added = {**place, "part": part}
            events.append({"type": "response.content_part.added", **added})
        done = {**part, "text": said}
        item = {**_item(said), "id": place["item_id"]}
        response = _response(self._frame, self._model, [item])
        index = place["output_index"]
        events += [
            {"type": "response.output_text.delta", **place, "delta": text},
            {"type": "response.output_text.done", **place, "text": said},
            {"type": "response.content_part.done", **place, "part": done},
            {"type": "response.output_item.done", "output_index": index, "item": item},
            {"type": "response.completed", "response": response},
        ]
        texts = ("response.output_text.delta", "response.output_text.done")
        for number, event in enumerate(events):
            event["sequence_number"] = number
            if event["type"] in texts:
                event["logprobs"] = []
        return events

    def _note_message(self, event: Any) -> None:
        kind = get(event, "type")
        if kind == "message_start":
            self._frame = event
        elif kind == "content_block_start":
            block = get(event, "content_block")
            self._place = {"index": get(event, "index"), "type": get(block, "type")}
            self._next = get(event, "index") + 1
        elif kind == "content_block_stop":
            self._place = None

    def _end_message(self, text: str) -> list[dict[str, Any]]:
        events: list[dict[str, Any]] = []
        if self._frame is None:
            message = _message(self._model, [], None)
            events.append({"type": "message_start", "message": message})
        place = self._place
        if place is not None and place["type"] != "text":
            events.append({"type": "content_block_stop", "index": place["index"]})
        index = self._next
        if place is not None and place["type"] == "text":
            index = place["index"]
        else:
            block = {"type": "text", "text": ""}
            start = {"index": index, "content_block": block}
            events.append({"type": "content_block_start", **start})
        delta = {"type": "text_delta", "text": text}
        stop = {"stop_reason": "end_turn", "stop_sequence": None}
        events += [
            {"type": "content_block_delta", "index": index, "delta": delta},
            {"type": "content_block_stop", "index": index},
            {"type": "message_delta", "delta": stop, "usage": {"output_tokens": 0}},
            {"type": "message_stop"},
        ]
        return events


def _envelope(model: str, kind: str) -> dict[str, Any]:
    return {"id": ID, "object": kind, "created": int(time.time()), "model": model}


def _message(model: str, content: list[Any], stop: str | None) -> dict[str, Any]:
    message = {"id": ID, "type": "message", "role": "assistant", "model": model}
    about = {"stop_reason": stop, "stop_sequence": None}
    usage = {"input_tokens": 0, "output_tokens": 0}
    return {**message, "content": content, **about, "usage": usage}


def _item(text: str) -> dict[str, Any]:
    part = {"type": "output_text", "text": text, "annotations": []}
    about = {"id": ID, "type": "message", "role": "assistant", "status": "completed"}
    return {**about, "content": [part]}


def _response(
    frame: Any, model: str, output: list[Any], status: str = "completed"
) -> dict[str, Any]:
    return {
        "id": get(frame, "id") or ID,
        "object": "response",
        "created_at": get(frame, "created_at") or time.time(),
        "model": get(frame, "model") or model,
        "status": status,
        "incomplete_details": None,
        "error": None,
        "instructions": get(frame, "instructions"),
        "metadata": get(frame, "metadata") or {},
        "output": output,
        "parallel_tool_calls": bool(get(frame, "parallel_tool_calls")),
        "tool_choice": get(frame, "tool_choice") or "auto",
        "tools": get(frame, "tools") or [],
        "temperature": get(frame, "temperature"),
        "top_p": get(frame, "top_p"),
    }
