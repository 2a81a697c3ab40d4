"""A new policy, or a new model, in force while requests are under way."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from load import Load
from serving import PATTERNS, Service, Upstream, chunk

import promptguard
from promptguard.runtime.bundle import digest_of
from training.testing.tiny import write_bundle

pytestmark = pytest.mark.skipif(
    not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP"
)

OLD, NEW, NEVER = "the heliotrope", "the vermilion", "the lilac"
POLICY = """
[input.prompt_injection]
model = "{model}"

[output.prompt_injection]
model = "{model}"
"""


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "bundle", words=("heliotrope",))


def policy_of(bundle: Path) -> str:
    return POLICY.format(model=bundle)


def renew(bundle: Path, word: str = "vermilion") -> None:
    """Another model in the place of one: each file appears whole."""
    made = write_bundle(bundle.with_name("made"), words=(word,))
    for name in ("model.onnx", "tokenizer.json", "MODEL_CARD.md", "bundle.json"):
        (made / name).replace(bundle / name)


def hang_up(service: Service) -> None:
    service.process.send_signal(signal.SIGHUP)


def revision(service: Service) -> str:
    return str(service.send("/v1/policy").json["revision"])


def until(true: Callable[[], Any], what: str, seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, what
        time.sleep(0.02)


def test_under_load_a_new_model_comes_into_force_and_no_request_is_dropped(
    start: Callable[..., Service], bundle: Path
) -> None:
    service = start(policy_of(bundle))
    before = service.send("/v1/policy").json
    with Load(service.port, (OLD, NEW, NEVER)) as load:
        load.wait(60)
        renew(bundle)
        hang_up(service)
        until(lambda: revision(service) != before["revision"], "no reload")
        changed = time.monotonic()
        load.wait(60)
    assert load.errors == []
    assert load.said(NEVER) == {200}
    assert load.said(OLD) == load.said(NEW) == {200, 400}
    assert load.said(OLD, changed) == {200}
    assert load.said(NEW, changed) == {400}
    after = service.send("/v1/policy").json
    stated = json.loads((bundle / "bundle.json").read_bytes())["digest"]
    assert {row["digest"] for row in after["models"]} == {stated}
    assert after["since"] >= before["since"]
    until(lambda: "reloaded: " in service.log, "no line")
    (line,) = [line for line in service.lines if "reloaded: " in line]
    assert f"{before['revision']} -> {after['revision']}" in line
    assert stated[:12] in line


def test_a_stream_that_has_begun_ends_on_the_guards_it_began_with(
    start: Callable[..., Service], bundle: Path, upstream: Upstream
) -> None:
    policy = f'[output.prompt_injection]\nmodel = "{bundle}"\n'
    service = start(policy, "--upstream", upstream.address)
    go = threading.Event()
    begun = threading.Event()

    def words(path: str, body: Any) -> Iterator[Any]:
        yield chunk({"role": "assistant", "content": "Well, "})
        begun.set()
        assert go.wait(60)
        yield chunk({"content": body["messages"][0]["content"] + " it is."})
        yield chunk({}, "stop")
        yield "[DONE]"

    upstream.answer = words
    answers: dict[str, Any] = {}

    def ask(text: str) -> None:
        answers[text] = service.chat(text, stream=True)

    threads = [threading.Thread(target=ask, args=(text,)) for text in (OLD, NEW)]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    renew(bundle)
    old = revision(service)
    hang_up(service)
    until(lambda: revision(service) != old, "no reload")
    go.set()
    for thread in threads:
        thread.join(60)

    def finish(text: str) -> str:
        return str(answers[text].events[-1]["choices"][0]["finish_reason"])

    assert (finish(OLD), finish(NEW)) == ("content_filter", "stop")
    # Whoever asks now gets the new ones.
    for text in (OLD, NEW):
        ask(text)
    assert (finish(OLD), finish(NEW)) == ("stop", "content_filter")


def altered(bundle: Path) -> str:
    file = bundle / "model.onnx"
    file.write_bytes(file.read_bytes()[:-100])
    return "is not the file that bundle.json was made for"


def gone(bundle: Path) -> str:
    (bundle / "bundle.json").unlink()
    return "it holds no bundle.json"


def of_another_kind(bundle: Path) -> str:
    write_bundle(bundle, others={"toxicity": {"toxic": ("vermilion",)}})
    table = json.loads((bundle / "bundle.json").read_bytes())
    del table["heads"]["injection"]
    (bundle / "bundle.json").write_text(json.dumps(table))
    return "does not match its own digest"


def not_a_policy(bundle: Path) -> str:
    policy = bundle.with_name("policy.toml")
    policy.write_text('[input.keywrods]\nwords = ["hyacinth"]\n')
    return "line 1: input.keywrods: unknown"


@pytest.mark.parametrize("wrong", [altered, gone, of_another_kind, not_a_policy])
def test_what_is_broken_is_refused_and_the_old_stays(
    start: Callable[..., Service], bundle: Path, wrong: Callable[[Path], str]
) -> None:
    policy = bundle.with_name("policy.toml")
    policy.write_text(policy_of(bundle))
    service = start(policy_of(bundle), "--policy", str(policy))
    before = service.send("/v1/policy").json
    said = wrong(bundle)
    with Load(service.port, (OLD, NEVER), clients=2) as load:
        load.wait(10)
        hang_up(service)
        until(lambda: "not reloaded" in service.log, "no line")
        load.wait(10)
    assert load.errors == []
    assert (load.said(OLD), load.said(NEVER)) == ({400}, {200})
    line = service.log.partition("not reloaded")[2]
    assert said in line
    assert "Traceback" not in service.log
    assert "hyacinth" not in service.log
    assert service.send("/v1/policy").json == before
    # Mended, the next signal is obeyed.
    policy.write_text(policy_of(bundle))
    renew(bundle)
    hang_up(service)
    until(lambda: revision(service) != before["revision"], service.log)
    assert service.chat(NEW).status == 400
    assert service.chat(f"{OLD}, once more").status == 200


def test_a_new_policy_file_is_read_and_the_model_is_the_same(
    start: Callable[..., Service], bundle: Path
) -> None:
    policy = bundle.with_name("policy.toml")
    policy.write_text(policy_of(bundle))
    service = start(policy_of(bundle), "--policy", str(policy))
    before = service.send("/v1/policy").json
    more = '\n[input.keywords]\nwords = ["lilac"]\naction = "flag"\n'
    policy.write_text(policy_of(bundle) + more)
    hang_up(service)
    until(lambda: revision(service) != before["revision"], service.log)
    after = service.send("/v1/policy").json
    assert after["models"] == before["models"]
    assert [row["name"] for row in after["input"]] == ["prompt_injection", "keywords"]
    check = service.send("/v1/check", {"text": NEVER}).json
    assert check["action"] == "flag"


def test_a_watching_service_needs_no_signal_and_complains_once(
    start: Callable[..., Service], bundle: Path
) -> None:
    service = start(policy_of(bundle), "--watch", "0.1")
    before = revision(service)
    assert service.chat(OLD).status == 400
    model = (bundle / "model.onnx").read_bytes()
    made = write_bundle(bundle.with_name("made"), words=("vermilion",))
    # As a copy that takes its time: the statement is there before the rest is.
    (made / "bundle.json").replace(bundle / "bundle.json")
    until(lambda: "not reloaded" in service.log, "no line")
    time.sleep(0.5)
    assert service.log.count("not reloaded") == 1
    assert revision(service) == before
    assert service.chat(f"{OLD} still").status == 400
    assert (bundle / "model.onnx").read_bytes() == model
    for name in ("tokenizer.json", "MODEL_CARD.md", "model.onnx"):
        (made / name).replace(bundle / name)
    until(lambda: revision(service) != before, service.log)
    assert service.chat(NEW).status == 400
    time.sleep(0.3)
    assert service.log.count("reloaded: ") == 1


@pytest.mark.parametrize("options", [("--watch", "0.1"), ()], ids=["watch", "signal"])
def test_a_file_found_by_name_is_the_policy_for_the_life_of_the_service(
    tmp_path: Path, options: tuple[str, ...]
) -> None:
    here = tmp_path / "service"
    here.mkdir()
    # What would be found by name, were it looked for again.
    (tmp_path / "promptguard.toml").write_text('[input.keywords]\nwords = ["lilac"]\n')
    service = Service(here, PATTERNS, list(options), {}, by_name=True)
    try:
        file = here / "promptguard.toml"
        assert f"policy: {file}\n" in service.log
        before = service.send("/v1/policy").json
        file.rename(here / "x")
        if not options:
            hang_up(service)
        until(lambda: "not reloaded" in service.log, "no line")
        assert "ERROR" in service.log
        assert f"{file}: there is no such policy file" in service.log
        assert service.send("/v1/policy").json == before
        assert service.chat(OLD).status == 400
        (here / "x").rename(file)
        if not options:
            hang_up(service)
        until(lambda: "again what" in service.log, service.log)
        time.sleep(0.3)
        said = f"the policy in force is again what the file says: {before['revision']}"
        assert service.log.count(said) == service.log.count("not reloaded") == 1
        assert "INFO promptguard.server: " + said in service.log
        assert "reloaded: " not in service.log
        assert service.send("/v1/policy").json == before
    finally:
        service.stop()


def test_a_file_that_comes_later_waits_for_the_next_start(tmp_path: Path) -> None:
    service = Service(tmp_path, None, ["--watch", "0.1"], {}, by_name=True)
    try:
        assert "policy: built in\n" in service.log
        assert "which is looked for at the next start" in service.log
        before = service.send("/v1/policy").json
        (tmp_path / "promptguard.toml").write_text(PATTERNS)
        time.sleep(0.3)
        hang_up(service)
        until(lambda: "nothing has changed" in service.log, service.log)
        assert service.send("/v1/policy").json == before
        assert "reloaded" not in service.log
    finally:
        service.stop()


def test_workers_are_told_the_file_and_look_for_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from promptguard.server.policies import BUILT_IN, load, settled
    from promptguard.server.settings import Settings

    monkeypatch.delenv("PROMPTGUARD_POLICY", raising=False)
    monkeypatch.chdir(tmp_path)
    none = settled(Settings.of({}, {})).as_environment()
    file = tmp_path / "promptguard.toml"
    file.write_text(PATTERNS)
    found = settled(Settings.of({}, {})).as_environment()
    assert load(Settings.of({}, none)).source == BUILT_IN
    monkeypatch.chdir("/")
    assert load(Settings.of({}, found)).source == str(file)


def test_a_dry_run_that_comes_with_a_reload_is_told_and_so_is_no_change(
    start: Callable[..., Service], tmp_path: Path
) -> None:
    policy = tmp_path / "policy.toml"
    policy.write_text(PATTERNS)
    service = start(PATTERNS, "--policy", str(policy))
    before = service.send("/v1/policy").json
    said = "dry run: nothing is blocked or redacted"
    assert said not in service.log
    assert service.chat(OLD).status == 400
    hang_up(service)
    until(lambda: "nothing has changed" in service.log, service.log)
    assert f"policy file and its models: {before['revision']}\n" in service.log
    assert service.send("/v1/policy").json == before
    assert "reloaded" not in service.log
    policy.write_text("dry_run = true\n" + PATTERNS)
    hang_up(service)
    until(lambda: said in service.log, service.log)
    assert f"WARNING promptguard.server: {said}" in service.log
    assert service.chat(f"{OLD}, once more").status == 200
    policy.write_text("dry_run = [\n")
    hang_up(service)
    until(lambda: "not reloaded" in service.log, service.log)
    page = service.send("/metrics").data.decode()
    for outcome, count in ("reloaded", 1), ("unchanged", 1), ("refused", 1):
        assert f'promptguard_reloads_total{{outcome="{outcome}"}} {count}.0' in page


def test_what_is_put_back_after_a_signal_was_refused_is_tried_in_full(
    start: Callable[..., Service], bundle: Path
) -> None:
    service = start(policy_of(bundle), "--watch", "0.1")
    model = (bundle / "model.onnx").read_bytes()
    altered(bundle)
    hang_up(service)
    until(lambda: "not reloaded" in service.log, service.log)
    time.sleep(0.5)
    # bundle.json is what it was; that does not make the folder whole.
    assert "again what" not in service.log
    assert service.log.count("not reloaded") == 1
    (bundle / "model.onnx").write_bytes(model)
    until(lambda: "again what the file says" in service.log, service.log)


def test_no_request_can_ask_for_a_reload(
    start: Callable[..., Service], bundle: Path
) -> None:
    service = start(policy_of(bundle))
    before = service.send("/v1/policy").json
    renew(bundle)
    tried = {"reload": True, "policy": "none.toml", "model": str(bundle)}
    headers = {"x-promptguard-reload": "1", "x-promptguard-policy": "none.toml"}
    messages = [{"role": "user", "content": OLD}]
    body = {"model": "m", "messages": messages, "metadata": {"reload": "true"}}
    answer = service.send("/v1/chat/completions", {**body, **tried}, headers=headers)
    assert answer.status == 400
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for path in ("/v1/policy", "/v1/policy?reload=1", "/v1/reload", "/reload"):
            assert service.send(path, tried, method=method).status in (404, 405)
    assert service.send("/v1/policy", headers=headers).json == before
    assert service.chat(f"{OLD}, still").status == 400


@pytest.mark.slow
def test_each_of_several_workers_reloads_and_none_is_replaced(
    start: Callable[..., Service], bundle: Path
) -> None:
    service = start(policy_of(bundle), "--workers", "2")
    until(lambda: service.log.count("startup complete") == 2, "not both are up")
    before = revision(service)
    with Load(service.port, (OLD, NEW, NEVER)) as load:
        load.wait(60)
        renew(bundle)
        hang_up(service)
        until(lambda: service.log.count("reloaded: ") == 2, service.log)
        changed = time.monotonic()
        load.wait(60)
    assert load.errors == []
    assert load.said(NEVER) == {200}
    assert load.said(OLD, changed) == {200}
    assert load.said(NEW, changed) == {400}
    assert {revision(service) for _ in range(10)} & {before} == set()
    assert "Terminated child" not in service.log
    assert service.log.count("Started server process") == 2


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_what_is_not_in_force_any_more_takes_no_memory(
    start: Callable[..., Service], bundle: Path
) -> None:
    # The shipped model has a size that shows.
    shutil.copytree(Path(promptguard.__file__).parent / "models", bundle.parent / "big")
    big = bundle.parent / "big"
    service = start(policy_of(big))

    def resident() -> int:
        pages = Path(f"/proc/{service.process.pid}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    def again(number: int) -> None:
        table = json.loads((big / "bundle.json").read_bytes()) | {"name": f"n{number}"}
        table["digest"] = digest_of(table)
        (big / "bundle.json").write_text(json.dumps(table))
        count = service.log.count("reloaded: ")
        hang_up(service)
        until(lambda: service.log.count("reloaded: ") > count, service.log)
        # What was in force before goes a second later.
        time.sleep(1.2)

    for number in range(4):
        again(number)
    settled = resident()
    for number in range(4, 12):
        again(number)
    # Eight models take 470 MB; what is freed is not given back at once.
    assert resident() < settled + 200e6
