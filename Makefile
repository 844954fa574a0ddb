# What each target does: make help
SHELL := /bin/bash
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin

.PHONY: help install ao-packages airflow-packages monitoring-packages demo clean-demo test fast coverage lint lock upgrade reference wheel release new-adr bench soak recordings
.DEFAULT_GOAL := help

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /  make \1\t/' | expand -t 20

# What the demo needs, and no more.
$(VENV)/ready-for-demo: requirements.lock pyproject.toml tools/install.py
	@$(PYTHON) tools/install.py $(VENV) requirements.lock $$(test ! -e $(VENV)/ready || echo requirements-dev.lock)
	@touch $@

$(VENV)/ready: requirements.lock requirements-dev.lock pyproject.toml tools/install.py
	@$(PYTHON) tools/install.py $(VENV) requirements.lock requirements-dev.lock
	@touch $@ $(VENV)/ready-for-demo

# What the AO process needs of npm: optional, and outside of git. No package runs a script of its own.
$(VENV)/ao/ready: services/ao/package.json services/ao/package-lock.json
	@rm -rf $(@D) && mkdir -p $(@D) && cp -r services/ao/{package.json,package-lock.json,.npmrc,without-pm2} $(@D)
	@echo "Installing the Node packages of the AO process into $(@D), about half a minute …"
	@cd $(@D) && npm ci --silent && touch ready

ao-packages: $(VENV)/ao/ready  ## set up what the AO process needs: Node 20 or newer, and npm

$(VENV)/airflow/ready: tests/support/airflow.txt tools/airflow_packages.py | $(VENV)/ready
	@$(BIN)/python tools/airflow_packages.py $(@D)

airflow-packages: $(VENV)/airflow/ready  ## set up Airflow's papermill operator, for its test

monitoring-packages: $(VENV)/ready-for-demo  ## unpack Prometheus and what belongs to it, without being root: Debian and its relatives
	@$(BIN)/python tools/monitoring_packages.py $(VENV)

install: $(VENV)/ready  ## set everything up: opsbook, the docs site, JupyterLab, and what the tests need
	@if command -v npm >/dev/null; then $(MAKE) -s ao-packages || echo "They could not be installed: the AO process is left out."; \
		else echo "There is no npm: the AO process is left out."; fi

demo: $(VENV)/ready-for-demo  ## set everything up, then deploy three releases, the last of them broken
	@$(BIN)/python services/demo.py

clean-demo: $(VENV)/ready-for-demo  ## stop and remove everything the demo made
	@$(BIN)/python services/demo.py --clean

test: lint fast $(VENV)/ao/ready $(VENV)/airflow/ready  ## set everything up, then run all checks and all tests
	# The platform keeps every core busy; all other tests wait for something most of the time.
	$(BIN)/pytest -m "slow and not soak" -n 2 --dist loadfile --no-loadscope-reorder tests/platform tests/stories
	$(BIN)/pytest -m "slow and not soak" -n 6 --dist loadfile --no-loadscope-reorder --ignore tests/platform --ignore tests/stories

fast: $(VENV)/ready  ## the tests that take less than a minute
	$(BIN)/pytest -m "not slow" -n 2 --dist loadfile

coverage: $(VENV)/ready  ## what the tests reach; every process of a test pays for it, so make test does without
	$(BIN)/pytest -m "not soak" -n 2 --dist loadfile --ignore tests/platform --ignore tests/stories --cov --cov-report=term

lint: $(VENV)/ready  ## style, types, layers, playbooks, runbooks
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	PATH="$(CURDIR)/$(BIN):$$PATH" ansible-lint --offline -q --profile production playbooks
	$(BIN)/opsbook check

lock: $(VENV)/ready  ## renew the lock files after a change of pyproject.toml; versions that still fit stay
	$(BIN)/python tools/lock.py

upgrade: $(VENV)/ready  ## renew the lock files with the newest version of everything
	$(BIN)/python tools/lock.py --upgrade

reference: $(VENV)/ready  ## write docs/reference, docs/lint.md and dashboards/grafana anew
	@$(BIN)/python -m tools.reference

wheel: $(VENV)/ready-for-demo  ## build dist/opsbook-VERSION.whl, and constraints.txt with the versions that were tested
	@$(BIN)/python tools/wheel.py

release: $(VENV)/ready  ## VERSION=0.2.0: version, changelog, wheel and SBOM, tried in an empty environment
	@$(BIN)/python -m tools.release $(VERSION)

new-adr: $(VENV)/ready  ## TITLE="In a few words": begin a decision in docs/adr/
	@$(BIN)/python -m tools.new_adr $(TITLE)

soak: $(VENV)/ready  ## hunt: kill 150 runs, fuzz, tell long stories, stop each runbook after each effect; a real Kubernetes
	$(BIN)/python -m tests.soak
	FUZZ_EXAMPLES=$${FUZZ_EXAMPLES:-2000} $(BIN)/pytest -n 2 --dist loadfile tests/fuzz tests/site/test_browser.py::test_the_copied_line_gives_a_shell_the_exact_values
	$(BIN)/pytest -m soak -n 2 --dist worksteal
	$(BIN)/pytest -v tests/platform/soak_runbooks.py
	$(BIN)/python -m tests.soak.kubernetes

recordings: $(VENV)/ready  ## run every runbook for real, once well and once not, and record it for opsbook test
	$(BIN)/python -m tests.platform.make_recordings

bench: $(VENV)/ready  ## measure against papermill, nbclient and Ansible; writes docs/benchmarks.md
	$(BIN)/python -m tests.bench
