# Everything works on a machine with python3 (3.11 or newer), node, git and make.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3

.PHONY: help setup run test check coverage bench clean

help:
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/'

setup: $(VENV)/.ready ## install fogbank and its tools into .venv
	@$(BIN)/python -m compileall -q src  # As an installed package is: else each start compiles what it loads.

$(VENV)/.ready: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

run: setup ## run the example app on the embedded store; Ctrl-C ends it
	$(BIN)/fogbank up examples/items

test: setup ## run all tests
	$(BIN)/python -m pytest
	FOGBANK_TEST_STORE=postgresql $(BIN)/python -m pytest tests/aws  # The same promises on the other database.

check: setup ## style, types and import rules
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

coverage: setup ## write the page of what is served
	$(BIN)/fogbank coverage --markdown > docs/coverage.md

bench: setup ## measure against the limits of this machine
	$(BIN)/python -m bench

clean: ## forget the environment and all caches
	rm -rf $(VENV) .mypy_cache .ruff_cache .hypothesis .import_linter_cache
