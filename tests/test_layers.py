"""Who may import whom, read from the source of every module.

The rules are those of docs/architecture.md. Each is a function of one import, so that a
broken rule names the module, the line and what it imported.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "src" / "promptguard"

# Standard library only; so are the private modules beside them.
GROUND = {"text", "decode", "verdict", "placeholders", "restoring", "errors"}
GROUND |= {"operators"}
GROUND |= {"_cleaning", "_folding", "_lookalikes", "_offsets", "_skeleton"}
GROUND |= {"_settling", "_unicode"}
GROUND |= {path.stem for path in PACKAGE.glob("_[!_]*.py")}
CORE = GROUND | {"combining", "engine", "guard", "queries", "records"}
CORE |= {"prices"}
MODEL_LIBRARIES = {"numpy", "onnxruntime", "tokenizers"}
WRAPPERS = {"adapters", "clients", "guarded", "stream", "toolcall", "tools"}
PYDANTIC_ON_USE = {"guards.json", "judging.reply"}
# The modules that are made of pydantic models; the others of the room load them on use.
POLICY_INSIDE = {f"policy.{name}" for name in ("building", "catalogue", "document")}
POLICY_INSIDE |= {"policy.schema", "policy.telling"}
NETWORK = {
    *("aiohttp", "asyncio", "ftplib", "http", "httpx", "httpx2", "requests"),
    *("smtplib", "socket", "ssl", "urllib"),
}
LATE_ROOMS = {"server", "telemetry", "traffic", "monitor", "batch", "measure"}
LATE_ROOMS |= {"experiments", "playground"}
# Beside the public names: the types they are made of, and how errors are worded.
OPEN_TO_LATE_ROOMS = {"engine", "errors", "guard", "prices", "queries", "records"}
OPEN_TO_LATE_ROOMS |= {"adapters.served", "text"}
# How figures are computed, shown and written, and what an endpoint's error means.
SHARED_BY_EXPERIMENTS = {"judging.faults"}
SHARED_BY_EXPERIMENTS |= {
    f"measure.{name}" for name in ("figures", "progress", "tables", "writing")
}
# The scripted model that a service without an upstream has.
SCRIPTED = {"testing.replies", "testing.wire"}
# Brings the service and those who observe it together.
WIRING = "server.wiring"
# Loaded by the command alone, so what they stand on is imported at the top.
SERVER_INSIDE = {
    f"server.{path.stem}"
    for path in (PACKAGE / "server").glob("*.py")
    if path.stem not in ("__init__", "command", "wiring")
}
SERVER_LIBRARIES = {"fastapi", "h11", "httpx2", "pydantic", "starlette", "uvicorn"}
# What was kept is labelled, and learnt from.
OPEN_TO_TRAINING = {"", "text", "decode", "runtime", "traffic"}
# Loaded by name, or by the command; what they reckon with is imported at the top.
MONITOR_INSIDE = {
    f"monitor.{path.stem}"
    for path in (PACKAGE / "monitor").glob("*.py")
    if path.stem not in ("__init__", "commands")
}
# It reads what traffic keeps, means the same by an interval, and tells languages as the
# guard does.
OPEN_TO_MONITOR = {"guards.language", "measure.figures", "traffic.database"}
OPEN_TO_MONITOR |= {"traffic.outputs", "traffic.reading", "traffic.times"}
# What a figure is must not depend on who computes it.
SHARED_FIGURES = "measure.figures"


@dataclass(frozen=True)
class Import:
    """One imported module; ``on_use`` when importing the importer does not run it."""

    importer: str
    line: int
    module: str
    name: str
    on_use: bool

    def __str__(self) -> str:
        what = f"{self.module}.{self.name}" if self.name else self.module
        return f"{self.importer} imports {what} (line {self.line})"

    @property
    def top(self) -> str:
        return self.module.partition(".")[0]

    @property
    def inside(self) -> str | None:
        """The module within promptguard, or None: '' is the package itself."""
        if self.top != "promptguard":
            return None
        return self.module.partition(".")[2]

    @property
    def room(self) -> str | None:
        return None if self.inside is None else self.inside.partition(".")[0]


def imports_of(path: Path, root: Path, package: str = "") -> Iterator[Import]:
    """Every import of a file, wherever it stands; those only for types are left out."""
    parts = [*path.relative_to(root).with_suffix("").parts]
    is_package = parts[-1:] == ["__init__"]
    if is_package:
        parts.pop()
    importer = ".".join(parts)
    above = [part for part in (package, *(parts if is_package else parts[:-1])) if part]

    def known(module: str, name: str) -> bool:
        base = root.joinpath(*module.split(".")[1:], name)
        return base.with_suffix(".py").exists() or (base / "__init__.py").exists()

    def walk(node: ast.AST, on_use: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            inner = on_use or isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef)
            if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test):
                for other in child.orelse:
                    yield from walk(other, inner)
            elif isinstance(child, ast.Import):
                for alias in child.names:
                    yield Import(importer, child.lineno, alias.name, "", on_use)
            elif isinstance(child, ast.ImportFrom):
                module = child.module or ""
                if child.level:
                    stem = above[: len(above) - child.level + 1]
                    module = ".".join([*stem, *([module] if module else [])])
                for alias in child.names:
                    # `from .guards import text` imports a module, not a name in one.
                    full = module, alias.name
                    if module.partition(".")[0] == package and known(*full):
                        full = f"{module}.{alias.name}", ""
                    yield Import(importer, child.lineno, *full, on_use)
            else:
                yield from walk(child, inner)

    yield from walk(ast.parse(path.read_text(encoding="utf-8")), False)


MODULES = sorted(PACKAGE.rglob("*.py"))
IMPORTS = [
    found for path in MODULES for found in imports_of(path, PACKAGE, "promptguard")
]
TRAINING = [
    found
    for path in sorted((ROOT / "training").rglob("*.py"))
    for found in imports_of(path, ROOT)
]


def ground_is_standard_library_only(i: Import) -> bool:
    if i.importer not in GROUND:
        return True
    return i.inside in GROUND or i.top in sys.stdlib_module_names


def core_stands_on_the_ground(i: Import) -> bool:
    if i.importer not in CORE or i.inside is None or i.inside in CORE:
        return True
    # Checking a text runs a driver; the guard does not load it before.
    return i.on_use and i.inside in {"drivers", "hooks"}


def guards_know_no_runtime_and_no_library(i: Import) -> bool:
    if not i.importer.startswith("guards."):
        return True
    return i.room != "runtime" and i.top not in MODEL_LIBRARIES | NETWORK


def guards_do_not_import_each_other(i: Import) -> bool:
    if not i.importer.startswith("guards.") or i.room != "guards":
        return True
    # What several of them share stands in private modules.
    return i.inside.startswith("guards._")


def a_judge_waits_on_use(i: Import) -> bool:
    if not i.importer.startswith("judging."):
        return True
    return i.room != "runtime" and (i.on_use or i.top not in NETWORK)


def only_the_runtime_knows_the_model_libraries(i: Import) -> bool:
    if i.top == "numpy" and i.importer in MONITOR_INSIDE:
        return True
    return i.top not in MODEL_LIBRARIES or i.importer.startswith("runtime.")


def the_runtime_is_loaded_on_use(i: Import) -> bool:
    if i.room != "runtime" or i.importer.partition(".")[0] == "runtime":
        return True
    return i.on_use


def pydantic_is_imported_on_use_where_it_is_needed(i: Import) -> bool:
    if i.top not in {"pydantic", "pydantic_core"} or i.importer in POLICY_INSIDE:
        return True
    if i.importer in SERVER_INSIDE:
        return True
    return i.on_use and i.importer in PYDANTIC_ON_USE


def policies_are_loaded_on_use(i: Import) -> bool:
    if i.inside in POLICY_INSIDE:
        return i.on_use or i.importer in POLICY_INSIDE
    return i.room != "policy" or i.importer.startswith("policy") or i.on_use


def nothing_else_comes_from_outside(i: Import) -> bool:
    if i.top == "huggingface_hub":
        return i.on_use and i.importer == "runtime.hub"
    if i.top == "mlflow" and i.importer == "runtime.registered":
        return i.on_use
    if i.top in {"jsonschema", "referencing"}:
        return i.on_use and i.importer == "guards.json"
    if i.top == "ahocorasick_rs":
        return i.on_use and i.importer == "guards._finders"
    # Client SDKs above all: messages and completions are known by their shape. A judge
    # that is told an address makes the client for it.
    if i.top == "openai":
        return i.on_use and i.importer in {"judging.endpoint", "experiments.asking"}
    if i.importer in SERVER_INSIDE and i.top in SERVER_LIBRARIES:
        return True
    if i.top == "numpy" and i.importer in MONITOR_INSIDE:
        return True
    if i.importer.partition(".")[0] in LATE_ROOMS:
        return i.top in sys.stdlib_module_names | {"promptguard"} or i.on_use
    if i.top == "yaml":
        return i.on_use and i.importer == "policy.files"
    return i.top in (
        sys.stdlib_module_names | MODEL_LIBRARIES | {"promptguard", "pydantic"}
    )


def wrappers_know_guard_and_no_particular_guard(i: Import) -> bool:
    if i.importer.partition(".")[0] not in WRAPPERS:
        return True
    return i.room != "guards"


def late_rooms_are_imported_by_nobody(i: Import) -> bool:
    if i.room not in LATE_ROOMS or i.importer.partition(".")[0] == i.room:
        return True
    if i.importer == WIRING:
        return i.on_use
    if i.importer.startswith("experiments.") and i.inside in SHARED_BY_EXPERIMENTS:
        return True
    if i.importer.startswith("monitor.") and i.inside in OPEN_TO_MONITOR:
        return True
    return i.importer == "cli" and i.on_use


def late_rooms_stand_on_the_public_names(i: Import) -> bool:
    import promptguard

    room = i.importer.partition(".")[0]
    if room not in LATE_ROOMS or i.inside is None or i.room == room:
        return True
    if i.inside == "":
        return i.name in {"__version__", *promptguard.__all__}
    if i.importer == "server.echo" and i.inside in SCRIPTED:
        return True
    if room == "experiments" and i.inside in SHARED_BY_EXPERIMENTS:
        return True
    if i.importer == WIRING and i.room in LATE_ROOMS:
        return True
    if room == "monitor" and i.inside in OPEN_TO_MONITOR:
        return True
    return i.inside in OPEN_TO_LATE_ROOMS


def commands_import_what_they_need_inside(i: Import) -> bool:
    return i.importer != "cli" or i.inside is None or i.on_use


def the_package_does_not_know_the_training(i: Import) -> bool:
    return i.top != "training"


@pytest.mark.parametrize(
    "rule",
    [
        ground_is_standard_library_only,
        core_stands_on_the_ground,
        guards_know_no_runtime_and_no_library,
        guards_do_not_import_each_other,
        a_judge_waits_on_use,
        only_the_runtime_knows_the_model_libraries,
        the_runtime_is_loaded_on_use,
        pydantic_is_imported_on_use_where_it_is_needed,
        policies_are_loaded_on_use,
        nothing_else_comes_from_outside,
        wrappers_know_guard_and_no_particular_guard,
        late_rooms_are_imported_by_nobody,
        late_rooms_stand_on_the_public_names,
        commands_import_what_they_need_inside,
        the_package_does_not_know_the_training,
    ],
    ids=lambda rule: rule.__name__,
)
def test_every_import_of_the_package_keeps(rule):
    broken = [str(found) for found in IMPORTS if not rule(found)]
    assert not broken, f"{rule.__name__}:\n  " + "\n  ".join(broken)


def test_training_uses_public_names_and_the_preprocessing():
    import promptguard

    def allowed(i: Import) -> bool:
        if i.inside is None:
            return True
        if i.inside == "":
            return i.name in {"", *promptguard.__all__}
        return i.room in OPEN_TO_TRAINING or i.inside == SHARED_FIGURES

    broken = [str(found) for found in TRAINING if not allowed(found)]
    assert not broken, "\n  ".join(broken)


@pytest.mark.parametrize(
    "path", MODULES, ids=lambda path: str(path.relative_to(PACKAGE))
)
def test_no_module_is_longer_than_a_reader_holds(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= 400


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("import numpy.linalg", [("numpy.linalg", "", False)]),
        ("from .text import Text", [("promptguard.text", "Text", False)]),
        ("from ..text import Text", [("promptguard.text", "Text", False)]),
        ("from . import text", [("promptguard.text", "", False)]),
        ("def f():\n    import ssl", [("ssl", "", True)]),
        ("class A:\n    import ssl", [("ssl", "", False)]),
        ("try:\n    import ssl\nexcept ImportError: ...", [("ssl", "", False)]),
        ("if TYPE_CHECKING:\n    import ssl", []),
    ],
)
def test_the_reader_of_imports_sees(tmp_path, source, expected):
    (tmp_path / "text.py").touch()
    folder = tmp_path / "guards" if ".." in source else tmp_path
    folder.mkdir(exist_ok=True)
    path = folder / "module.py"
    path.write_text(source)
    found = imports_of(path, tmp_path, "promptguard")
    assert [(i.module, i.name, i.on_use) for i in found] == expected
