# `make help` lists the targets. Everything runs from .venv, which is made from the hashed locks in requirements/.

.DEFAULT_GOAL := help
.PHONY: help run test test-system check bench bench-accounts bench-bearer reset lock
.DELETE_ON_ERROR:

BIN := .venv/bin
# What needs more than Python packages.
SYSTEM_TESTS := tests/system tests/browser tests/interop
# One more than there are cores: the database and other processes do part of the work, while a worker waits.
WORKERS := $(shell python3 -c 'import os; print((os.cpu_count() or 1) + 1)')
# The settings want a database; types and deployment checks connect to none.
NOWHERE := postgresql://portico@127.0.0.1:1/portico
export PIP_DISABLE_PIP_VERSION_CHECK := 1

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "%-15s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.stamp-run ## Portico and a demo identity provider; Ctrl-C stops both
	@exec $(BIN)/python -m demo

test: .venv/.stamp-dev ## the tests that need only Python packages
	@$(BIN)/pytest -n auto -q cli/tests # with cli/pyproject.toml: the client knows neither Django nor our database
	@$(BIN)/pytest -n $(WORKERS) -q tests $(SYSTEM_TESTS:%=--ignore=%)

test-system: .venv/.stamp-system .venv/.stamp-npm ## the tests that need Chromium, nginx and other programs (.ci/run installs them)
	@$(BIN)/pytest -q $(wildcard $(SYSTEM_TESTS))

fuzz: .venv/.stamp-dev ## messages, metadata and URLs by chance, for FUZZ_SECONDS (60)
	@$(BIN)/python -m tests.fuzz

check: .venv/.stamp-system ## lint, types, import contracts, templates, migrations, deployment checks
	$(BIN)/ruff check --quiet .
	$(BIN)/ruff format --check --quiet .
	DATABASE_URL=$(NOWHERE) $(BIN)/mypy
	$(BIN)/lint-imports --no-logo
	$(BIN)/djlint --quiet --check templates demo/templates
	$(BIN)/djlint --quiet --lint templates
	$(BIN)/djlint --quiet --lint --ignore=D004,D018 demo/templates # the demo's portal has no URL names and no {% static %}
	$(BIN)/python manage.py makemigrations --check --dry-run
	@echo "manage.py check --deploy"
	@PORTICO_ENV=production PORTICO_BASE_URL=https://portico.example PORTICO_CONTACT=help@portico.example \
	  PORTICO_SECRET_KEY=$$($(BIN)/python -c 'import secrets; print(secrets.token_urlsafe(64))') DATABASE_URL=$(NOWHERE) \
	  $(BIN)/python manage.py check --deploy --fail-level WARNING

bench: .venv/.stamp-dev ## what a sign-in costs in CPU time, beside simpler ways to do it
	@$(BIN)/python -m benchmarks.acs

bench-accounts: .venv/.stamp-dev ## whether a sign-in costs the same with a million people and ten thousand identity providers
	@$(BIN)/python -m benchmarks.accounts

bench-bearer: .venv/.stamp-dev ## what a call by token costs, with a thousand tokens or a million, beside two libraries
	@$(BIN)/python -m benchmarks.bearer

reset: ## stop a running embedded PostgreSQL and forget all data
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m config.launcher reset; else echo "There is no .venv, so nothing runs from it."; fi

lock: .venv/.stamp-dev ## write the locks again from requirements/*.in
	@for name in prod run dev system; do \
	  echo "requirements/$$name.txt"; \
	  $(BIN)/uv pip compile --quiet --python-version 3.11 --universal --generate-hashes --no-emit-index-url \
	    --no-emit-find-links --custom-compile-command "make lock" requirements/$$name.in -o requirements/$$name.txt || exit 1; \
	done

# One line per package: the first time this takes a while. A pipe hides pip's status, so it is kept in a file. The lock is
# whole, so nothing is resolved: older releases of pip take a newer release into account, and then miss its hash.
.venv/.stamp-%: requirements/%.txt | .venv/bin/python
	@echo "Installing requirements/$*.txt into .venv …"
	@{ $(BIN)/python -m pip install --no-deps --require-hashes -r $<; echo $$? >.venv/.status; } \
	  | awk '/^(Collecting|Installing)/ { print "  " ($$1 == "Collecting" ? $$2 : "installing …"); fflush() }'; \
	  exit $$(cat .venv/.status)
	@touch $@

# Its folder is the only one that npm writes to.
.venv/.stamp-npm: tests/interop/saml_idp/package-lock.json | .venv/bin/python
	@command -v npm >/dev/null || { echo "npm is needed for the system tests; .ci/run installs it." >&2; exit 1; }
	@echo "Installing tests/interop/saml_idp …"
	@cd $(<D) && npm ci --ignore-scripts --loglevel=error
	@touch $@

.venv/bin/python:
	@for name in python3.13 python3.12 python3.11 python3; do \
	  if command -v $$name >/dev/null 2>&1 && $$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	    echo "Making .venv with $$name …"; \
	    $$name -m venv .venv && exit 0; \
	    rm -rf .venv; exit 1; \
	  fi; \
	done; \
	echo "Portico needs Python 3.11 or newer, and none of python3.13, python3.12, python3.11, python3 is one." >&2; \
	exit 1
