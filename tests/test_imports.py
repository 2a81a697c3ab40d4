"""What `import promptguard` costs and changes, seen from a fresh interpreter."""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
import types

import pytest

import promptguard

HEAVY = {
    "asyncio",
    "httpx",
    "huggingface_hub",
    "logging",
    "numpy",
    "onnxruntime",
    "openai",
    "pydantic",
    "socket",
    "ssl",
    "tokenizers",
    "torch",
    "transformers",
}


def fresh(code: str) -> object:
    """What the code prints as JSON, run by an interpreter that has imported nothing."""
    command = [sys.executable, "-W", "error", "-c", textwrap.dedent(code)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_loads_nothing_heavy():
    loaded = fresh(
        """
        import json, sys
        import promptguard
        print(json.dumps(sorted(sys.modules)))
        """
    )
    assert not HEAVY & set(loaded)


def test_import_changes_nothing_in_the_process():
    before, after = fresh(
        """
        import json, os, re, signal, sys, threading, warnings
        def state():
            return [
                dict(os.environ), [str(f) for f in warnings.filters], sys.path[:],
                threading.active_count(), str(signal.getsignal(signal.SIGINT)),
                sys.getrecursionlimit(), str(sys.excepthook), str(sys.meta_path),
            ]
        before = state()
        import promptguard
        print(json.dumps([before, state()]))
        """
    )
    assert before == after


def test_naming_every_public_object_loads_nothing_heavy():
    loaded = fresh(
        """
        import json, sys
        import promptguard
        for name in promptguard.__all__:
            getattr(promptguard, name)
        print(json.dumps(sorted(sys.modules)))
        """
    )
    assert not HEAVY & set(loaded)


def test_building_the_guards_loads_no_model_library():
    loaded = fresh(
        """
        import json, sys
        import promptguard as pg
        guard = pg.PromptInjection() | pg.InvisibleText() | pg.Keywords(("secret",))

        @pg.guarded(input=guard)
        def ask(prompt: str) -> str:
            return prompt

        print(json.dumps(sorted(sys.modules)))
        """
    )
    assert not {"numpy", "onnxruntime", "tokenizers", "pydantic"} & set(loaded)


def test_public_names_are_sorted_and_there():
    assert list(promptguard.__all__) == sorted(promptguard.__all__)
    assert len(set(promptguard.__all__)) == len(promptguard.__all__)
    for name in promptguard.__all__:
        assert getattr(promptguard, name) is not None


def test_the_package_holds_no_other_public_name():
    names = {
        name
        for name in dir(promptguard)
        if not name.startswith("_")
        and not isinstance(getattr(promptguard, name), types.ModuleType)
    }
    assert names == set(promptguard.__all__)


def test_every_public_object_says_what_it_is():
    silent = [
        name
        for name in promptguard.__all__
        if not (getattr(promptguard, name).__doc__ or "").strip()
    ]
    assert not silent


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'Gaurd'"):
        promptguard.Gaurd  # noqa: B018


def test_from_import_star_gives_exactly_the_public_names():
    names = fresh(
        """
        import json
        space = {}
        exec("from promptguard import *", space)
        space.pop("__builtins__")
        print(json.dumps(sorted(space)))
        """
    )
    assert names == sorted(promptguard.__all__)


def test_an_unknown_name_is_told_with_the_nearest():
    code = "import promptguard\npromptguard.PromptInjektion"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "Did you mean: 'PromptInjection'?" in done.stderr
