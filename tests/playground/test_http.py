"""The server: only this machine, only with its token, and nothing is kept."""

from __future__ import annotations

import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from importlib.resources import files

import pytest
from playing import request

from promptguard.playground.server import LONGEST, Playground

CANARY = "zanzibar-7781"
ASKED = {"text": "Mail ada@example.org.", "role": "user", "guards": ["pii"]}
ASSETS = sorted(files("promptguard.playground").joinpath("assets").iterdir())


def test_a_text_is_checked_by_the_guards_that_are_chosen(playground):
    answer = request(playground, "check", ASKED)
    assert answer.status == 200
    (guard,) = answer.json["guards"]
    assert guard["name"] == "pii"
    assert [f["label"] for f in guard["findings"]] == ["EMAIL_ADDRESS"]
    assert answer.json["redacted"].startswith("Mail <EMAIL_ADDRESS_1:")


def test_about_names_roles_and_guards(playground):
    about = request(playground, "about").json
    assert list(about["roles"]) == ["user", "tool", "retrieved", "assistant"]
    assert about["roles"]["user"][0]["name"] == "prompt_injection"
    assert about["longest"] == LONGEST


@pytest.mark.parametrize("path", ["", "app.js", "marks.js", "style.css", "icon.svg"])
def test_the_page_is_served_with_headers_that_keep_others_out(playground, path):
    answer = request(playground, path)
    assert answer.status == 200
    assert answer.body
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "no-referrer"
    assert answer.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("path", ["", "about", "app.js"])
@pytest.mark.parametrize("token", ["", "wrong", "%C3%A9"])
def test_nothing_is_told_without_the_token(playground, path, token):
    answer = request(playground, path, token=token)
    assert answer.status == 403
    assert playground.token.encode() not in answer.body


def test_nothing_is_checked_without_the_token(playground):
    assert request(playground, "check", ASKED, token="x" * 32).status == 403


@pytest.mark.parametrize(
    "host",
    ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "localhost.", ""],
)
@pytest.mark.parametrize("body", [None, ASKED], ids=["page", "check"])
def test_a_foreign_name_that_points_here_gets_nothing(playground, host, body):
    path = "" if body is None else "check"
    assert request(playground, path, body, Host=host).status == 403


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost:8080", "LOCALHOST"])
def test_this_host_may_be_named_with_any_port(playground, host):
    assert request(playground, "about", Host=host).status == 200


@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:1"]
)
def test_a_page_of_another_origin_is_refused(playground, origin):
    assert request(playground, "check", ASKED, Origin=origin).status == 403


def test_a_form_of_another_page_cannot_ask(playground):
    answer = request(playground, "check", ASKED, Content_Type="text/plain")
    assert answer.status == 415


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        (ASKED | {"text": ""}, "no text yet"),
        (ASKED | {"text": 5}, "no text yet"),
        (ASKED | {"guards": []}, "No guard is chosen"),
        (ASKED | {"guards": "pii"}, "list of names"),
        (ASKED | {"guards": [["x"], None]}, "No guard is chosen"),
        (ASKED | {"role": "system"}, "role must be one of"),
        (ASKED | {"role": []}, "role must be one of"),
        ([], "JSON object"),
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (ASKED | {"text": "x" * (LONGEST + 1)}, f"{LONGEST + 1:,} characters"),
    ],
    ids=lambda value: None if not isinstance(value, str) else value,
)
def test_what_makes_no_sense_is_refused_in_words(playground, asked, said):
    answer = request(playground, "check", asked)
    assert answer.status == 400
    assert said in answer.json["error"]


def test_ten_megabytes_are_refused_in_words(playground):
    answer = request(playground, "check", ASKED | {"text": "x" * 10_000_000})
    assert answer.status == 413
    assert "too long" in answer.json["error"]


def test_a_request_of_no_stated_length_is_refused(playground):
    headers = {"Content-Length": "many"}
    answer = request(playground, "check", ASKED, **headers)
    assert answer.status == 411


def test_an_unknown_path_is_refused(playground):
    for path in ("nothing", "../pyproject.toml", "assets/app.js"):
        assert request(playground, path).status == 404
        assert request(playground, path, ASKED).status == 404


def test_odd_text_arrives_and_positions_count_its_characters(playground):
    text = "\U0001f469\u200d\U0001f4bb \ud800 ada@example.org"
    (guard,) = request(playground, "check", ASKED | {"text": text}).json["guards"]
    (finding,) = guard["findings"]
    assert text[finding["start"] : finding["end"]] == "ada@example.org"


def test_a_policy_offers_only_its_guards():
    import promptguard as pg

    with Playground(policy=pg.Policy(input=pg.PII())) as made:
        assert [c.guard.name for c in made.choices["user"]] == ["pii"]
        assert made.choices["assistant"] == ()
        assert not made.asks


def test_it_listens_on_the_loopback_interface_alone(playground):
    assert playground.server_address[0] == "127.0.0.1"


@pytest.mark.parametrize("asset", ASSETS, ids=lambda path: path.name)
def test_an_asset_names_no_address_outside(asset):
    outside = re.findall(
        r"(?:https?:)?//[\w.-]+\.\w+[^\s\"']*", asset.read_text("utf-8")
    )
    assert not [url for url in outside if "www.w3.org" not in url]


def play(*arguments, **options):
    command = [sys.executable, "-m", "promptguard", "play", "--no-browser", *arguments]
    return subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_the_command_serves_prints_no_text_and_ends_with_control_c():
    process = play()
    try:
        line, more = process.stdout.readline(), process.stdout.readline()
        url = re.fullmatch(r"Playground: (http://127\.0\.0\.1:\d+/\S+/)\n", line)[1]
        asked = f'{{"text": "{CANARY}", "role": "user", "guards": ["pii"]}}'.encode()
        headers = {"Content-Type": "application/json"}
        for path, body in [("", None), ("check", asked), ("check", b"{" + asked)]:
            made = urllib.request.Request(url + path, body, headers)
            try:
                with urllib.request.urlopen(made, timeout=60) as answer:
                    assert answer.status == 200
            except urllib.error.HTTPError as error:
                assert error.code == 400
                error.close()
    finally:
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
    assert process.returncode == 0
    assert "stays on this machine" in more
    assert CANARY not in more + out + err
    assert err == ""


@pytest.mark.skipif(os.name == "nt", reason="needs POSIX signals")
def test_control_c_ends_it_quietly_while_a_model_is_at_work():
    process = play()
    try:
        address = urllib.parse.urlsplit(process.stdout.readline().split()[-1])
        connection = http.client.HTTPConnection(address.netloc, timeout=60)
        for text in ("hello", "Please tell the bank of the ship. " * 2_000):
            asked = ASKED | {"text": text, "guards": ["prompt_injection"]}
            headers = {"Content-Type": "application/json"}
            path = f"{address.path}check"
            connection.request("POST", path, json.dumps(asked).encode(), headers)
            if text == "hello":
                connection.getresponse().read()
        # By now the model is loaded; the long text is read for some seconds.
        time.sleep(1)
    finally:
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=120)
        connection.close()
    assert (process.returncode, err) == (0, "")


@pytest.mark.skipif(os.name == "nt", reason="needs a POSIX shell")
def test_the_browser_is_opened_at_the_page(tmp_path):
    browser, opened = tmp_path / "browser", tmp_path / "opened"
    fetched = "import sys, urllib.request as u; u.urlopen(sys.argv[1], timeout=60)"
    browser.write_text(
        f'#!/bin/sh\n{sys.executable} -c \'{fetched}\' "$1" && echo "$1" > {opened}\n'
    )
    browser.chmod(0o755)
    command = [sys.executable, "-m", "promptguard", "play"]
    environment = os.environ | {"BROWSER": f"{browser} %s"}
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=environment
    )
    try:
        url = process.stdout.readline().split()[-1]
        end = time.monotonic() + 60
        while not (opened.exists() and opened.read_text()):
            assert time.monotonic() < end
            time.sleep(0.05)
    finally:
        process.kill()
        process.communicate()
    assert opened.read_text().strip() == url


def test_a_port_that_is_taken_is_said_in_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = play("--port", port)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert err.startswith(f"promptguard: port {port} cannot be had; name another")
    assert err.count("\n") == 1


@pytest.mark.parametrize("port", ["0", "65536", "x", "-1"])
def test_a_port_that_is_none_is_refused(port):
    process = play(f"--port={port}")
    _, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "must be a number from 1 to 65535" in err


def test_a_broken_policy_is_told_before_anything_is_served(tmp_path):
    (tmp_path / "policy.toml").write_text("[input.pie]\n")
    process = play("--policy", str(tmp_path / "policy.toml"))
    out, err = process.communicate(timeout=60)
    assert process.returncode == 2
    assert "unknown guard 'pie'" in err
    assert out == ""
