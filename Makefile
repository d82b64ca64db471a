# Every command here starts from nothing: it makes .venv, installs the pinned requirements and builds the package first.

PYTHON ?= $(shell for p in python3 python3.14 python3.13 python3.12 python3.11 python3.10; do \
    "$$p" -c 'import sys; sys.exit(sys.version_info < (3, 10))' >/dev/null 2>&1 && { command -v "$$p"; break; }; done)
JOBS ?= 2
VENV := .venv
BIN := $(VENV)/bin
export PATH := $(CURDIR)/$(BIN):$(PATH)
export CMAKE_BUILD_PARALLEL_LEVEL := $(JOBS)
export CTEST_PARALLEL_LEVEL := $(JOBS)
export PIP_DISABLE_PIP_VERSION_CHECK := 1

CPP := $(shell find cpp tests/cpp -name '*.[ch]pp' 2>/dev/null)
# A new or removed Python file changes its folder; an edited one needs no new install.
PACKAGE := $(shell find cpp cmake -type f) $(shell find python -type d -not -name __pycache__)

.PHONY: all help demo docs test lint types cpp-test py-test format bench wheel clean
all: $(VENV)/.installed

help:
	@sed -n 's/^| `make/make/p' CONTRIBUTING.md | tr -d '`|' | sed 's/  */ /; s/^/  /'

demo: $(VENV)/.installed
	$(BIN)/python -m bench.demo

# Warnings are errors; `python -m http.server -d docs/_build/html` shows it.
docs: $(VENV)/.installed
	$(BIN)/python -m sphinx -b html -E -n -W --keep-going -q docs docs/_build/html

test: lint types cpp-test py-test

lint: $(VENV)/.requirements
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/clang-format --dry-run -Werror $(CPP)

types: $(VENV)/.installed
	$(BIN)/mypy
	MYPYPATH=python $(BIN)/stubtest adabet_fast._core --mypy-config-file pyproject.toml

cpp-test: $(VENV)/.requirements
	cmake --preset release
	cmake --build --preset release
	ctest --preset release
	ctest --preset baseline

py-test: $(VENV)/.installed
	$(BIN)/python -m pytest

format: $(VENV)/.requirements
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/clang-format -i $(CPP)

bench: $(VENV)/.installed
	$(BIN)/python -m pytest --benchmark-only

wheel: $(VENV)/.requirements
	$(BIN)/pip wheel . --quiet --no-deps --no-build-isolation --wheel-dir dist

clean:
	rm -rf build dist docs/_build docs/_pictures $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .benchmarks
	find python tests bench -name __pycache__ -type d -prune -exec rm -rf {} +

$(VENV)/.made:
	@test -n "$(PYTHON)" || { echo "No Python 3.10 or newer was found. Install one, or name it: make PYTHON=/path/to/python3"; exit 1; }
	"$(PYTHON)" -m venv $(VENV)
	touch $@

$(VENV)/.requirements: requirements-dev.txt | $(VENV)/.made
	@echo "Installing what it needs into $(VENV) ..."
	$(BIN)/python -m pip install --quiet -r requirements-dev.txt
	touch $@

$(VENV)/.installed: $(VENV)/.requirements pyproject.toml CMakeLists.txt $(PACKAGE)
	@echo "Compiling the package, two minutes or so ..."
	SKBUILD_CMAKE_DEFINE=ADABET_WERROR=ON $(BIN)/python -m pip install --quiet --no-deps --no-build-isolation --editable .
	touch $@
