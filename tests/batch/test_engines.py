"""Spark and Ray, started on this machine, give the verdicts of a single process."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytestmark = pytest.mark.slow
HERE = Path(__file__).parent
ROOT = HERE.parents[1]


def needs(*modules: str) -> pytest.MarkDecorator:
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if "pyspark" in modules and shutil.which("java") is None:
        missing.append("Java 17")
    said = f"needs {' and '.join(missing)}; `make test-batch` has them"
    return pytest.mark.skipif(bool(missing), reason=said)


def done(job: str, folder: Path) -> Any:
    paths = (str(ROOT / "src"), str(ROOT), str(HERE))
    ran = subprocess.run(
        [sys.executable, HERE / "jobs.py", job, folder],
        capture_output=True,
        text=True,
        timeout=600,
        env=os.environ
        | {
            "PYTHONPATH": os.pathsep.join(paths),
            "RAY_USAGE_STATS_ENABLED": "0",
            # By default its processes stand behind all others of a busy machine.
            "RAY_worker_niceness": "0",
            "MLFLOW_DISABLE_TELEMETRY": "true",
            "SPARK_LOCAL_IP": "127.0.0.1",
        },
    )
    assert ran.returncode == 0, ran.stderr[-5000:]
    # Ray tells of processes that died on standard output, at any time.
    told = [line for line in ran.stdout.splitlines() if line.startswith("{")]
    return json.loads(told[-1])


@pytest.fixture(scope="module")
def single(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return done("single", tmp_path_factory.mktemp("single"))


@pytest.fixture(scope="module")
def spark(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return done("spark", tmp_path_factory.mktemp("spark"))


@pytest.fixture(scope="module")
def ray(tmp_path_factory: pytest.TempPathFactory) -> Any:
    return done("ray", tmp_path_factory.mktemp("ray"))


def test_a_file_has_the_verdicts_of_a_single_process(single):
    assert single["file"] == single["here"]
    actions = {row["verdict_action"] for row in single["here"]}
    assert actions == {"allow", "flag", "redact", "block"}


@needs("pyspark", "pandas", "pyarrow")
def test_spark_gives_the_verdicts_of_a_single_process(single, spark):
    assert spark["arrow"] == single["here"]


@needs("pyspark", "pandas", "pyarrow")
def test_map_in_pandas_gives_them_too(single, spark):
    assert spark["pandas"] == single["here"]


@needs("pyspark", "pandas", "pyarrow")
def test_spark_may_cut_its_batches_as_it_likes(single, spark):
    assert spark["blocked"] == sum(row["verdict_blocked"] for row in single["here"])


@needs("pyspark", "pandas", "pyarrow")
def test_what_cannot_be_is_refused_before_spark_runs(spark):
    assert "there is no column 'prompt'" in spark["missing"]
    assert spark["number"] == "column 'id' holds bigint, not texts"
    assert "choose another prefix" in spark["taken"]


@needs("ray", "pandas", "pyarrow")
def test_ray_gives_the_verdicts_of_a_single_process(single, ray):
    assert ray["arrow"] == single["here"]


@needs("ray", "pandas", "pyarrow")
def test_ray_reads_and_writes_files_beside_the_actors(single, ray):
    assert ray["files"] == single["here"]


@needs("ray", "pandas", "pyarrow")
def test_what_cannot_be_is_refused_before_ray_runs(ray):
    assert "there is no column 'prompt'" in ray["missing"]
    assert "workers" in ray["workers"]


@needs("pyspark", "mlflow", "pandas")
def test_the_registered_model_is_a_function_of_spark(tmp_path):
    found = done("mlflow", tmp_path)
    assert found["udf"] == found["alone"]
    assert {action for action, _ in found["udf"]} == {"allow", "block"}


@needs("ray", "pandas", "pyarrow")
def test_actors_that_die_while_they_load_end_a_run_of_ray(ray):
    assert "the processes end before they are ready (exit status 3)" in ray["never"]


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("spark_deaths", marks=needs("pyspark", "pandas", "pyarrow")),
        pytest.param("ray_deaths", marks=needs("ray", "pandas", "pyarrow")),
    ],
    ids=["spark", "ray"],
)
def deaths(request: pytest.FixtureRequest, tmp_path_factory) -> Any:
    return done(request.param, tmp_path_factory.mktemp(request.param))


def test_an_engine_whose_process_dies_once_gives_the_same_rows(deaths):
    assert deaths["once"] == deaths["alone"]


def test_a_text_that_ends_every_process_of_an_engine_is_told_of_alone(deaths):
    rows, alone = deaths["always"], deaths["alone"]
    fatal = rows.pop(13)
    assert fatal["text"] == alone.pop(13)["text"] == "boom 13"
    assert rows == alone
    assert fatal["verdict_error"] == "its process ended (signal 9)"
    assert (fatal["verdict_blocked"], fatal["verdict_coverage"]) == (True, 0.0)


@pytest.mark.parametrize(
    ("nodes", "share"),
    [([2.0], 0), ([16.0, 16.0], 0.875), ([1.0, 4.0], 0.5), ([1.0], 0), ([3.0], 0.3333)],
)
def test_actors_of_ray_leave_room_for_the_tasks_beside_them(nodes, share):
    from promptguard.batch.ray import _share

    assert _share(nodes) == share
    assert all(cores - cores * share >= 2 for cores in nodes if cores > 2)


@pytest.mark.parametrize(
    ("name", "package"), [("on_spark", "pyspark"), ("on_ray", "ray")]
)
def test_without_its_engine_the_error_names_the_extra(name, package, monkeypatch):
    from promptguard import PII, MissingExtra, batch

    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setitem(sys.modules, f"{package}.sql", None)
    with pytest.raises(MissingExtra, match=r"promptguard-llm\[(spark|ray)\]"):
        getattr(batch, name)(None, batch.Check(PII()))
