VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
PORT ?= 8000

.PHONY: demo serve test check bench setup clean

setup: $(VENV)/.ready

$(VENV)/.ready: pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --upgrade pip
	$(BIN)/pip install --quiet --disable-pip-version-check --editable '.[dev]'
	touch $@

models: setup
	$(BIN)/python examples/build_repository.py

demo: setup
	$(BIN)/python examples/demo.py

serve: models
	$(BIN)/tritium serve --model-repository examples/model_repository --http-port $(PORT)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src tests benchmarks examples
	MYPYPATH=src/tritium/worker_root $(BIN)/mypy --exclude '^$$' --config-file tests/unit/worker_root/mypy.ini src/tritium/worker_root tests/unit/worker_root
	$(BIN)/pyright
	$(BIN)/lint-imports

test: check models
	$(BIN)/python -m pytest

bench: setup models
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache result.jpg
