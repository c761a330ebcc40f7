# What a user calls; CI calls the same. Every target makes .venv itself from the lock.
PYTHON ?= python3
# Where the UI listens, and what else the demo is given: make demo PORT=3001 ARGS=--alerts
PORT ?= 3000
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help demo dev test test-slow check bench lock clean

help:
	@echo "make demo       a simulated executor, all stages, the Dagster UI on http://127.0.0.1:3000"
	@echo "make test       the tests a user waits for"
	@echo "make test-slow  the real daemon and fault soaks"
	@echo "make check      format, lint, types, layers, spelling"
	@echo "make bench      speed against peers, as ratios"
	@echo "make dev        the Dagster UI on your own PIPELINE_V6_HOME"
	@echo "make lock       pin the newest versions that setup.cfg allows"

$(INSTALLED): requirements.lock setup.cfg pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or later is needed; name it: make PYTHON=/path/to/python3.12 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

demo: $(INSTALLED)
	$(BIN)/pipeline-v6 demo --port $(PORT) $(ARGS)

dev: $(INSTALLED)
	@echo "The UI listens on localhost only. It has no password, and any page in a browser on this machine may use it:"
	@echo "stop it with Ctrl-C when you are done. For a server that stays up, see docs/operations.md."
	@mkdir -p "$${DAGSTER_HOME:-.dagster_home}"
	DAGSTER_HOME="$$(cd "$${DAGSTER_HOME:-.dagster_home}" && pwd)" \
		PIPELINE_V6_UI_URL="$${PIPELINE_V6_UI_URL:-http://127.0.0.1:$(PORT)}" $(BIN)/dagster dev -w workspace.yaml -h 127.0.0.1 -p $(PORT)

test: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist loadfile -m "not slow"

test-slow: $(INSTALLED)
	$(BIN)/python -m pytest -n auto --dist loadgroup -m slow --durations=25

check: $(INSTALLED)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache
	$(BIN)/codespell
	$(BIN)/dagster definitions validate -w workspace.yaml
	$(BIN)/dg check defs

bench: $(INSTALLED)
	$(BIN)/python benchmarks/shadow.py
	$(BIN)/python benchmarks/storage.py
	$(BIN)/python benchmarks/memory.py
	$(BIN)/python benchmarks/compare.py
	$(BIN)/python benchmarks/replay.py
	$(BIN)/python benchmarks/history.py
	$(BIN)/python -m benchmarks.alerting
	$(BIN)/python -m benchmarks.fleet
	$(BIN)/python -m benchmarks.run_storage

# uv only resolves here; installing needs nothing but pip.
lock: $(INSTALLED)
	$(BIN)/python -m venv $(VENV)/lock
	$(VENV)/lock/bin/python -m pip install --quiet --disable-pip-version-check uv
	$(VENV)/lock/bin/uv pip compile --quiet --universal --no-strip-extras --generate-hashes --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links --custom-compile-command "make lock" --upgrade \
		--extra dev setup.cfg --output-file requirements.lock

clean:
	rm -rf $(VENV) .demo build dist *.egg-info .mypy_cache .ruff_cache .hypothesis
