"""The service with a guard for a task's own bundle, an encoder's and a decoder's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from serving import Answered, Service, Upstream, completion

from training.testing.tiny import write_bundle

POLICY = """
[user.classifier]
model = "{model}"
labels = ["spam"]

[output.classifier]
model = "{model}"
action = "flag"
"""


@pytest.mark.parametrize("bytewise", [False, True], ids=["encoder", "decoder"])
def test_a_task_guards_the_proxy(
    tmp_path: Path, start: Callable[..., Service], upstream: Upstream, bytewise: bool
) -> None:
    bundle = write_bundle(
        tmp_path / "spam",
        words=None,
        others={"spam": {"spam": ("prize",)}},
        bytewise=bytewise,
    )
    policy = POLICY.format(model=bundle.as_posix())
    service = start(policy, "--upstream", upstream.address)

    upstream.answer = lambda path, body: completion("Hello.")

    def asked(text: str) -> Answered:
        body = {"model": "m", "messages": [{"role": "user", "content": text}]}
        return service.send("/v1/chat/completions", body)

    before = len(upstream.asked)
    refused = asked("claim your prize now")
    assert refused.status == 400
    assert "classifier" in refused.data.decode()
    assert len(upstream.asked) == before
    passed = asked("see you at the lake")
    assert passed.status == 200
    assert passed.json["choices"][0]["message"]["content"] == "Hello."
