VENV ?= .venv
PYTHON ?= python3.11
BIN := $(VENV)/bin
PORT ?= 8000
export ORT_DISABLE_TELEMETRY ?= 1
WEB_HOST ?= 127.0.0.1
WEB_PORT ?= 8080
CHROMIUM = chromium chromium-driver

.PHONY: demo web serve test check bench bench-oneflow setup models programs clean

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

web: models
	@$(BIN)/python examples/web.py --host $(WEB_HOST) --port $(WEB_PORT)

serve: models
	$(BIN)/tritium serve --model-repository examples/model_repository --http-port $(PORT)

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy src tests benchmarks examples docs
	MYPYPATH=src/tritium/worker_root $(BIN)/mypy --exclude '^$$' --config-file tests/unit/worker_root/mypy.ini src/tritium/worker_root tests/unit/worker_root
	$(BIN)/pyright
	$(BIN)/lint-imports

# The page is tested in Debian's Chromium, the shared response cache with Debian's Redis; where they cannot be
# installed those tests say that they are skipped.
programs:
	@missing=""; \
	command -v chromium >/dev/null && command -v chromedriver >/dev/null || missing="$(CHROMIUM)"; \
	command -v redis-server >/dev/null || missing="$$missing redis-server"; \
	[ -n "$$missing" ] || exit 0; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  echo "installing for the tests: $$missing"; apt-get update -qq; \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null && exit 0; \
	fi; \
	echo "some tests will be skipped; as root: apt-get install $$missing"

test: check models programs
	$(BIN)/python -m pytest

bench-oneflow: setup
	$(BIN)/tritium env oneflow
	$(BIN)/python -m benchmarks.run_oneflow

bench: setup models
	$(BIN)/python -m benchmarks.run

clean:
	rm -rf $(VENV) dist build .mypy_cache .ruff_cache .pytest_cache result.jpg result_256.jpg
