# `make serve` and `make test` do all the set-up they need in .venv/.
PORT ?= $(or $(SENTRYFUSE_PORT),8080)
PYTHON ?= python3
BIN := .venv/bin
PIP := $(BIN)/pip install --quiet --disable-pip-version-check
# Real data for the tests and training that need it; see README, "Data".
ifneq ($(wildcard ../shared/data),)
export SENTRYFUSE_DATA ?= $(abspath ../shared/data)
endif

.PHONY: help serve test check docs audit format train-dsads clean

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

serve: .venv/serving ## Serve the bundles in models/ on PORT (8080); no torch, no Redis needed
	$(BIN)/sentryfuse serve --port $(PORT)

test: .venv/testing .venv-kserve/ready tests/k8s/crds/node_modules ## Install what the tests need, then check and test everything
	scripts/check
	# In the order of folders: tests/unit, with its many short ones, fills up the end.
	$(BIN)/python -m pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder --durations 25

check: .venv/testing ## Format, lint, types, import contracts: what CI checks
	scripts/check

docs: .venv/testing ## Build the documentation in site/; a broken link or a page without a place is an error
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build

# Asks a public database of known vulnerabilities, so it is no part of the tests: they need no network.
audit: .venv-audit/bin/pip-audit ## Look every pinned dependency up among known vulnerabilities
	.venv-audit/bin/pip-audit --strict --no-deps --disable-pip --requirement constraints.txt

.venv-audit/bin/pip-audit:
	$(PYTHON) -m venv .venv-audit
	.venv-audit/bin/pip install --quiet --disable-pip-version-check 'pip-audit>=2.10,<3'

format: .venv/testing ## Rewrite the code in the house format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

train-dsads: .venv/testing ## Train the bundle that ships in models/ again (about 15 minutes on one core)
	$(BIN)/sentryfuse train --data $(SENTRYFUSE_DATA)/dsads.npz \
	    --config configs/dsads-maestro.toml --out models/dsads-maestro/1 --resume

clean: ## Remove the environment and caches
	rm -rf .venv .venv-audit .venv-kserve .venv-peers tests/k8s/crds/node_modules build site *.egg-info .mypy_cache .ruff_cache .pytest_cache

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/serving: .venv/bin/python pyproject.toml constraints.txt
	$(PIP) --constraint constraints.txt --editable .
	touch $@

# torch by itself first: a plain dependency on it would bring gigabytes of CUDA packages.
# Most of what is installed here is never imported: what is, is compiled when it is.
.venv/testing: .venv/serving
	scripts/install-system-packages & system=$$!; \
	$(PIP) --no-compile torch==2.13.0 && \
	$(PIP) --no-compile --constraint constraints.txt --editable '.[train,test]' && wait $$system
	touch $@

# The KServe client wants an older protobuf than onnx does. Most of what it installs is never
# imported, so nothing is compiled beforehand.
.venv-kserve/ready: .venv/testing tests/kserve-requirements.txt
	$(PYTHON) -m venv --without-pip .venv-kserve
	$(BIN)/pip --python .venv-kserve/bin/python install --quiet --disable-pip-version-check \
	    --no-deps --no-compile --requirement tests/kserve-requirements.txt
	touch $@

# Schemas of custom resources, for tests/k8s. Where they can't be had, those tests skip.
tests/k8s/crds/node_modules: tests/k8s/crds/package-lock.json
	npm ci --prefix tests/k8s/crds --silent --no-audit --no-fund && touch $@ || \
	    { rm -rf $@; echo "no npm, or no packages: custom resources are not checked" >&2; }
