# make demo   sets up and goes the whole way on made radiographs
# make test   sets up and runs every test
# make check  the gate: format, lint, types, layers, docs, quick tests
# make mutants  changes 300 lines of modules that must not fail silently, and counts how often the tests notice

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes: each takes up to 2 GB.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile
.DEFAULT_GOAL := help
# The quickest installation compiles no Python: each module then is at its first import, which must be kept.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help demo test check mutants fix clean
help:
	@sed -n 's/^# make/make/p' Makefile

$(VENV)/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 15))' || \
	  { echo "Expected Python 3.11 to 3.14; received $$($(PYTHON) --version 2>&1). Write: make PYTHON=python3.12 demo"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/installed: $(VENV)/python pyproject.toml
	@echo "Installing plainfilm with what trains (Keras on JAX) into $(VENV): 0.25 GB to fetch, 0.9 GB of disk, half a minute or so."
	@$(BIN)/python scripts/pip_install.py --no-compile --editable '.[train]'
	@touch $@

$(VENV)/developed: $(VENV)/python pyproject.toml
	@echo "Installing all that tests and the gate need, TensorFlow among it, into $(VENV): 0.7 GB to fetch, 3 GB of disk, a minute or two."
	@$(BIN)/python scripts/pip_install.py --editable '.[dev]'
	@touch $(VENV)/installed $@

demo: $(VENV)/installed
	$(BIN)/plainfilm demo --overwrite

test: $(VENV)/developed
	$(PYTEST)
	KERAS_BACKEND=tensorflow $(PYTEST) -m trains

check: $(VENV)/developed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m 'not slow'

mutants: $(VENV)/developed
	$(BIN)/python scripts/mutants.py --seed 13 --count 300

fix: $(VENV)/developed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/write_docs.py

clean:
	rm -rf $(VENV) demo build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
