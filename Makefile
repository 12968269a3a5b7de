# Every target first makes sure that .venv holds what constraints.txt names.
PYTHON ?= python3
BIN := .venv/bin
# More than the two cores we count on: much of the suite waits for real clusters and servers.
WORKERS ?= 4
STAMP := .venv/.complete
.DEFAULT_GOAL := help
.PHONY: help setup demo campaign up stop logs doctor migrate psql test check bench accuracy backup restore clean

help: ## show this
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 12

setup: $(STAMP) ## make .venv with everything that is needed

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.version_info >= (3, 11) or sys.exit("Python 3.11 or newer is needed, $(PYTHON) is " + sys.version.split()[0] + ": make PYTHON=/path/to/python3.12 ...")'
	@$(PYTHON) -c 'import ensurepip' || { echo "$(PYTHON) cannot make virtual environments: install python3-venv"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[server,imaging,dev]'
	@touch $@

demo: $(STAMP) ## a sample session down the whole road; ONCE=1: then stop; SITE=slurm, agents or pull: there; FROM=workstation: from the camera on
	$(BIN)/refinery demo $(if $(ONCE),--once) $(if $(SESSION),--session '$(SESSION)') $(if $(SITE),--site '$(SITE)') $(if $(FROM),--from '$(FROM)')

campaign: $(STAMP) ## the demo under a random schedule of kills and faults; N=rounds, SEED=…: the same again
	$(BIN)/refinery campaign $(if $(N),--rounds $(N)) $(if $(SEED),--seed $(SEED))

up: $(STAMP) ## start everything and keep it alive until Ctrl-C; DETACH=1: in the background
	$(BIN)/refinery up $(if $(DETACH),--detach)

stop: $(STAMP) ## stop what 'up' or 'demo' started
	$(BIN)/refinery stop

logs: $(STAMP) ## show the services' logs as they grow; NAME=worker: one of them
	$(BIN)/refinery logs --follow $(NAME)

doctor: $(STAMP) ## look whether everything is as it should be
	$(BIN)/refinery doctor

migrate: $(STAMP) ## bring tables, pipelines and sites up to date
	$(BIN)/refinery migrate

psql: $(STAMP) ## open the embedded database
	$(BIN)/refinery psql

test: $(STAMP) ## the whole test suite, in four processes; WORKERS=2: in fewer
	bash tests/debian-packages.sh
	$(BIN)/python -m pytest -n $(WORKERS) --durations=10

check: $(STAMP) ## formatting, lint, types and unit tests, within a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q -n 2 tests/unit

bench: $(STAMP) ## measure both sides and print medians and ratios; ONLY=road: one; SIZE=200: of it; QUICK=1: tiny
	$(BIN)/python -m tests.benchmarks $(if $(ONLY),--only '$(ONLY)') $(if $(SIZE),--size '$(SIZE)') $(if $(QUICK),--quick)

accuracy: $(STAMP) ## how well sheets, letters and photographs are read, in ten minutes; FOLDER=…: those
	$(BIN)/python -m tests.accuracy $(if $(FOLDER),'$(FOLDER)')

backup: $(STAMP) ## save the embedded databases; TO=folder
	$(BIN)/refinery backup $(if $(TO),'$(TO)')

restore: $(STAMP) ## replace them by saved ones; FROM=folder
	$(BIN)/refinery restore '$(FROM)'

clean: ## remove caches and builds; DATA=1: the state folder and its databases too
	$(if $(DATA),$(BIN)/refinery forget --yes)
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -not -path './.venv/*' -prune -exec rm -rf {} +
