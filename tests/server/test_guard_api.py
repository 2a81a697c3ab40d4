"""The guards by themselves: check, redact, restore, and what a machine asks."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from typing import Any

import pytest
from serving import Service

POLICY = """
[input.keywords]
words = ["heliotrope"]

[input.pii]

[output.secrets]
"""


@pytest.fixture(scope="module")
def service(start: Callable[..., Service]) -> Service:
    return start(POLICY)


def test_a_check_gives_a_verdict_for_each_text(service: Service) -> None:
    texts: list[Any] = [
        "Hi.",
        {"text": "a heliotrope", "role": "tool"},
        "joe@example.com",
    ]
    answer = service.send("/v1/check", {"texts": texts})
    assert answer.status == 200
    assert answer.json["object"] == "check"
    assert answer.json["action"] == "block"
    plain, blocked, redacted = answer.json["verdicts"]
    assert (plain["action"], plain["findings"], plain["coverage"]) == ("allow", [], 1)
    assert blocked["blocked"]
    (finding,) = blocked["findings"]
    assert texts[1]["text"][finding["start"] : finding["end"]] == "heliotrope"
    assert (finding["guard"], finding["action"]) == ("keywords", "block")
    assert redacted["action"] == "redact"
    assert redacted["text"].startswith("<EMAIL_ADDRESS_1:")
    assert plain["text"] is None
    assert set(plain["timings"]) == {"keywords", "pii"}


def test_a_check_of_an_output_asks_the_guards_of_answers(service: Service) -> None:
    key = "aws_secret_access_key = wJalrXUtnFEMI/K7MDENG/bPxRfiCYz0000000KEY"
    for direction, action in (("input", "allow"), ("output", "redact")):
        body = {"text": key, "direction": direction}
        assert service.send("/v1/check", body).json["action"] == action


@pytest.mark.parametrize(
    ("path", "body", "param"),
    [
        ("/v1/check", {}, None),
        ("/v1/check", {"text": "a", "texts": ["b"]}, None),
        ("/v1/check", {"text": 1}, "text"),
        ("/v1/check", {"texts": "a"}, "texts"),
        ("/v1/check", {"text": "a", "role": "root"}, "role"),
        ("/v1/check", {"text": "a", "a heliotrope": "b"}, None),
        ("/v1/check", {"texts": [{"text": "a", "a heliotrope": 1}]}, "texts.0"),
        ("/v1/check", {"texts": ["a", 1, {"text": "heliotrope"}]}, "texts.1"),
        ("/v1/redact", {"text": "a", "conversation": 3}, "conversation"),
        ("/v1/restore", {"text": "a"}, "conversation"),
    ],
)
def test_a_wrong_body_is_told_without_its_words(
    service: Service, path: str, body: Any, param: str | None
) -> None:
    answer = service.send(path, body)
    assert (answer.status, answer.code) == (422, "invalid_request")
    if param:
        assert answer.json["error"]["param"] == param
    assert "heliotrope" not in answer.data.decode()


@pytest.mark.parametrize("path", ["/v1/check", "/v1/redact"])
def test_a_wrong_role_is_told_with_the_known_ones(service: Service, path: str) -> None:
    wrong = {"role": "wiz", "text": "a"}
    for body, param in (
        (wrong, "role"),
        ({"texts": [wrong]}, "texts.0.role"),
        ({"texts": ["a", {"text": "a"}, wrong]}, "texts.2.role"),
    ):
        error = service.send(path, body).json["error"]
        assert error["param"] == param
        assert error["message"].startswith(f"{param}: Input should be 'system'")
        assert "'user'" in error["message"] and "'retrieved'" in error["message"]


@pytest.mark.parametrize(
    ("body", "param", "known"),
    [
        ({"text": "a", "rolle": "user"}, "rolle", "text, texts, role, direction"),
        ({"texts": [{"text": "a", "who": "user"}]}, "texts.0.who", "text, role"),
    ],
    ids=["of the request", "of a text"],
)
def test_an_unknown_field_is_named_with_the_known_ones(
    service: Service, body: Any, param: str, known: str
) -> None:
    error = service.send("/v1/check", body).json["error"]
    said = f"{param}: there is no such field; known are {known}."
    assert (error["param"], error["message"]) == (param, said)


def test_what_is_taken_out_of_a_conversation_comes_back(service: Service) -> None:
    first = service.send("/v1/redact", {"text": "I am joe@example.com."}).json
    (text,) = first["texts"]
    assert "joe" not in text
    talk = first["conversation"]
    more = {"conversation": talk, "texts": ["joe@example.com", "Hi.", "heliotrope"]}
    second = service.send("/v1/redact", more).json
    assert second["conversation"] == talk
    again, plain, blocked = second["texts"]
    assert again == text.removeprefix("I am ").removesuffix(".")
    assert (plain, blocked) == ("Hi.", None)
    asked = {"conversation": talk, "texts": [f"Dear {again},", "[a](http://x/" + again]}
    restored = service.send("/v1/restore", asked).json["texts"]
    assert restored == ["Dear joe@example.com,", asked["texts"][1]]
    other = service.send("/v1/redact", {"text": "Hi."}).json["conversation"]
    asked["conversation"] = other
    assert "joe" not in str(service.send("/v1/restore", asked).json)
    asked["conversation"] = "conv_0"
    assert service.send("/v1/restore", asked).code == "conversation_not_found"


def test_the_policy_is_told_without_what_helps_to_get_past_it(service: Service) -> None:
    answer = service.send("/v1/policy")
    names = [guard["name"] for guard in answer.json["input"]]
    assert names == ["keywords", "pii"]
    (secrets,) = answer.json["output"]
    assert secrets == {
        "name": "secrets",
        "kind": "Secrets",
        "action": "redact",
        "roles": ["assistant"],
    }
    assert "heliotrope" not in answer.data.decode()


def test_probes_and_counters_answer(service: Service) -> None:
    assert service.send("/healthz").json == {"status": "ok"}
    assert service.send("/readyz").json == {"status": "ready"}
    service.chat("a heliotrope")
    page = service.send("/metrics")
    assert page.headers["content-type"].startswith("text/plain")
    text = page.data.decode()
    assert 'promptguard_findings_total{action="block",guard="keywords"' in text
    assert "/v1/chat/completions" in text


def test_the_description_holds_every_endpoint(service: Service) -> None:
    description = service.send("/openapi.json").json
    assert {*description["paths"]} == {
        *("/v1/chat/completions", "/v1/completions", "/v1/responses"),
        *("/v1/embeddings", "/v1/models", "/v1/models/{model}"),
        *("/v1/check", "/v1/redact", "/v1/restore", "/v1/policy"),
        *("/v1/conversations/{id}", "/healthz", "/readyz", "/metrics"),
    }
    check = description["paths"]["/v1/check"]["post"]
    schema = check["requestBody"]["content"]["application/json"]["schema"]
    assert {"text", "texts", "role", "direction"} == {*schema["properties"]}
    assert "$ref" not in json.dumps(schema)


def test_the_page_has_nothing_from_elsewhere(service: Service) -> None:
    pytest.importorskip("fastapi_offline", reason="needs the extra 'server'")
    page = service.send("/docs")
    assert page.status == 200
    assert b"http" not in page.data
    assert "default-src 'none'" in page.headers["content-security-policy"]
    for name in ("swagger-ui-bundle.js", "swagger-ui.css", "start.js", "favicon.png"):
        assert service.send(f"/docs/{name}").status == 200
    assert service.send("/docs/core.py").status == 404


CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="needs chromium")
def test_a_browser_shows_the_page(service: Service, tmp_path: Any) -> None:
    pytest.importorskip("fastapi_offline", reason="needs the extra 'server'")
    command = [CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    command += [f"--user-data-dir={tmp_path}", "--virtual-time-budget=20000"]
    # Nothing but this machine has a name.
    command += ["--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1"]
    done = subprocess.run(
        [*command, f"http://127.0.0.1:{service.port}/docs"],
        capture_output=True,
        text=True,
        timeout=240,
        env={**os.environ, "HOME": str(tmp_path)},
    )
    assert "/v1/chat/completions" in done.stdout, done.stderr[-2000:]
    assert "opblock" in done.stdout


@pytest.mark.slow
def test_a_fuzzer_finds_no_error_of_the_server(service: Service) -> None:
    schemathesis = shutil.which("schemathesis")
    if schemathesis is None:
        pytest.skip("needs schemathesis")
    done = subprocess.run(
        [
            *(schemathesis, "run", f"http://127.0.0.1:{service.port}/openapi.json"),
            *(
                "--checks",
                "not_a_server_error,content_type_conformance,status_code_conformance,"
                "response_schema_conformance",
            ),
            *("--max-examples", "20", "--suppress-health-check", "all"),
        ],
        capture_output=True,
        text=True,
        timeout=900,
    )
    assert done.returncode == 0, done.stdout[-4000:]
