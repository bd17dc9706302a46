# Everything a contributor or CI calls. Needs Python 3.11 or newer and make, nothing else.
.DEFAULT_GOAL := help
SHELL := /bin/sh
.PHONY: help install demo test lint audit check bench dashboards chart up lock

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$p -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed

help: ## Show what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(STAMP) ## Make .venv from the lock file

$(STAMP): requirements/dev.txt pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or newer with venv is needed: make PYTHON=/path/to/python3" >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --require-hashes --requirement requirements/dev.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --no-deps --no-build-isolation --editable .
	@touch $(STAMP)

demo: install ## Show the whole product on a simulated rollout; Ctrl-C stops everything (make demo ARGS=--exit)
	$(BIN)/uptake demo $(ARGS)

test: install ## Run the test suite on all cores (make test ARGS="-k windows")
	$(BIN)/python -m pytest --numprocesses auto $(ARGS)

lint: install ## Look at style, types and import contracts
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --num-workers auto
	$(BIN)/lint-imports

audit: install ## Write the bill of materials of the image, and look its parts up where that is possible
	$(BIN)/python deploy/bill.py .cache/bill.json
	$(BIN)/python deploy/audit.py

check: lint audit test ## Do all that CI does

bench: install ## Measure speed and memory; prints a table of ratios
	$(BIN)/python -m benchmarks $(ARGS)

dashboards: install ## Write the dashboards of Grafana anew from their code
	$(BIN)/python -m deploy.grafana

chart: install ## Look at the Helm chart and render its examples anew for the tests
	$(BIN)/python -m deploy.helm.chart

up: ## Start the production-like stack with Docker
	docker compose up --build

lock: install ## Write the lock files anew from pyproject.toml (needs uv)
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 pyproject.toml --extra tracing --output-file requirements/runtime.txt
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 pyproject.toml --extra embedded --extra tracing --group dev --output-file requirements/dev.txt
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements/build.in --output-file requirements/build.txt
	uv pip compile --quiet --generate-hashes --universal --python-version 3.11 requirements/audit.in --output-file requirements/audit.txt
