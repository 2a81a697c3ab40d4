"""Ids that are numbers: as long as that of a card, some have its check digit."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pytest
from serving import Service, Upstream, chunk, completion

Body = dict[str, Any]
CARD = "4012888888881881"
NUMBER = "48201937465"
CHAT, RESPONSES = "/v1/chat/completions", "/v1/responses"
HI = {"role": "user", "content": "Hi."}
POLICY = f"""
[input.pii]
entities = ["CREDIT_CARD"]
[input.keywords]
words = ["{NUMBER}"]
[output.pii]
entities = ["CREDIT_CARD"]
"""


@pytest.fixture(scope="module")
def service(start: Callable[..., Service], upstream: Upstream) -> Service:
    return start(POLICY, "--upstream", upstream.address)


def called(id: str) -> list[Body]:
    """A conversation with a call of a tool and its result."""
    function = {"name": "look", "arguments": "{}"}
    call = {"id": id, "type": "function", "function": function}
    return [
        HI,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id, "content": "Sunny."},
    ]


ITEM = {"type": "function_call_output", "call_id": CARD, "output": "Sunny."}


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (CHAT, {"messages": called(CARD)}),
        (CHAT, {"messages": [HI], "customer_id": int(CARD)}),
        (RESPONSES, {"input": [ITEM]}),
        (RESPONSES, {"input": "Hi.", "previous_response_id": CARD}),
    ],
    ids=["call", "number", "item", "earlier response"],
)
def test_a_number_in_the_place_of_an_id_goes_on_and_is_noted(
    service: Service, upstream: Upstream, path: str, body: Body
) -> None:
    upstream.answer = lambda path, body: (
        completion() if path == CHAT else {"object": "response", "output": []}
    )
    before = flagged(service)
    upstream.asked.clear()
    answer = service.send(path, {"model": "m", **body})
    assert answer.status == 200, answer.data
    assert upstream.asked[0][1] == {"model": "m", **body}
    assert flagged(service) == before + 1


@pytest.mark.parametrize(
    "body",
    [
        {"messages": [HI], "notes": {"of": int(CARD)}},
        {"messages": called(CARD), "notes": {"of": int(CARD)}},
        {"messages": [HI], "paid": {"credit": {"id": CARD}}},
        {"messages": called(f"card/{CARD}")},
        {"messages": called("4012-8888-8888-1881")},
        {"messages": called(NUMBER)},
    ],
    ids=[
        "no id",
        "an id and no id",
        "a word beside it",
        "a word within it",
        "written like a card",
        "a word of the policy",
    ],
)
def test_what_more_than_its_form_speaks_for_is_blocked(
    service: Service, upstream: Upstream, body: Body
) -> None:
    upstream.asked.clear()
    answer = service.send(CHAT, {"model": "m", **body})
    assert (answer.status, answer.code) == (400, "content_filter"), answer.data
    assert upstream.asked == []


def test_a_card_in_a_text_is_taken_out_as_ever(
    service: Service, upstream: Upstream
) -> None:
    upstream.asked.clear()
    upstream.answer = lambda path, body: completion()
    body = {"messages": [{"role": "user", "content": CARD}], "metadata": {"id": "a"}}
    assert service.send(CHAT, {"model": "m", **body}).status == 200
    assert CARD not in str(upstream.asked[0][1])


def test_random_ids_of_digits_block_nobody(
    service: Service, upstream: Upstream
) -> None:
    upstream.answer = lambda path, body: completion()
    dice = random.Random(16)
    messages = [
        message
        for length in (14, 15, 16, 19) * 20
        for message in called(str(dice.randrange(10 ** (length - 1), 10**length)))
    ]
    assert service.send(CHAT, {"model": "m", "messages": messages}).status == 200


def test_an_answer_with_ids_of_digits_comes_back(
    service: Service, upstream: Upstream
) -> None:
    call = {"id": CARD, "type": "function", "function": {"name": "f", "arguments": ""}}
    made = {**completion(None, tool_calls=[call]), "id": CARD}
    upstream.answer = lambda path, body: made
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = {"model": "m", "messages": [HI], "tools": tools}
    assert service.send(CHAT, body).json == made
    upstream.answer = lambda path, body: {**made, "notes": {"of": int(CARD)}}
    assert CARD not in service.send(CHAT, body).data.decode()


@pytest.mark.parametrize("id", [CARD, "40128888"], ids=["whole", "in two halves"])
def test_a_stream_with_ids_of_digits_comes_back(
    service: Service, upstream: Upstream, id: str
) -> None:
    function = {"name": "f", "arguments": "{}"}
    call = {"index": 0, "id": "88881881", "type": "function", "function": function}

    def answer(path: str, body: Body) -> Any:
        yield {**chunk({"role": "assistant", "content": ""}), "id": id}
        yield {**chunk({"tool_calls": [call]}), "id": id}
        yield {**chunk({}, "tool_calls"), "id": id}
        yield "[DONE]"

    upstream.answer = answer
    tools = [{"type": "function", "function": {"name": "f"}}]
    body = {"model": "m", "messages": [HI], "tools": tools, "stream": True}
    events = service.send(CHAT, body).events
    assert events[-1]["choices"][0]["finish_reason"] == "tool_calls"
    assert {event["id"] for event in events} == {id}


def flagged(service: Service) -> int:
    """How many findings were flagged so far."""
    page = service.send("/metrics").data.decode().splitlines()
    counts = [
        float(line.split()[-1])
        for line in page
        if line.startswith("promptguard_findings_total") and 'action="flag"' in line
    ]
    return round(sum(counts))
