# Every target does its own set-up: a fresh clone needs Python 3.11 or newer, git, OpenSSH and make, nothing else.

PYTHON ?= $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	"$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo "$$python"; break; }; done)
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed
WHEEL := build/wheel
FUZZ_INPUTS ?= 1000000
FUZZ_SEED ?= 1
FUZZ_TARGETS ?=
# Tests, demo and benchmarks start tools by name, as a user would.
RUN := PATH="$(CURDIR)/$(BIN):$$PATH"

.PHONY: setup test test-litellm lint format docs model demo bench bench-peers faults fuzz wheel test-wheel clean
.DEFAULT_GOAL := test

setup: $(INSTALLED)

test: lint model
	$(RUN) pytest -n auto

# LiteLLM's proxy is larger than everything else together, and wants versions of its own.
test-litellm: $(INSTALLED)
	test -x build/litellm/bin/litellm || { $(PYTHON) -m venv build/litellm && build/litellm/bin/python -m pip install -q 'litellm[proxy]==1.108.7'; }
	$(RUN) PROMPTOPS_LITELLM="$(CURDIR)/build/litellm/bin/litellm" pytest tests/adapters/test_litellm.py

# An hour or more on two cores; make test takes a sample of it.
faults: $(INSTALLED)
	$(RUN) PROMPTOPS_ALL_FAULTS=1 pytest -n auto tests/faults

lint: $(INSTALLED)
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py

model: $(INSTALLED)
	$(BIN)/promptops model fetch

demo: model
	$(RUN) python demo/run.py

bench: model
	PATH="$(CURDIR)/build/peers/node_modules/.bin:$(CURDIR)/$(BIN):$$PATH" python bench/run.py

# The runners that ours is held against: inspect-ai from PyPI, promptfoo from npm (large; needs a newer Node).
bench-peers: $(INSTALLED)
	$(BIN)/python -m pip install -q --disable-pip-version-check inspect-ai
	npm install --prefix build/peers --no-fund --no-audit promptfoo

# FUZZ_TARGETS="template tag" runs some; FUZZ_SEED=2 gives other inputs.
fuzz: $(INSTALLED)
	$(RUN) python fuzz/run.py --inputs $(FUZZ_INPUTS) --seed $(FUZZ_SEED) $(FUZZ_TARGETS)

wheel: $(INSTALLED)
	rm -rf dist $(WHEEL)
	$(BIN)/python -m build --no-isolation
	$(BIN)/python -m pip install -q --no-deps --no-index --target $(WHEEL) dist/*.whl

# PYTHONPATH comes before the editable install, so the tests import what users will get.
test-wheel: wheel model
	$(RUN) PYTHONPATH="$(CURDIR)/$(WHEEL)" PROMPTOPS_TEST_WHEEL="$(CURDIR)/$(WHEEL)" pytest -n auto -p no:cacheprovider

clean:
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(INSTALLED): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer is not on PATH; set PYTHON=/path/to/python3" >&2; exit 1; }
	@for tool in git ssh-keygen; do command -v $$tool >/dev/null || { echo "$$tool is not on PATH" >&2; exit 1; }; done
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install -q --disable-pip-version-check -e '.[dev]'
	touch $@
