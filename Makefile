# make demo | test | test-kernels | test-threads | test-ntk | test-slow | people | kills | fuzz | proofs | lint | types | docs | tables | clean
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

# Two test processes with one BLAS thread each: more threads than cores wait for each other. Tests start a hundred
# processes, which take half of a second less each where compiled files are kept.
ONE_THREAD := OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 PYTHONDONTWRITEBYTECODE=

# What rounds: the same on every processor but for the last digits
NUMERICAL := tests/test_comparators.py tests/test_estimator.py $(addprefix tests/, linalg ridge losses labels features distill model judge)

.PHONY: demo test test-kernels test-threads test-ntk test-slow people kills fuzz proofs lint types docs tables bench clean

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

$(VENV)/docs: $(VENV)/test
	$(PIP) -e ".[docs]"
	@touch $@

demo: $(VENV)/base
	@$(BIN)/python experiments/demo.py

test: $(VENV)/test
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2 --dist worksteal

# Every OpenBLAS kernel of this processor, 1 and 2 threads, both orders of matrices: for people, some minutes a kernel;
# a part of them: make test-kernels KERNELS="--kernels Haswell Zen --threads 1 --orders C"
test-kernels: $(VENV)/test
	$(BIN)/python tests/kernels.py $(KERNELS) -- $(NUMERICAL)

# The numerical part with two threads; `make test` has one a process
test-threads: $(VENV)/test
	OMP_NUM_THREADS=2 OPENBLAS_NUM_THREADS=2 $(BIN)/python -m pytest -q -n 2 --dist worksteal --libraries numpy $(NUMERICAL)

test-ntk: $(VENV)/ntk
	$(ONE_THREAD) $(BIN)/python -m pytest -q -m ntk tests/baselines/methods/test_neural_tangents.py

test-slow: $(VENV)/test
	$(ONE_THREAD) $(BIN)/python -m pytest -q -n 2 -m slow

# Three users in a fresh clone with an environment of its own, every command a process: some minutes; seconds are printed
people:
	$(PYTHON) tests/people/play.py --install --out tests/people/results/run.json

# Commands ended at every line of what keeps results whole and at random times, and run again; the record is written
kills: $(VENV)/test
	$(ONE_THREAD) $(BIN)/python tests/faults/kills.py --kills 450 --out tests/faults/results/run.json

# Mutated files of every format that is read: make fuzz MINUTES=60
fuzz: $(VENV)/test
	$(ONE_THREAD) $(BIN)/python -m fuzz --minutes $(or $(MINUTES),10) --keep out/fuzz --out fuzz/results/run.json

proofs: $(VENV)/test
	$(ONE_THREAD) $(BIN)/analytic-dd verify --theorems

lint: $(VENV)/test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/test
	$(BIN)/mypy

# The site in docs/_build: theory, public names, examples that run (once, until they change); no link leads nowhere
docs: $(VENV)/docs
	$(ONE_THREAD) $(BIN)/python -m sphinx -b html -W --keep-going -q -j 2 docs docs/_build
	@$(BIN)/python docs/links.py docs/_build

tables: $(VENV)/base
	$(BIN)/python experiments/tables.py

bench: $(VENV)/base
	$(BIN)/python benchmarks/one_pass.py --features identity rff fcnn cnn inn deep-linear

clean:
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .hypothesis .mypy_cache .ruff_cache out docs/_build docs/api docs/auto_examples
