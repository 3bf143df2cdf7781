# make demo   sets up and goes the whole way on made radiographs
# make test   sets up and runs every test
# make check  the gate: format, lint, types, layers, docs, quick tests
# make docs   builds the site of docs/ into site/; a link that leads nowhere is an error
# make nightly  the tests that are left out elsewhere, and the siege: damage, load, strangers and kills; two hours or more
# make lock   writes the versions and hashes that CI and the container install
# make release  builds, checks, audits, lists and (SIGNING_KEY=key.pem) signs what a release is made of; nothing is published
# make mutants  changes 300 lines of modules that must not fail silently, and counts how often the tests notice

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Two processes: each takes up to 2 GB.
PYTEST := $(BIN)/python -m pytest -n 2 --dist loadfile --max-worker-restart 0
.DEFAULT_GOAL := help
# The quickest installation compiles no Python: each module then is at its first import, which must be kept.
export PYTHONDONTWRITEBYTECODE :=

# On a machine that tests for others, the versions and hashes of the lock; elsewhere the newest that fit.
RELEASE := $(VENV)/release
LOCK := $(RELEASE)/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-annotate --upgrade --quiet \
  --custom-compile-command 'make lock'

VERSION = $(shell sed -n 's/^__version__ = "\(.*\)"/\1/p' src/plainfilm/__init__.py)

.PHONY: help demo test check docs nightly lock release mutants fix clean
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

$(VENV)/developed: $(VENV)/python pyproject.toml requirements-dev.lock
	@echo "Installing all that tests and the gate need, TensorFlow among it, into $(VENV): 0.7 GB to fetch, 3 GB of disk, a minute or two."
ifdef CI
	@$(BIN)/python scripts/pip_install.py --no-compile --require-hashes -r requirements-dev.lock
	@$(BIN)/python scripts/pip_install.py --no-deps --no-build-isolation --editable .
else
	@$(BIN)/python scripts/pip_install.py --no-compile --editable '.[dev]'
endif
	@touch $(VENV)/installed $@

$(RELEASE)/installed: $(VENV)/python
	$(PYTHON) -m venv $(RELEASE)
	$(RELEASE)/bin/python scripts/pip_install.py build cyclonedx-bom pip-audit twine uv
	@touch $@

demo: $(VENV)/installed
	$(BIN)/plainfilm demo --overwrite

# LEFT=1 leaves out the quick tests that `make check` has just run.
test: $(VENV)/developed
	$(PYTEST) -m '$(if $(LEFT),slow and )not nightly'
	KERAS_BACKEND=tensorflow $(PYTEST) -m 'trains and not nightly'

check: $(VENV)/developed
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(PYTEST) -m 'not slow and not nightly'

docs: $(VENV)/developed
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

nightly: $(VENV)/developed
	$(PYTEST) -m nightly
	$(BIN)/python benchmarks/siege.py

lock: $(RELEASE)/installed
	$(LOCK) --extra serve --extra dicom --extra sign --output-file requirements.lock
	$(LOCK) --extra dev --output-file requirements-dev.lock

# UNAUDITED=1 leaves out the question for known holes, where no index answers it.
release: $(RELEASE)/installed
ifdef SIGNING_KEY
	openssl pkey -in "$(SIGNING_KEY)" -noout
endif
	rm -rf dist
	$(RELEASE)/bin/python -m build
	$(RELEASE)/bin/twine check --strict dist/*
	$(RELEASE)/bin/python scripts/check_distributions.py dist
ifdef UNAUDITED
	@echo "Not asked for known holes: publish nothing that was made so."
else
	$(RELEASE)/bin/pip-audit --strict --disable-pip --require-hashes -r requirements.lock -r requirements-dev.lock
endif
	sed 's/^dynamic = .*/version = "$(VERSION)"/' pyproject.toml > dist/pyproject.toml
	$(RELEASE)/bin/cyclonedx-py requirements requirements.lock --pyproject dist/pyproject.toml --output-reproducible --output-file dist/plainfilm.cdx.json
	rm dist/pyproject.toml
	cd dist && sha256sum *.whl *.tar.gz *.json > SHA256SUMS
ifdef SIGNING_KEY
	openssl pkeyutl -sign -rawin -inkey "$(SIGNING_KEY)" -in dist/SHA256SUMS -out dist/SHA256SUMS.sig
else
	@echo "Not signed: make release SIGNING_KEY=key.pem signs dist/SHA256SUMS (Ed25519, openssl genpkey -algorithm ed25519)."
endif

mutants: $(VENV)/developed
	$(BIN)/python scripts/mutants.py --seed 13 --count 300

fix: $(VENV)/developed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/python scripts/write_docs.py

clean:
	rm -rf $(VENV) demo build site dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
