# Every command of the project. A machine with Python ≥ 3.11 and make needs nothing else.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
UV     := $(BIN)/uv
UV_VERSION := 0.13.9
# Trust what the machine trusts: many networks have a certificate authority of their own.
export UV_SYSTEM_CERTS := true
TESTS  := tests/unit tests/architecture tests/migration tests/integration tests/contract tests/browser tests/simulation
# Two processes: each has a PostgreSQL of its own, and the tests wait for sockets as much as they compute.
PYTEST := $(BIN)/pytest -n 2 --dist worksteal

# Sums in one order: the same prompts give the same weights, bit for bit.
ONE_THREAD := OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1

# uv installs in seconds; pip reads the same locks where uv cannot run.
install = { test -x $(UV) && $(UV) pip install -q -p $(BIN)/python $(1); } || $(BIN)/pip install -q --disable-pip-version-check $(1)

.PHONY: help run test check simulate prove bench train eval-routing format lock clean
.DEFAULT_GOAL := help

help: ## list the commands
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1|/' | while IFS='|' read -r n d; do printf '  make %-8s %s\n' "$$n" "$$d"; done

run: $(VENV)/.run ## serve everything on embedded defaults; no provider key needed
	@$(BIN)/signalbox up

test: $(VENV)/.dev ## the whole suite (what CI runs)
	@$(PYTEST) $(TESTS) --ignore=tests/contract/node

check: $(VENV)/.dev ## format, lint, types, architecture and unit tests, in under a minute
	@$(BIN)/ruff format --check . && $(BIN)/ruff check . && $(BIN)/mypy
	@$(PYTEST) tests/architecture tests/unit

prove: $(VENV)/.dev build/node ## everything there is, load, chaos and Node's SDKs included
	@$(PYTEST) $(TESTS) tests/load $(wildcard tests/chaos)

simulate: $(VENV)/.dev ## 10,000 plays of the meter with crashes, cuts and lost answers (SIMULATE="--from 7 --seeds 1")
	@$(BIN)/python -m tests.simulation.simulate $(SIMULATE)

bench: $(VENV)/.dev ## what a request costs, and others' beside it (BENCH="--json --against litellm,portkey,tensorzero")
	@$(BIN)/python -m tests.load.bench $(BENCH)

train: $(VENV)/.train ## learn the classifier's weights anew from the corpus (and ../shared/data, where it is)
	@$(ONE_THREAD) $(BIN)/python -m app.training.train

eval-routing: $(VENV)/.train ## how well tasks are told on sources that were left out, and what a router is worth
	@$(ONE_THREAD) $(BIN)/python -m app.training.evaluate
	@$(ONE_THREAD) $(BIN)/python -m app.training.evaluate_router
	@$(ONE_THREAD) $(BIN)/python -m app.training.evaluate_transfer

format: $(VENV)/.dev ## write the house's layout
	@$(BIN)/ruff format . && $(BIN)/ruff check --fix .

lock: $(VENV)/.uv ## compile the locks anew
	@$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -U \
		pyproject.toml -o requirements.lock
	@$(UV) pip compile -q --universal --generate-hashes --no-emit-index-url --no-annotate --no-header -U \
		--extra dev -c requirements.lock pyproject.toml -o requirements-dev.lock
	@echo 'numpy>=2.1' | $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
		--no-annotate --no-header -U - -o requirements-train.lock

# The official Node SDKs of the matrix; Debian has Node and npm as `nodejs` and `npm`.
build/node: tests/contract/node/package.json
	@command -v npm >/dev/null || { echo "The SDK matrix needs Node and npm. On Debian: apt-get install nodejs npm"; exit 1; }
	@mkdir -p $@ && cp $< $@ && npm install --prefix $@ --no-audit --no-fund --no-package-lock --loglevel=error
	@touch $@

clean: ## remove the environment and the caches; the data in .signalbox stays
	@rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis *.egg-info

$(VENV)/.uv:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Signalbox needs Python 3.11 or newer; $$($(PYTHON) --version 2>&1) was found. Name another with PYTHON=python3.12."; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { echo "This Python cannot make environments. On Debian: apt-get install python3-venv"; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install -q --disable-pip-version-check uv==$(UV_VERSION) || echo "uv cannot be had here; pip takes a little longer."
	@touch $@

# The hashes of the lock are checked; the project itself is installed as it lies here.
$(VENV)/.run: requirements.lock pyproject.toml | $(VENV)/.uv
	@test -f $(VENV)/.dev || $(call install,--require-hashes -r requirements.lock)
	@$(call install,--no-deps -e .)
	@touch $@

$(VENV)/.dev: requirements-dev.lock pyproject.toml | $(VENV)/.uv
	@$(call install,--require-hashes -r requirements-dev.lock)
	@$(call install,--no-deps -e .)
	@touch $@

$(VENV)/.train: requirements-train.lock | $(VENV)/.dev
	@$(call install,--require-hashes -r requirements-train.lock)
	@touch $@
