# Two commands for people: `make demo` and `make test`. Both set up .venv by themselves.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
# More than there are cores: many tests wait for a device, and the proofs measure when to kill.
WORKERS ?= $(shell expr 4 + $$(getconf _NPROCESSORS_ONLN))
PROOF_WORKERS ?= $(shell expr 2 + $$(getconf _NPROCESSORS_ONLN))
DECODERS ?= improv espressif espressif-session shelly nordic withings withings-assembler health advertisement envelope qr notification label plan
SECONDS_EACH ?= 600
# Python keeps what it compiled, whatever the environment says: the tests start hundreds of processes.
export PYTHONDONTWRITEBYTECODE :=

.PHONY: help setup demo test lint types imports tests proof bench fuzz picture lock clean

help:
	@echo "make demo     start the wizard in the lab (no terminal: run the scripted installation)"
	@echo "make test     lint, types, import contracts and the tests"
	@echo "make proof    the long proofs: many kills, many devices, a week without the cloud"
	@echo "make setup    make only the environment .venv"
	@echo "make bench    measure start-up, first frame, and one whole installation"
	@echo "make fuzz     fuzz every decoder of foreign bytes, ten minutes each (SECONDS_EACH=600)"
	@echo "make picture  render assets/wizard.svg again, the picture of the README"
	@echo "make lock     pin the dependencies anew in requirements.lock"

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
	$(BIN)/ruff check installer screens tests
	$(BIN)/ruff format --check installer screens tests

types: $(STAMP)
	$(BIN)/mypy

imports: $(STAMP)
	$(BIN)/lint-imports --no-cache

tests: $(STAMP)
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -q --ignore=tests/system --ignore=tests/proof

proof: $(STAMP)
	@ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || \
		echo "The proofs with two stations need PostgreSQL's server (Debian: apt-get install postgresql); they will fail."
	$(BIN)/python -m pytest -n $(PROOF_WORKERS) --dist worksteal -q tests/proof

bench: $(STAMP)
	$(BIN)/python -m tests.bench

fuzz: $(STAMP)
	@$(BIN)/python -m pip install -qq --disable-pip-version-check --require-hashes --no-deps -r tests/fuzz/requirements.lock
	@for decoder in $(DECODERS); do \
		echo "$$decoder for $(SECONDS_EACH) s"; \
		$(BIN)/python -m tests.fuzz $$decoder $(SECONDS_EACH) -print_final_stats=0 2>&1 | tail -3 || exit 1; \
	done

picture: $(STAMP)
	$(BIN)/python -m pytest -q tests/screens/test_pictures.py --snapshot-update

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
