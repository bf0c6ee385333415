# Everything a developer types. Each target makes what it needs.

VENV := .venv
BIN := $(VENV)/bin
PYTHON ?= python3
READY := $(VENV)/.ready
PINS := .ci/constraints.txt
OLDEST := .venv-min

.DEFAULT_GOAL := help

# Tests start hundreds of processes, which would each compile our code anew where this is set.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run demo test test-min faults chaos check check-types check-rest lint proto tools load bench clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-8s %s\n", $$1, $$2}'

$(READY): pyproject.toml $(PINS)
	@$(PYTHON) -c 'import sys; sys.exit("Optin needs Python 3.11 or newer; set PYTHON=... to choose one." if sys.version_info < (3, 11) else 0)'
	@echo 'Installing into $(VENV); this takes a minute or two, once.'
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(PINS) --editable '.[dev]'
	@touch $@

run: $(READY) ## serve on 127.0.0.1:50051, and HTTP on 8080, on the embedded database data/optin.db
	@echo 'Next, in a second terminal:  $(BIN)/grpcurl -plaintext 127.0.0.1:50051 list'
	@echo 'Calls from this machine need no key; one that counts for a day, to try it:'
	@printf '  authorization: Bearer %s\n' "$$($(BIN)/optin key create --label 'make run' --expires-in 1d --quiet)"
	@echo 'The whole walk is in README.md. Ctrl-C stops the server.'
	@$(BIN)/optin serve --http-port 8080

demo: $(READY) ## the guide's four steps against a server of its own, as a table
	@$(BIN)/optin demo

# Measuring doubles a test's time: what runs again on PostgreSQL goes without, and what is mostly processes of its own.
UNMEASURED := postgresql or test_faults or test_audit_beside_servers or test_life or test_workers or test_readme or test_bench or test_browser or test_public_client or test_schemathesis
# Those wait for processes and disks: two at a time for each core. The others now and then: one more than cores.
AT_A_TIME := $(shell expr 2 \* $$(nproc 2>/dev/null || echo 1))
MEASURED_AT_A_TIME := $(shell expr 1 + $$(nproc 2>/dev/null || echo 1))

# Where memory is large enough, tests keep their files there: processes are killed in them, machines are not.
IN_MEMORY := $(shell [ -w /dev/shm ] && [ "$$(df -k --output=avail /dev/shm | tail -1)" -gt 6000000 ] && echo TMPDIR=/dev/shm)

test: $(READY) ## all tests, with coverage
	$(BIN)/python -m coverage erase
	$(IN_MEMORY) $(BIN)/python -m pytest -n $(MEASURED_AT_A_TIME) --dist loadgroup --cov --cov-report= -k 'not ($(UNMEASURED))'
	$(IN_MEMORY) $(BIN)/python -m pytest -n $(AT_A_TIME) --dist loadgroup -k '$(UNMEASURED)'
	@echo 'server/: lines and branches, at least 95 %'
	$(BIN)/python -m coverage report --fail-under=95
	@echo 'server/domain/: every line and branch'
	$(BIN)/python -m coverage report --include='server/domain/*' --fail-under=100

test-min: $(OLDEST)/.ready ## the tests of domain, storage and API, on the oldest versions that pyproject.toml allows
	$(OLDEST)/bin/python -m pytest -n auto --dist loadgroup tests/domain tests/storage tests/api

$(OLDEST)/.ready: pyproject.toml .ci/minimum.txt
	@$(PYTHON) -m venv --clear $(OLDEST)
	@$(OLDEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint .ci/minimum.txt --editable '.[test]'
	@touch $@

faults: $(READY) ## what chaos does, in short; `make test` runs these too
	$(BIN)/python -m pytest -q tests/faults

chaos: $(READY) ## faults under load, for some 20 minutes; SEED=text, SCALE=0.1 and ONLY="scenarios" may be set
	$(BIN)/python -m tests.chaos $(if $(SEED),--seed $(SEED)) $(if $(SCALE),--scale $(SCALE)) $(ONLY)

check: check-types check-rest ## style, types, contract, freshness of generated code, architecture, known vulnerabilities; edits nothing

# By itself, so that `make --jobs 2` has it beside the rest, which takes as long.
check-types: $(READY)
	$(BIN)/mypy

check-rest: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/buf lint generated/optin/v1/optin.binpb --config proto/buf.yaml
	$(BIN)/python proto/generate.py --check
	$(BIN)/python -m pytest -q tests/test_architecture.py
	@$(BIN)/python .ci/audit.py

lint: $(READY) ## mend style where a tool can
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

proto: $(READY) ## write generated/ from proto/
	$(BIN)/python proto/generate.py

tools: ## install ghz and grpcurl under .tools/ (needs Go), and say how to get h2load
	@command -v go >/dev/null || { echo 'Go is missing: it builds ghz and grpcurl; on Debian, apt-get install golang brings it.'; exit 1; }
	GOBIN=$(CURDIR)/.tools go install github.com/bojand/ghz/cmd/ghz@v0.121.0
	GOBIN=$(CURDIR)/.tools go install github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3
	@command -v h2load >/dev/null || echo 'h2load is missing, which make bench needs: apt-get install nghttp2-client'

load: $(READY) ## every ghz configuration of tests/load on a server of its own, held to their bounds
	@$(BIN)/python -m tests.load.run

bench: $(VENV)/.bench ## figures and plot into results/bench; FIGURES=share,peak for some, QUICK=1 for a look
	@$(BIN)/python -m tests.bench $(if $(QUICK),--quick) $(if $(FIGURES),--figures $(FIGURES))

$(VENV)/.bench: $(READY)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint $(PINS) --editable '.[bench]'
	@touch $@

clean: ## remove what was made: environment, tools, caches, results; keeps data/
	rm -rf $(VENV) $(OLDEST) .tools results .coverage* .hypothesis .mypy_cache .pytest_cache .ruff_cache
