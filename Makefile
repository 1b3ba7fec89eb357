# make demo   sets up, runs the main job on this machine and leaves the Dagster UI open (ONCE=1: headless, then exits)
# make test   sets up and passes all tests
# make check  lint, types, import contract, unit tests: under a minute
# make chaos  runs broken in every way, more than make test does; SEED=... repeats what was chosen
# make setup  .venv only
# make help   all recipes

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup servers demo test chaos check docs clean

help: ## this list
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*##/ -/'

setup: $(STAMP) .env ## the virtual environment, and .env for dagster

$(STAMP): pyproject.toml constraints.txt
	@echo "== Python environment in $(VENV) (first time: a minute or two)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[local,dev]'
	@touch $@

.env: ## where dagster finds its settings (written once)
	@umask 077; printf 'DAGSTER_HOME=%s\nSYNC_ASSETS_HOME=%s/.sync_assets\n' '$(CURDIR)' '$(CURDIR)' > $@

servers: ## MariaDB, where apt can install it
	@sh deploy/install-servers.sh

demo: setup servers ## run the main job; ONCE=1 headless
	@$(BIN)/sync-assets demo $(if $(ONCE),--once)

check: setup ## lint, types, import contract, unit tests
	@echo "== lint";  $(BIN)/ruff check -q . && $(BIN)/ruff format -q --check .
	@echo "== types"; $(BIN)/mypy --no-error-summary
	@echo "== floors"; $(BIN)/lint-imports --no-cache > .lint-imports.log 2>&1 || { cat .lint-imports.log; exit 1; }
	@echo "== unit tests"; $(BIN)/python -m pytest -q -n auto sync_assets_tests/unit

test: setup ## everything, on real servers
	@REQUIRED=1 sh deploy/install-servers.sh
	@echo "== all tests, on private servers that they start themselves"
	@$(BIN)/python -m pytest -q -n auto --dist loadscope $(ARGS)

chaos: setup ## break runs in every way, five times as much; SEED=... repeats what was chosen
	@REQUIRED=1 sh deploy/install-servers.sh
	@seed=$${SEED:-$$(od -An -N3 -tu4 /dev/urandom | tr -d ' ')}; echo "== chaos; to repeat: make chaos SEED=$$seed"; \
	SEED=$$seed CHAOS=$${CHAOS:-5} $(BIN)/python -m pytest -q -n auto --dist loadscope --timeout 1800 sync_assets_tests/chaos \
	  --hypothesis-seed=$$seed $(ARGS)

docs: setup ## write the generated pages of docs/reference anew
	@$(BIN)/python docs/reference/generate.py --write

clean: ## remove the environment and what the demo left
	@test ! -x $(BIN)/sync-assets || $(BIN)/sync-assets down || true
	rm -rf $(VENV) .sync_assets .env .dg .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .lint-imports.log
