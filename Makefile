# The two main commands are `make demo` and `make test`. Both create .venv if it is missing.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# More workers than cores: many tests wait for a device. The proofs get fewer, because they measure when to kill.
WORKERS ?= $(shell expr 4 + $$(getconf _NPROCESSORS_ONLN))
PROOF_WORKERS ?= $(shell expr 2 + $$(getconf _NPROCESSORS_ONLN))
# The decoders that `make fuzz` fuzzes; empty: all.
DECODERS ?=
SECONDS_EACH ?= 600
# Python writes its compiled files even if the environment forbids it: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

# What `make guest` runs, with options of pytest; empty: all. KEEP=1 leaves the guest running for the next tests.
TEST ?=
KEEP ?=
GUEST = $(BIN)/python -m tests.guest $(if $(KEEP),--keep)

.PHONY: help setup demo test lint types imports tests proof guest guest-long guest-shell guest-stop bench fuzz picture lock clean

help:
	@echo "make demo     open the wizard in the lab; without a terminal, install a lab device by script"
	@echo "make test     run the linter, the type checker, the import contracts and the tests"
	@echo "make proof    run the long tests: many kills, many devices, a week without the cloud"
	@echo "make guest    run the tests with a real Bluetooth stack in a virtual machine (TEST=tests/guest/inside/…, KEEP=1)"
	@echo "make guest-long   the same in Debian 12 as well, and a soak of an hour (SOAK_MINUTES=60, SOAK_SEED=1)"
	@echo "make guest-shell  a shell in the guest; guest-stop ends one that was kept"
	@echo "make setup    only create the environment .venv"
	@echo "make bench    measure start-up, installation, batch, ledger, data, gateway and more"
	@echo "make fuzz     fuzz each decoder of untrusted bytes for ten minutes (SECONDS_EACH=600, DECODERS=names)"
	@echo "make picture  draw the picture of the README again (assets/wizard.svg)"
	@echo "make lock     update the pinned dependencies: requirements.lock, tests/fuzz/requirements.lock"
	@echo "make clean    remove .venv"

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "device-installer needs Python 3.11 or newer; this is " + sys.version.split()[0] + ". Name another: make PYTHON=python3.12 ...")'
	@echo "Setting up $(VENV); the first time this takes about a minute."
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

setup: $(STAMP)

demo: $(STAMP)
	@$(BIN)/device-installer lab stop --quiet
	@if [ -t 0 ]; then \
		$(BIN)/device-installer wizard --lab; \
	else \
		echo 'correct horse battery staple' | $(BIN)/device-installer install --lab --non-interactive --json \
			--model body-plus --sync wifi --ssid Home --passphrase-file -; \
	fi

test: lint types imports tests

lint: $(STAMP)
	$(BIN)/ruff check installer screens tests examples
	$(BIN)/ruff format --check installer screens tests examples

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports --no-cache

tests: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q --ignore=tests/system --ignore=tests/security/system --ignore=tests/proof --ignore=tests/guest/inside

proof: $(STAMP)
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || \
		echo "No PostgreSQL server found, so the tests with two stations will fail (Debian: apt-get install postgresql)."
	$(BIN)/python -m pytest -n $(PROOF_WORKERS) --dist worksteal -q tests/proof

guest: $(STAMP)
	$(GUEST) $(TEST)

guest-long: $(STAMP)
	$(GUEST) --long --minutes 60 $(TEST)
	$(GUEST) --minutes $$(expr $${SOAK_MINUTES:-60} + 45) tests/guest/inside/soak.py
	$(GUEST) --long --minutes 60 --debian debian12 $(TEST)

guest-shell: $(STAMP)
	$(GUEST) --shell

guest-stop: $(STAMP)
	$(GUEST) --stop

bench: $(STAMP)
	$(BIN)/python -m tests.bench

fuzz: $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r tests/fuzz/requirements.lock
	@for decoder in $(or $(DECODERS),$$($(BIN)/python -m tests.fuzz --list)); do \
		echo "$$decoder for $(SECONDS_EACH) s"; \
		$(BIN)/python -m tests.fuzz $$decoder $(SECONDS_EACH) -print_final_stats=0 2>&1 | tail -3 || exit 1; \
	done

picture: $(STAMP)
	$(BIN)/python -m pytest -q tests/screens/test_readme_picture.py --snapshot-update

lock: $(STAMP)
	$(BIN)/python -m pip install -qq --disable-pip-version-check uv
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--group dev pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
		--no-emit-index-url --no-emit-find-links --no-header --no-annotate \
		--group pyproject.toml:fuzz -o tests/fuzz/requirements.lock

clean:
	rm -rf $(VENV)
