"""Every text channel of every endpoint is guarded, in both directions: 0 are left out.

Each row puts one word into one channel. A word in a request must end in a block, with
nothing sent; a word in an answer must not come out, whatever becomes of the answer.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from serving import Service, Upstream, chunk, completion

Body = dict[str, Any]
WORD = "heliotrope"
CHAT, TEXT = "/v1/chat/completions", "/v1/completions"
RESPONSES, EMBEDDINGS = "/v1/responses", "/v1/embeddings"
PATHS = (CHAT, TEXT, RESPONSES, EMBEDDINGS)
HI = {"role": "user", "content": "Hi."}
NEEDS: dict[str, Body] = {
    CHAT: {"messages": [HI]},
    TEXT: {"prompt": "Hi."},
    RESPONSES: {"input": "Hi."},
    EMBEDDINGS: {"input": "Hi."},
}
CODED = base64.b64encode(f"A file with {WORD} in its first line. {'x' * 60}".encode())
FILE = f"data:text/plain;base64,{CODED.decode()}"


NUMBER = 48201937465
# A letter of the word as a percent sign says it.
ESCAPED = WORD.replace("h", "%68", 1)


def coded(encoding: str, before: str = "") -> str:
    data = f"{before}A café with {WORD} in it. {'x' * 60}".encode(encoding)
    return f"data:text/plain;base64,{base64.b64encode(data).decode()}"


def call(name: str = "look", arguments: str = "{}", **more: Any) -> Body:
    said = {"name": name, "arguments": arguments}
    return {"id": "call_1", "type": "function", "function": said, **more}


def turns(*messages: Body) -> Body:
    return {"messages": [*messages, HI]}


def tool(**function: Any) -> Body:
    return {"tools": [{"type": "function", "function": {"name": "look", **function}}]}


def part(**content: Any) -> Body:
    return turns({"role": "user", "content": [content]})


INPUT: dict[str, dict[str, Body]] = {
    CHAT: {
        "system": turns({"role": "system", "content": WORD}),
        "developer": turns({"role": "developer", "content": WORD}),
        "user": turns({"role": "user", "content": WORD}),
        "an earlier user": {
            "messages": [
                {"role": "user", "content": WORD},
                {"role": "assistant", "content": "Yes."},
                HI,
            ]
        },
        "assistant": turns({"role": "assistant", "content": WORD}),
        "tool result": turns({"role": "tool", "tool_call_id": "c", "content": WORD}),
        "function result": turns({"role": "function", "name": "f", "content": WORD}),
        "text part": part(type="text", text=WORD),
        "refusal": turns({"role": "assistant", "content": None, "refusal": WORD}),
        "reasoning": turns(
            {"role": "assistant", "content": "Yes.", "reasoning_content": WORD}
        ),
        "tool call arguments": turns(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [call(arguments=json.dumps({"q": WORD}))],
            }
        ),
        "escaped arguments": turns(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [call(arguments='{"q": "h\\u0065liotrope"}')],
            }
        ),
        "tool call name": turns(
            {"role": "assistant", "content": None, "tool_calls": [call(name=WORD)]}
        ),
        "tool call id": turns(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [call(id=f"about {WORD}")],
            }
        ),
        "word in two parts": turns(
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "About helio"},
                    {"type": "text", "text": "trope, please."},
                ],
            }
        ),
        "plain id of a call": turns(
            {"role": "assistant", "content": None, "tool_calls": [call(id=WORD)]}
        ),
        "plain id of a result": turns(
            {"role": "tool", "tool_call_id": WORD, "content": "Yes."}
        ),
        "plain type": turns({**HI, "type": WORD}),
        "plain id beside the messages": {"thread_id": f"a.{WORD}"},
        "number": turns({**HI, "notes": {"of": NUMBER}}),
        "number beside the messages": {"extra": [float(NUMBER)]},
        "sealed content that is text": turns(
            {"role": "assistant", "content": "Yes.", "signature": f"A {WORD}."}
        ),
        "file data that is words": part(
            type="file",
            file={"file_data": f"A {WORD} is a flower with blue heads " * 3},
        ),
        "file data that is a list of words": part(
            type="file", file={"file_data": f"{WORD}\nIs\nA\n1\n" * 9}
        ),
        "custom tool input": turns(
            {
                "role": "assistant",
                "content": None,
                "tool_calls": [
                    {
                        "id": "c",
                        "type": "custom",
                        "custom": {"name": "x", "input": WORD},
                    }
                ],
            }
        ),
        "function_call": turns(
            {
                "role": "assistant",
                "content": None,
                "function_call": {"name": "look", "arguments": f'{{"q": "{WORD}"}}'},
            }
        ),
        "name": turns({**HI, "name": WORD}),
        "role": turns({**HI, "role": "user", "type": f"a {WORD}"}),
        "image address": part(
            type="image_url", image_url={"url": f"https://example.org/?q={WORD}"}
        ),
        "image alt text": part(
            type="image_url",
            image_url={"url": "https://example.org/a.png", "alt": f"a {WORD}"},
        ),
        "beside an image": part(
            type="image_url", image_url={"url": "https://e.org"}, caption=WORD
        ),
        "file of text": part(type="file", file={"file_data": FILE, "filename": "a"}),
        "file of Latin-1 text": part(type="file", file={"file_data": coded("latin-1")}),
        "file of UTF-16 text": part(type="file", file={"file_data": coded("utf-16")}),
        "file of text with a zero byte": part(
            type="file", file={"file_data": coded("utf-8", "\0")}
        ),
        "address that holds text": part(
            type="file", file={"file_data": f"data:text/plain,the%20{ESCAPED}"}
        ),
        "file name": part(type="file", file={"file_id": "f", "filename": WORD}),
        "audio transcript": turns(
            {"role": "assistant", "audio": {"id": "a", "transcript": WORD}}
        ),
        "unknown field of a message": turns({**HI, "notes": {"to": [WORD]}}),
        "key of a mapping": turns({**HI, "notes": {f"the {WORD} key": 1}}),
        "function description": tool(description=WORD),
        "function name": tool(name=WORD),
        "parameter description": tool(
            parameters={"type": "object", "properties": {"q": {"description": WORD}}}
        ),
        "parameter enum": tool(parameters={"properties": {"q": {"enum": [WORD]}}}),
        "parameter that is a word": tool(parameters={"properties": {WORD: {}}}),
        "key that is a word": {"metadata": {WORD: "1"}},
        "parameter name": tool(parameters={"properties": {f"{WORD} of": {}}}),
        "old functions": {"functions": [{"name": "look", "description": WORD}]},
        "response format": {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "a", "schema": {"description": WORD}},
            }
        },
        "prediction": {"prediction": {"type": "content", "content": WORD}},
        "stop": {"stop": [WORD]},
        "id of the user": {"user": f"mx {WORD}"},
        "metadata": {"metadata": {"about": WORD}},
        "passages": {"documents": [{"text": f"A page about {WORD}."}]},
        "metadata key": {"metadata": {f"about {WORD}": "x"}},
        "model": {"model": f"a model called {WORD}"},
        "unknown parameter": {"extra": {"deep": [{"er": WORD}]}},
        "unknown parameter name": {f"the {WORD}": 1},
    },
    TEXT: {
        "prompt": {"prompt": WORD},
        "one of several prompts": {"prompt": ["Hi.", WORD]},
        "suffix": {"suffix": WORD},
        "stop": {"stop": WORD},
        "user": {"user": WORD},
    },
    RESPONSES: {
        "input": {"input": WORD},
        "message": {"input": [{"role": "user", "content": WORD}]},
        "system message": {"input": [{"role": "system", "content": WORD}, HI]},
        "earlier message": {
            "input": [
                {"role": "user", "content": WORD},
                {"role": "assistant", "content": "Yes."},
                HI,
            ]
        },
        "text part": {
            "input": [
                {"role": "user", "content": [{"type": "input_text", "text": WORD}]}
            ]
        },
        "beside an image": {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {
                            "type": "input_image",
                            "image_url": "https://e.org",
                            "alt": WORD,
                        }
                    ],
                }
            ]
        },
        "file of text": {
            "input": [
                {
                    "role": "user",
                    "content": [
                        {"type": "input_file", "filename": "a.txt", "file_data": FILE}
                    ],
                }
            ]
        },
        "instructions": {"instructions": WORD},
        "plain id": {"previous_response_id": f"resp_{WORD}.1"},
        "id of an item": {"input": [{"type": "item_reference", "id": f"a.{WORD}"}, HI]},
        "sealed reasoning that is text": {
            "input": [
                {
                    "type": "reasoning",
                    "id": "r",
                    "summary": [],
                    "encrypted_content": f"About a {WORD}.",
                },
                HI,
            ]
        },
        "sealed reasoning that is coded text": {
            "input": [
                {
                    "type": "reasoning",
                    "id": "r",
                    "summary": [],
                    "encrypted_content": CODED.decode(),
                },
                HI,
            ]
        },
        "variables of a prompt": {"prompt": {"id": "p", "variables": {"x": WORD}}},
        "call arguments": {
            "input": [
                {
                    "type": "function_call",
                    "call_id": "c",
                    "name": "look",
                    "arguments": f'{{"q": "{WORD}"}}',
                }
            ]
        },
        "call name": {
            "input": [
                {
                    "type": "function_call",
                    "call_id": "c",
                    "name": WORD,
                    "arguments": "{}",
                }
            ]
        },
        "call output": {
            "input": [{"type": "function_call_output", "call_id": "c", "output": WORD}]
        },
        "reasoning": {
            "input": [
                {
                    "type": "reasoning",
                    "id": "r",
                    "summary": [{"type": "summary_text", "text": WORD}],
                },
                HI,
            ]
        },
        "tool description": {
            "tools": [{"type": "function", "name": "look", "description": WORD}]
        },
        "server description": {
            "tools": [{"type": "mcp", "server_label": "s", "server_description": WORD}]
        },
        "text format": {"text": {"format": {"type": "json_schema", "x": WORD}}},
        "metadata": {"metadata": {"about": WORD}},
        "user": {"safety_identifier": WORD},
    },
    EMBEDDINGS: {
        "input": {"input": WORD},
        "one of several inputs": {"input": ["Hi.", WORD]},
        "user": {"user": WORD},
    },
}
ROWS = [
    pytest.param(path, body, id=f"{path}: {name}")
    for path, rows in INPUT.items()
    for name, body in rows.items()
]


@pytest.mark.parametrize(("path", "body"), ROWS)
def test_a_word_in_a_request_is_found(
    guarded: Service, upstream: Upstream, path: str, body: Body
) -> None:
    upstream.asked.clear()
    upstream.answer = lambda path, body: completion()
    answer = guarded.send(path, {"model": "m", **NEEDS[path], **body})
    assert (answer.status, answer.code) == (400, "content_filter"), answer.data
    assert upstream.asked == []
    assert WORD not in answer.data.decode()


@pytest.mark.parametrize("path", PATHS)
def test_a_request_without_the_word_goes_on_as_it_is(
    guarded: Service, upstream: Upstream, path: str
) -> None:
    upstream.asked.clear()
    upstream.answer = lambda path, body: {
        CHAT: completion(),
        TEXT: {"object": "text_completion", "choices": [{"index": 0, "text": "Yes."}]},
        RESPONSES: {"object": "response", "output": []},
        EMBEDDINGS: {"object": "list", "data": []},
    }[path]
    body = {"model": "m", **NEEDS[path], "temperature": 0.1, "seed": None}
    assert guarded.send(path, body).status == 200
    ((asked, sent, _),) = upstream.asked
    assert (asked, sent) == (path, body)


# Where an answer can say something: the answer, and whether it is to come out at all.
SAYS = "Open sesame."


def choice(**fields: Any) -> Body:
    made = completion()
    made["choices"][0].update(fields)
    return made


def message(**fields: Any) -> Body:
    return completion(**{"text": None, **fields})


def response(*items: Body, **fields: Any) -> Body:
    frame = {"id": "resp_1", "object": "response", "created_at": 1, "model": "m"}
    return {**frame, "status": "completed", "output": list(items), **fields}


def output_text(text: str, **fields: Any) -> Body:
    said = {"type": "output_text", "text": text, "annotations": [], **fields}
    about = {"type": "message", "id": "msg_1", "role": "assistant"}
    return {**about, "status": "completed", "content": [said]}


ROW = {"object": "embedding", "index": 0, "embedding": [0.1, -2.5]}


def vectors(**fields: Any) -> Body:
    return {"object": "list", "data": [ROW], "model": "m", "usage": {}, **fields}


SPELLED = {"content": [{"token": SAYS, "logprob": -0.1, "top_logprobs": []}]}
ALIKE = {
    "content": [
        {
            "token": "Hello.",
            "logprob": -0.1,
            "top_logprobs": [{"token": SAYS, "logprob": -2.0}],
        }
    ]
}
OUTPUT: dict[str, dict[str, Callable[[], Body]]] = {
    CHAT: {
        "content": lambda: completion(SAYS),
        "refusal": lambda: message(refusal=SAYS),
        "reasoning": lambda: message(text="Yes.", reasoning_content=SAYS),
        "reasoning details": lambda: message(
            text="Yes.", reasoning_details=[{"type": "reasoning.text", "text": SAYS}]
        ),
        "tool call arguments": lambda: message(
            tool_calls=[call(arguments=json.dumps({"q": SAYS}))]
        ),
        "tool call name": lambda: message(tool_calls=[call(name="open_sesame")]),
        "function_call": lambda: message(
            function_call={"name": "look", "arguments": f'{{"q": "{SAYS}"}}'}
        ),
        "audio transcript": lambda: message(audio={"id": "a", "transcript": SAYS}),
        "annotations": lambda: message(
            text="Yes.",
            annotations=[{"type": "url_citation", "url_citation": {"title": SAYS}}],
        ),
        "unknown field of the message": lambda: message(text="Yes.", notes=[SAYS]),
        "unknown field of the choice": lambda: choice(notes={"a": SAYS}),
        "unknown field of the answer": lambda: {**completion(), "notes": SAYS},
        "finish reason": lambda: choice(finish_reason=SAYS),
        "logprobs": lambda: choice(logprobs=SPELLED),
        "other tokens": lambda: choice(logprobs=ALIKE),
        "id": lambda: {**completion(), "id": "open.sesame"},
        "model": lambda: {**completion(), "model": "open-sesame"},
        "object": lambda: {**completion(), "object": "sesame"},
        "fingerprint": lambda: {**completion(), "system_fingerprint": "fp.sesame"},
        "plain finish reason": lambda: choice(finish_reason="sesame"),
        "plain field of the answer": lambda: {**completion(), "notes": "sesame"},
        "plain fields of the answer": lambda: {
            **completion(),
            "notes": ["ses", "ame"],
        },
        "key of the answer": lambda: {**completion(), "sesame": 1},
        "odd key of the answer": lambda: {**completion(), SAYS: 1},
        "key of the choice": lambda: choice(**{"open.sesame": None}),
        "number of the answer": lambda: {**completion(), "notes": 48201937466},
        "plain role": lambda: completion(role="sesame"),
        "type of an annotation": lambda: message(
            text="Yes.", annotations=[{"type": "sesame", "url_citation": {}}]
        ),
        "id of a call": lambda: message(tool_calls=[call(id="call_.sesame")]),
        "parsed": lambda: message(text="Yes.", parsed={"said": SAYS}),
        "signature that is text": lambda: message(
            text="Yes.", reasoning_details=[{"type": "x", "signature": SAYS}]
        ),
        "in two parts": lambda: message(
            text=[{"type": "text", "text": "Open ses"}, {"type": "text", "text": "ame"}]
        ),
        "second choice": lambda: {
            **completion(),
            "choices": [completion()["choices"][0], completion(SAYS)["choices"][0]],
        },
    },
    TEXT: {
        "text": lambda: {"choices": [{"index": 0, "text": SAYS}]},
        "logprobs": lambda: {
            "choices": [{"index": 0, "text": "Yes.", "logprobs": {"tokens": [SAYS]}}]
        },
        "second choice": lambda: {
            "choices": [{"index": 0, "text": "Yes."}, {"index": 1, "text": SAYS}]
        },
    },
    RESPONSES: {
        "text": lambda: response(output_text(SAYS)),
        "annotations": lambda: response(
            output_text("Yes.", annotations=[{"type": "url_citation", "title": SAYS}])
        ),
        "logprobs": lambda: response(
            output_text("Yes.", logprobs=[{"token": SAYS, "logprob": -1}])
        ),
        "refusal": lambda: response(
            {
                "type": "message",
                "role": "assistant",
                "content": [{"type": "refusal", "refusal": SAYS}],
            }
        ),
        "reasoning": lambda: response(
            {
                "type": "reasoning",
                "id": "r",
                "summary": [{"type": "summary_text", "text": SAYS}],
            }
        ),
        "call arguments": lambda: response(
            {
                "type": "function_call",
                "name": "look",
                "call_id": "c",
                "arguments": f'{{"q": "{SAYS}"}}',
            }
        ),
        "call name": lambda: response(
            {
                "type": "function_call",
                "name": "open_sesame",
                "call_id": "c",
                "arguments": "{}",
            }
        ),
        "custom call name": lambda: response(
            {
                "type": "custom_tool_call",
                "name": "open_sesame",
                "call_id": "c",
                "input": "a",
            }
        ),
        "unknown field": lambda: response(notes=[SAYS]),
        "plain field": lambda: response(notes="sesame"),
        "id": lambda: {**response(), "id": "resp.sesame"},
        "id of an item": lambda: response({**output_text("Yes."), "id": "m.sesame"}),
        "instructions that nobody gave": lambda: response(instructions=SAYS),
        "metadata that nobody gave": lambda: response(metadata={"a": SAYS}),
        "tools that nobody gave": lambda: response(tools=[{"type": SAYS}]),
        "encrypted content that is text": lambda: response(
            {"type": "reasoning", "id": "r", "summary": [], "encrypted_content": SAYS}
        ),
        "encrypted content that is coded text": lambda: response(
            {
                "type": "reasoning",
                "id": "r",
                "summary": [],
                "encrypted_content": base64.b64encode((SAYS * 9).encode()).decode(),
            }
        ),
        "in two items": lambda: response(output_text("Open ses"), output_text("ame")),
        "error": lambda: response(error={"code": "x", "message": SAYS}),
    },
}
OUTPUT[EMBEDDINGS] = {
    name: (lambda fields=fields: vectors(**fields))
    for name, fields in {
        "unknown field": {"notes": SAYS},
        "plain field": {"notes": "sesame"},
        "model": {"model": SAYS},
        "object": {"object": SAYS},
        "usage": {"usage": {"notes": SAYS}},
        "of a row": {"data": [{**ROW, "notes": SAYS}]},
        "in place of a number": {"data": [{**ROW, "embedding": [SAYS]}]},
        "in place of a code": {"data": [{**ROW, "embedding": SAYS}]},
        "as a code": {
            "data": [
                {**ROW, "embedding": base64.b64encode((SAYS * 9).encode()).decode()}
            ]
        },
    }.items()
}
ANSWERS = [
    pytest.param(path, made, id=f"{path}: {name}")
    for path, rows in OUTPUT.items()
    for name, made in rows.items()
]


@pytest.mark.parametrize(("path", "made"), ANSWERS)
def test_a_word_in_an_answer_does_not_come_out(
    guarded: Service, upstream: Upstream, path: str, made: Callable[[], Body]
) -> None:
    upstream.answer = lambda path, body: made()
    body = {"model": "m", **NEEDS[path]}
    if path != TEXT:
        body["tools"] = [{"type": "function", "name": "look", "function": {}}]
    answer = guarded.send(path, body)
    if answer.status != 200:
        assert path == EMBEDDINGS
        assert (answer.status, answer.code) == (502, "upstream_unreadable")
    said = answer.data.decode()
    assert "sesame" not in said and "48201937466" not in said
    assert '"ame"' not in said, "the end of a word that was cut in pieces"
    assert base64.b64encode(SAYS.encode()).decode()[:12] not in said


def test_models_say_no_more_than_their_names(
    guarded: Service, upstream: Upstream
) -> None:
    row = {"id": "m-1", "object": "model", "created": 7, "owned_by": "us"}
    upstream.answer = lambda path, body: {"object": "list", "data": [row]}
    assert guarded.send("/v1/models").json == {"object": "list", "data": [row]}
    said = {**row, "description": SAYS, "notes": ["sesame"], SAYS: 1, "owned_by": SAYS}
    upstream.answer = lambda path, body: {"object": SAYS, "data": [said, SAYS]}
    kept = {"id": "m-1", "object": "model", "created": 7}
    assert guarded.send("/v1/models").json == {"data": [kept]}
    upstream.answer = lambda path, body: said
    assert guarded.send("/v1/models/m-1").json == kept


SEALED = base64.b64encode(bytes(range(256))).decode()


def test_an_answer_whose_labels_say_nothing_is_the_upstreams_to_the_byte(
    guarded: Service, upstream: Upstream
) -> None:
    reasoning = {"type": "reasoning", "id": "rs_1", "summary": []}
    made = response(
        {**reasoning, "encrypted_content": SEALED},
        {**output_text("Yes."), "phase": "final_answer"},
        instructions="Be kind.",
        metadata={"of": "2026-11-21, a test"},
        tools=[{"type": "function", "name": "look", "description": "Look at it."}],
        provider="somebody",
        usage={"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
    )
    upstream.answer = lambda path, body: made
    asked = {name: made[name] for name in ("instructions", "metadata", "tools")}
    answer = guarded.send(RESPONSES, {"model": "m", "input": "Hi.", **asked})
    assert answer.data == json.dumps(made).encode()


def split(field: str, size: int = 3, **more: Any) -> list[Body]:
    pieces = [SAYS[i : i + size] for i in range(0, len(SAYS), size)]
    return [chunk({field: piece, **more}) for piece in pieces]


def in_call(**function: Any) -> Body:
    return chunk({"tool_calls": [{"index": 0, "function": function}]})


STREAMED: dict[str, list[Any]] = {
    "content": split("content"),
    "refusal": split("refusal"),
    "reasoning": split("reasoning_content"),
    "unknown field of the delta": [chunk({"content": "Yes.", "notes": SAYS})],
    "unknown field of the choice": [
        {**chunk({}), "choices": [{"index": 0, "delta": {}, "notes": SAYS}]}
    ],
    "unknown field of the chunk": [{**chunk({"content": "Yes."}), "notes": SAYS}],
    "tool call arguments": [
        in_call(name="look", arguments=""),
        *[in_call(arguments=c) for c in json.dumps({"q": SAYS})],
    ],
    "escaped arguments": [
        in_call(name="look", arguments=""),
        *[in_call(arguments=c) for c in '{"q": "s\\u0065same"}'],
    ],
    "tool call name": [in_call(name="open_", arguments=""), in_call(name="sesame")],
    "second choice": [
        chunk({"content": piece}, index=1) for piece in ("Open ses", "ame")
    ],
    "id": [{**chunk({"content": "Yes."}), "id": "open.sesame"}],
    "id, bit by bit": [
        {**chunk({"content": "Yes."}), "id": bit} for bit in ("ses", "am", "e")
    ],
    "plain field": [{**chunk({"content": "Yes."}), "notes": "sesame"}],
    "plain field, bit by bit": [
        {**chunk({"content": "Yes."}), "notes": bit} for bit in ("ses", "am", "e")
    ],
    "key of the chunk": [{**chunk({"content": "Yes."}), "sesame": None}],
    "number": [{**chunk({"content": "Yes."}), "notes": 48201937466}],
    "finish reason": [chunk({"content": "Yes."}, "sesame")],
    "obfuscation": [{**chunk({"content": "Yes."}), "obfuscation": "sesame"}],
    "logprobs": [
        {
            **chunk({}),
            "choices": [
                {"index": 0, "delta": {"content": "Yes."}, "logprobs": SPELLED}
            ],
        }
    ],
}


@pytest.mark.parametrize("name", STREAMED)
def test_a_word_in_a_stream_does_not_come_out(
    guarded: Service, upstream: Upstream, name: str
) -> None:
    ends = [chunk({}, "stop"), "[DONE]"]
    upstream.answer = lambda path, body: iter([*STREAMED[name], *ends])
    tools = [{"type": "function", "function": {"name": "look"}}]
    answer = guarded.chat("Hi.", stream=True, n=2, tools=tools)
    assert answer.status == 200, answer.data
    assert answer.events
    deltas = [c.get("delta", {}) for e in answer.events for c in e.get("choices", ())]
    said = json.dumps(answer.events)
    for field in ("content", "refusal", "reasoning_content"):
        said += "".join(delta.get(field) or "" for delta in deltas)
    for delta in deltas:
        for made in delta.get("tool_calls") or ():
            said += made["function"].get("arguments") or ""
            said += made["function"].get("name") or ""
    said += "".join(str(event.get("id")) for event in answer.events)
    said += "".join(str(event.get("notes")) for event in answer.events)
    assert "sesame" not in said and "48201937466" not in said
    assert "\\u0065same" not in said


def test_tokens_in_place_of_text_are_refused(guarded: Service) -> None:
    for path, body in (
        (EMBEDDINGS, {"input": [1, 2, 3]}),
        (EMBEDDINGS, {"input": [[1, 2], [3]]}),
        (TEXT, {"prompt": [1, 2, 3]}),
    ):
        answer = guarded.send(path, {"model": "m", **body})
        assert (answer.status, answer.code) == (400, "unreadable")


def choices_of(*texts: str) -> Body:
    made = completion()
    one = made["choices"][0]
    said = [
        {**one, "index": index, "message": {**one["message"], "content": text}}
        for index, text in enumerate(texts)
    ]
    return {**made, "choices": said}


def test_one_choice_that_is_blocked_does_not_cut_the_others(
    guarded: Service, upstream: Upstream
) -> None:
    made = choices_of("Good day.", SAYS, "The code is vermilion.", "Bye.")
    upstream.answer = lambda path, body: made
    answer = guarded.chat("Hi.", n=4)
    assert answer.status == 200
    choices = answer.json["choices"]
    assert [c["index"] for c in choices] == [0, 1, 2, 3]
    ends = [c["finish_reason"] for c in choices]
    assert ends == ["stop", "content_filter", "stop", "stop"]
    said = [c["message"]["content"] for c in choices]
    assert (said[0], said[1], said[3]) == ("Good day.", None, "Bye.")
    assert said[2].startswith("The code is <")
    assert answer.json["id"] == made["id"] and answer.json["usage"] == made["usage"]


def test_choices_in_which_nothing_is_found_come_to_the_byte(
    guarded: Service, upstream: Upstream
) -> None:
    made = choices_of("Good day.", "Bye.")
    upstream.answer = lambda path, body: made
    assert guarded.chat("Hi.", n=2).data == json.dumps(made).encode()


@pytest.mark.parametrize("together", [False, True], ids=["apart", "in one chunk"])
def test_one_streamed_choice_that_is_blocked_does_not_cut_the_others(
    guarded: Service, upstream: Upstream, together: bool
) -> None:
    says = ("Good day to you.", "Open sesame, please.", "The code is vermilion.")
    made: list[Any] = []
    for at in range(0, 24, 3):
        row = [chunk({"content": s[at : at + 3]}, None, i) for i, s in enumerate(says)]
        made += [joined(row)] if together else row
    made += [chunk({}, "stop", index) for index in range(3)]
    upstream.answer = lambda path, body: iter([*made, "[DONE]"])
    answer = guarded.chat("Hi.", stream=True, n=3)
    said = ["", "", ""]
    ends: list[Any] = [None, None, None]
    for event in answer.events:
        for one in event["choices"]:
            assert ends[one["index"]] is None
            said[one["index"]] += one["delta"].get("content") or ""
            ends[one["index"]] = one["finish_reason"]
    assert said[0] == says[0]
    assert "Open ".startswith(said[1])
    assert said[2].startswith("The code is <") and "vermilion" not in said[2]
    assert ends == ["stop", "content_filter", "stop"]


def joined(chunks: list[Any]) -> Any:
    return {**chunks[0], "choices": [one for c in chunks for one in c["choices"]]}


def test_a_choice_that_nobody_asked_for_ends_the_stream(
    guarded: Service, upstream: Upstream
) -> None:
    made = [chunk({"content": "Yes."}), chunk({"content": "No."}, None, 7)]
    upstream.answer = lambda path, body: iter([*made, "[DONE]"])
    answer = guarded.chat("Hi.", stream=True, n=2)
    assert answer.events[-1]["error"]["code"] == "upstream_unreadable"


def test_codes_of_an_upstream_are_those_that_are_known(
    guarded: Service, upstream: Upstream
) -> None:
    error = {"code": "open_sesame", "type": "sesame", "param": "sesame", "message": "a"}
    upstream.answer = lambda path, body: (400, {"error": error})
    answer = guarded.chat("Hi.")
    assert (answer.status, answer.code) == (400, "upstream_error")
    assert b"sesame" not in answer.data
    known = {"type": "invalid_request_error", "param": "messages.[0].content"}
    upstream.answer = lambda path, body: (400, {"error": {**error, **known}})
    said = guarded.chat("Hi.").json["error"]
    assert (said["code"], said["param"]) == (known["type"], known["param"])
