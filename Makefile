# Every target sets up what it needs. PYTHON is the interpreter that the virtual environment is made of.
PYTHON ?= python3.11
PY := .venv/bin/python
DATA ?=
MODEL ?=
STATE ?=
SETTINGS ?=
WORKERS ?= 2

.PHONY: demo on-demand up cloud test simulate mutants crash crowd soak bench-localcloud bench-sweep bench-validation package check doctor infra policies verify-azure setup clean

demo: setup
	@$(PY) -m demo $(if $(DATA),--data "$(DATA)") $(if $(MODEL),--model "$(MODEL)")

# HOST=func leaves the Functions host to Azure Functions Core Tools.
HOST ?=
up: setup
	@$(PY) -m demo.up $(if $(MODEL),--model "$(MODEL)") $(if $(HOST),--without-host)

# The local cloud alone, for code of your own: docs/localcloud.md.
cloud: setup
	@$(PY) -m localcloud $(if $(STATE),--state "$(STATE)") $(if $(SETTINGS),--settings "$(SETTINGS)")

# Called, unused, deleted, called again: how an endpoint goes and comes back, with times. Four minutes.
on-demand: setup
	@$(PY) -m demo.on_demand

test: setup
	$(PY) -m pytest -n $(WORKERS) --dist loadgroup

# 500 main jobs against the local cloud while one call in ten goes wrong; `make test` runs a few.
soak: setup
	$(PY) -m tests.soak

bench-localcloud: setup
	$(PY) -m benchmarks.localcloud

# One idle sweep over 10, 100 and 1,000 endpoints.
bench-sweep: setup
	$(PY) -m benchmarks.sweep

# Thousands of schedules with faults on all cores, or one of them with its trace, as small as it gets: SEED=123.
SEEDS ?= 10000
SEED ?=
simulate: setup
	@$(PY) -m tests.simulation $(if $(SEED),--seed $(SEED),--seeds $(SEEDS))

# Deliberate defects: which test catches which; the answer is docs/mutants.md.
mutants: setup
	@$(PY) -m tests.simulation.mutants --write

# The Functions host killed at every side effect of a main job, then at random moments: half an hour.
crash: setup
	@$(PY) -m tests.e2e.crashes

# 200 datasets dropped at once: a quarter of an hour.
crowd: setup
	@$(PY) -m tests.e2e.crowd

check: setup
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy
	.venv/bin/lint-imports --cache-dir .import_linter_cache
	$(MAKE) --no-print-directory doctor infra

# azure-functions-doctor looks at what ships, not at the local cloud beside it.
doctor: setup
	@$(PY) -m infra.package .localcloud/shipped > /dev/null
	.venv/bin/azure-functions-doctor doctor --path .localcloud/shipped --profile deploy

# What `azd up` deploys, held against everything that can be known without Azure; says what it looked at.
infra: setup
	@$(PY) -m infra.checks

# checkov pins versions that are not ours, so it lives apart; `make infra` runs it where it is installed.
policies: .venv-checkov/.installed

.venv-checkov/.installed: requirements-policies.txt
	$(PYTHON) -m venv .venv-checkov
	.venv-checkov/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-policies.txt
	@touch $@

# What is deployed, its size, and what is imported when it starts.
PACKAGE ?= .localcloud/package
package: setup
	@$(PY) -m infra.package "$(PACKAGE)"

# What the documentation leaves open, asked of Azure; needs DROPTUNE_AZURE_VERIFY=1, says the cost and asks first.
verify-azure: setup
	@$(PY) -m tests.azure

setup: .venv/.installed node_modules/.installed

.venv/.installed: requirements.txt requirements-dev.txt constraints.txt
	$(PYTHON) -m venv .venv
	$(PY) -m pip install --quiet --disable-pip-version-check -r requirements-dev.txt
	@touch $@

node_modules/.installed: package.json package-lock.json
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

# Takes a while and 1.4 GB of disk: ARGS="--rows 30000 --rounds 3" for a first look.
ARGS ?=
bench-validation: setup .venv-bench/.installed
	.venv-bench/bin/python -m benchmarks.validation $(ARGS)
	$(PY) -m benchmarks.download $(ARGS)

.venv-bench/.installed: requirements-bench.txt requirements.txt constraints.txt
	$(PYTHON) -m venv .venv-bench
	.venv-bench/bin/python -m pip install --quiet --disable-pip-version-check -r requirements-bench.txt
	@touch $@

clean:
	rm -rf .venv .venv-bench .venv-checkov node_modules .localcloud dist
