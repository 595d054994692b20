# make demo | test | test-ntk | test-slow | proofs | lint | types | tables | clean
# TORCH_INDEX=ADDRESS takes torch from another package index (a CPU wheel, say).

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX))

# Local copies of the data, where the folder exists and nothing else is set
ifndef ANALYTIC_DD_DATA
ifneq ($(wildcard ../shared/data),)
export ANALYTIC_DD_DATA := $(abspath ../shared/data)
endif
endif

# Two test processes with one BLAS thread each: more threads than cores wait for each other
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1

.PHONY: demo test test-ntk test-slow proofs lint types tables bench clean

$(VENV)/base: pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(PIP) -e .
	@touch $@

$(VENV)/test: $(VENV)/base
	$(PIP) -e ".[test,lint]"
	@touch $@

# Without its dependencies: it asks for tensorflow, which only its folder `experimental` uses
$(VENV)/ntk: $(VENV)/test
	$(PIP) -e ".[ntk]"
	$(PIP) --no-deps neural-tangents
	@touch $@

demo: $(VENV)/base
	@$(BIN)/python experiments/demo.py

test: $(VENV)/test
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2

test-ntk: $(VENV)/ntk
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m ntk tests/baselines/methods/test_neural_tangents.py

test-slow: $(VENV)/test
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2 -m slow

proofs: $(VENV)/test
	$(ONE_THREAD) $(BIN)/analytic-dd verify --theorems

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test
	$(BIN)/mypy

tables: $(VENV)/base
	$(BIN)/python experiments/tables.py

bench: $(VENV)/base
	$(BIN)/python benchmarks/one_pass.py --features identity rff fcnn cnn inn deep-linear

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache out
