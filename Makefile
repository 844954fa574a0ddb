# What each target does: make help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help demo clean-demo test fast coverage lint lock bench soak recordings
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

$(VENV)/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "opsbook needs Python 3.11 or newer; name it: make PYTHON=python3.12 …" >&2; exit 1; }
	@echo "Installing into $(VENV), about a minute the first time …"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-index --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(VENV)/installed  ## set everything up, then deploy three releases, the last of them broken
	@$(BIN)/python services/demo.py

clean-demo: $(VENV)/installed  ## stop and remove everything the demo made
	@$(BIN)/python services/demo.py --clean

test: lint fast  ## set everything up, then run all checks and all tests
	# The platform first: its few files take longest.
	$(BIN)/pytest -m "slow and not soak" -n 2 --dist loadfile --no-loadscope-reorder tests/platform
	$(BIN)/pytest -m "slow and not soak" -n 2 --dist loadfile --ignore tests/platform

fast: $(VENV)/installed  ## the tests that take less than a minute
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

coverage: $(VENV)/installed  ## what the tests reach; every process of a test pays for it, so make test does without
	$(BIN)/pytest -m "not soak" -n 2 --dist loadfile --ignore tests/platform --cov --cov-report=term

lint: $(VENV)/installed  ## style, types, layers, playbooks, runbooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint --offline -q --profile production playbooks
	$(BIN)/opsbook check

lock: $(VENV)/installed  ## renew requirements.lock from pyproject.toml
	$(PYTHON) -m venv .cache/uv && .cache/uv/bin/pip install --quiet uv
	.cache/uv/bin/uv pip compile --upgrade --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-header --extra platform --extra papermill --extra site --extra training --extra dev pyproject.toml --output-file requirements.lock

soak: $(VENV)/installed  ## hunt: kill 150 runs, fuzz, tell long stories, stop each runbook after each effect
	$(BIN)/python -m tests.soak
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/pytest -n 2 --dist loadfile tests/fuzz tests/site/test_browser.py::test_the_copied_line_gives_a_shell_the_exact_values
	$(BIN)/pytest -m soak -n 2 --dist worksteal
	$(BIN)/pytest -v tests/platform/soak_runbooks.py

recordings: $(VENV)/installed  ## run every runbook for real, once well and once not, and record it for opsbook test
	$(BIN)/python -m tests.platform.make_recordings

bench: $(VENV)/installed  ## measure against papermill, nbclient and Ansible; writes docs/benchmarks.md
	$(BIN)/python -m tests.bench
