# Everything a fresh machine needs is git, make and python3 >= 3.11.
PYTHON ?= python3
VENV := .venv
# One process more than cores: some tests wait for a browser or for processes of their own.
TESTERS := $(shell expr $$(getconf _NPROCESSORS_ONLN) + 1)
BIN := $(VENV)/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e

.PHONY: demo test check format build clean

demo: $(VENV)/.ready
	$(BIN)/ewval demo

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest -q -n $(TESTERS) --dist worksteal

check: $(VENV)/.ready-dev
	$(BIN)/ruff format --check src tests benchmarks
	$(BIN)/ruff check src tests benchmarks
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

format: $(VENV)/.ready-dev
	$(BIN)/ruff format src tests benchmarks
	$(BIN)/ruff check --fix src tests benchmarks

build: $(VENV)/.ready-dev
	rm -rf dist
	$(BIN)/python -m build --outdir dist .
	$(BIN)/twine check --strict dist/*

# One environment that grows: whoever only wants the demo does not wait for the linters.
$(VENV)/.ready: pyproject.toml constraints.txt hatch_build.py $(wildcard src/ewval/core/kernels/*.[ch])
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(INSTALL) .
	touch $@

$(VENV)/.ready-test: $(VENV)/.ready
	$(INSTALL) '.[test,cluster]'
	touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	$(INSTALL) '.[test,dev]'
	touch $@

clean:
	rm -rf $(VENV) dist build
