# Needs python3 (>= 3.11) with venv, and a package index. Everything else goes into .venv.
PYTHON ?= python3
BIN := .venv/bin
CONSTRAINTS := constraints.txt
PIP_INSTALL := $(BIN)/pip install --quiet --disable-pip-version-check -c $(CONSTRAINTS)

.PHONY: demo session test check train bench bench-all docs clean

demo: .venv/demo.stamp
	$(BIN)/stxm-live demo

# IPython with a simulated microscope
session: .venv/demo.stamp
	$(BIN)/ipython --ipython-dir=profiles --profile=sim

# two at a time, each with one thread for linear algebra: more of them wait for one another by
# turning on the spot. The tests of a file share what it prepared; the long files come first.
# Hypothesis draws the same examples each time, and new ones with STXM_LIVE_FUZZ=1. Bytecode is
# kept, or every process that a test starts compiles the package again: 1 s
test: .venv/dev.stamp
	OMP_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE= $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder

check: .venv/dev.stamp
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy

train: .venv/dev.stamp
	$(BIN)/stxm-live train --recipe nvpf --simulated 60000 --out stxm_live/recipes/nvpf/bundle --force

# some minutes, on a machine that does nothing else; the results are in docs/explanation/benchmarks.md
bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks --record

# hours
bench-all: .venv/dev.stamp
	$(BIN)/python -m benchmarks --all --record

docs: .venv/docs.stamp
	$(BIN)/sphinx-build -W -n --keep-going -q docs docs/_build/html

.venv/bin/python:
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "stxm_live needs Python >= 3.11; name one with make PYTHON=python3.12")'
	$(PYTHON) -m venv .venv

.venv/demo.stamp: .venv/bin/python pyproject.toml $(CONSTRAINTS)
	@echo "installing stxm_live into .venv (a minute or two, once)"
	$(PIP_INSTALL) -e '.[catalog,sim,web]'
	@touch $@

.venv/dev.stamp: .venv/bin/python pyproject.toml $(CONSTRAINTS)
	@echo "installing stxm_live with its development tools into .venv (some minutes, once)"
	$(PIP_INSTALL) -e '.[dev]'
	@touch $@ .venv/demo.stamp

.venv/docs.stamp: .venv/dev.stamp
	$(PIP_INSTALL) -e '.[docs]'
	@touch $@

clean:
	rm -rf .venv dist build docs/_build docs/auto_gallery docs/reference/generated
