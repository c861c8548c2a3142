# `make demo` and `make test` are all that a newcomer needs; both make their own environment in .venv.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready

.PHONY: demo test lint format lock build clean

demo: $(READY)  ## run the example DAGs in a real Airflow against the sandbox
	$(BIN)/python scripts/demo.py

test: $(READY)  ## run the whole test suite
	$(BIN)/coverage erase
	$(BIN)/coverage run -m pytest $(PYTEST_ARGS)
	$(BIN)/coverage combine -q
	$(BIN)/coverage report

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

build: $(READY)  ## wheel and sdist, in dist/
	$(BIN)/python -m build --no-isolation

clean:  ## remove everything that the above has made
	rm -rf $(VENV) .demo dist .coverage* .mypy_cache .pytest_cache .ruff_cache .hypothesis

# uv installs in seconds what takes pip a minute or more.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed: make PYTHON=python3.12 ...")'
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip sync --quiet --python $(BIN)/python --require-hashes requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@touch $(READY)
