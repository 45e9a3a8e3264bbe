# Everything a checkout can do. Needs Python 3.11 to 3.13 and make; all else is installed into .venv.

UV_VERSION = 0.13.9
BIN = .venv/bin
UV_INSTALL = $(BIN)/python -m uv pip install --quiet --python $(BIN)/python
# What .venv was made from, as text: file times mean nothing after a git checkout.
INSTALLED = .venv/installed-from

.DEFAULT_GOAL = help
.PHONY: help install run up down test test-all bench bench-quality bench-training bench-gates bench-level bench-alerts bench-drift bench-monitor lint format requirements.txt clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z.-]+:.*## / { printf "make %-17s %s\n", $$1, $$2 }' Makefile

install:  ## .venv with everything, when requirements.txt or pyproject.toml changed (PYTHON=... to choose)
	@if cat requirements.txt pyproject.toml | cmp -s - $(INSTALLED); then exit 0; fi; \
	set -e; \
	if ! $(BIN)/python -m uv --version >/dev/null 2>&1; then \
		for candidate in $(or $(PYTHON),python3 python3.13 python3.12 python3.11); do \
			if $$candidate -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' >/dev/null 2>&1; then \
				python=$$candidate; break; \
			fi; \
		done; \
		if [ -z "$$python" ]; then \
			echo "error: studyml needs Python 3.11, 3.12 or 3.13: install one, or name one with make PYTHON=/path/to/python3." >&2; \
			exit 1; \
		fi; \
		echo "Creating .venv with $$($$python --version)"; \
		$$python -m venv --clear .venv || { \
			echo "error: $$python cannot create .venv: install its venv module (python3-venv on Debian)." >&2; exit 1; }; \
		$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION); \
	fi; \
	echo "Installing the pinned packages into .venv"; \
	if [ -e .venv/unfinished ]; then again=--reinstall; fi; \
	rm -f $(INSTALLED); \
	touch .venv/unfinished; \
	$(UV_INSTALL) $$again --compile-bytecode -r requirements.txt || { \
		echo "Trying again with the certificates of this machine"; export UV_SYSTEM_CERTS=true; \
		$(UV_INSTALL) $$again --compile-bytecode -r requirements.txt; }; \
	$(UV_INSTALL) --no-deps --no-build-isolation --editable .; \
	rm .venv/unfinished; \
	cat requirements.txt pyproject.toml > $(INSTALLED)

# exec: the command is then make's own child, and notices when make is killed.
run up: export STUDYML_STOP_WITH_PARENT = 1

run: install  ## two nights through real Airflow and a summary (DATA=dir, AS_OF=time, SEED=number)
	@exec $(BIN)/studyml dev run $(if $(DATA),--data "$(DATA)") $(if $(AS_OF),--as-of "$(AS_OF)") $(if $(SEED),--seed "$(SEED)")

up: install  ## the same, and Airflow stays up with its UI (SCHEDULE=1: DAGs start by themselves)
	@exec $(BIN)/studyml dev up $(if $(DATA),--data "$(DATA)") $(if $(AS_OF),--as-of "$(AS_OF)") $(if $(SEED),--seed "$(SEED)") \
		$(if $(SCHEDULE),--schedule)

down: install  ## stop what make up left running
	@exec $(BIN)/studyml dev down

test: install  ## the tests, in at most 20 minutes
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile -m "not deployment"

test-all: install  ## every test, in at most 60 minutes
	@exec $(BIN)/python -m pytest -n 2 --dist loadfile

bench: install  ## how fast, against a floor measured in the same run (QUICK=1: fewer rows and rounds)
	$(BIN)/python benchmarks/scoring.py $(if $(QUICK),--rounds 2)
	$(BIN)/python benchmarks/load.py $(if $(QUICK),--sessions 100000 --rounds 1)

bench-quality: install  ## how good, beside peers, by process and real log (QUICK=1: 600 sessions, two seeds)
	$(BIN)/python -m benchmarks.quality $(if $(QUICK),--quick)

bench-training: install  ## how long a retraining takes, beside the guide's loop, and to a million sessions (QUICK=1)
	$(BIN)/python -m benchmarks.training $(if $(QUICK),--quick)

bench-gates: install  ## wrong decisions of the gates and of trials (QUICK=1: fewer; TRIALS=1: trials only)
	$(if $(TRIALS),,$(BIN)/python -m benchmarks.gates $(if $(QUICK),--quick))
	$(if $(TRIALS),,$(BIN)/python -m benchmarks.gates --equals $(if $(QUICK),--quick))
	$(BIN)/python -m benchmarks.gates --trials $(if $(QUICK),--quick)

bench-level: install  ## how often a lasting change is seen where there is none, how soon, and what following it brings (QUICK=1)
	$(BIN)/python -m benchmarks.level $(if $(QUICK),--quick)

bench-alerts: install  ## how often alerts ring for nothing, and how soon for a change, beside peers (QUICK=1: fewer years)
	$(BIN)/python -m benchmarks.alerts $(if $(QUICK),--quick)

bench-drift: install  ## how often drift is reported where nothing drifts, and where something does (QUICK=1: 50 nights)
	$(BIN)/python -m benchmarks.drift $(if $(QUICK),--nights 50)

bench-monitor: install  ## a night of observing and judging over 100,000 to 10 million outcomes, within 2 x (QUICK=1: to 300,000)
	$(BIN)/python -m benchmarks.monitoring $(if $(QUICK),--quick)

lint: install  ## style, import rules and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy --strict studyml

format: install  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

requirements.txt: install  ## resolve all dependencies anew, for Python 3.11 to 3.13
	UV_CUSTOM_COMPILE_COMMAND="make requirements.txt" $(BIN)/python -m uv pip compile --quiet --universal --upgrade \
		--python-version 3.11 --all-extras --no-emit-index-url --output-file requirements.txt pyproject.toml

clean:  ## stop everything and delete what make made: .venv, databases, artifacts, logs
	@if [ -x $(BIN)/studyml ]; then $(BIN)/studyml dev down --remove-data; fi
	rm -rf .venv .studyml .mypy_cache .pytest_cache .ruff_cache .hypothesis studyml.egg-info
