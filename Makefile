# `make demo` and `make test` are all that a newcomer needs; both make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STORES := $(VENV)/stores
READY := $(VENV)/.ready
# Tests run in so many processes, each file's in one of them; WORKERS=0 runs them in pytest's own, for its debugger.
WORKERS ?= 2
SIDE_BY_SIDE = -n $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: demo test test-stores test-distributed faults kills benchmark-workers matrix audit lint format lock build clean

demo: $(READY)  ## run the example DAGs in a real Airflow against the sandbox
	$(BIN)/python scripts/demo.py

test: $(READY)  ## run the whole test suite
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(SIDE_BY_SIDE) $(PYTEST_ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

test-stores: $(STORES)/.ready  ## tests of S3, Azure and Google storage, databases, StatsD and OpenLineage; needs npm, PostgreSQL and MariaDB
	npm install --silent --no-save --prefix $(VENV)/azurite azurite@3.35.0
	$(STORES)/bin/python -m coverage run -m pytest tests/stores tests/tables_servers $(SIDE_BY_SIDE) $(PYTEST_ARGS)

faults: $(READY)  ## what becomes of a pull when something fails: the tables of docs/faults.md
	$(BIN)/python -m tests.faults $(FAULTS_ARGS)

kills: $(READY) $(STORES)/.ready  ## kill a hundred tasks that write local files, and a hundred that write to S3
	$(BIN)/python -m tests.kills 100
	$(STORES)/bin/python -m tests.kills 100 --s3

test-distributed: $(STORES)/.ready  ## a backfill on two Celery workers, one of them killed; needs Redis and PostgreSQL
	$(STORES)/bin/python -m pytest tests/distributed $(PYTEST_ARGS)

benchmark-workers: $(STORES)/.ready  ## how a backfill's throughput grows with Celery workers; needs Redis and PostgreSQL
	$(STORES)/bin/python -m benchmarks.celery_workers

matrix: $(READY)  ## tests on every supported Airflow and Python; make matrix CELLS=oldest for the oldest Airflow alone
	$(BIN)/python tests/compat/matrix.py $(CELLS)

audit: $(READY)  ## known vulnerabilities of the pinned dependencies; needs api.osv.dev
	$(BIN)/python scripts/audit.py requirements.lock requirements-stores.lock

lint: $(READY)  ## lint, format and type checks
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

format: $(READY)  ## mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

lock: $(READY)  ## resolve the dependencies anew
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group dev --extra parquet pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile -q --upgrade --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header \
		--group stores --extra parquet --extra s3 --extra gcs --extra azure pyproject.toml -o requirements-stores.lock

build: $(READY)  ## wheel and sdist, in dist/
	$(BIN)/python -m build --no-isolation

clean:  ## remove everything that the above has made
	rm -rf $(VENV) .demo dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis .schemathesis

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
