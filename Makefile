# Everything on a fresh machine with Python 3.11 and make; nothing to install by hand.
VENV ?= .venv
PYTHON ?= python3
PY := $(VENV)/bin/python
TORCH_VERSION ?= 2.13.0
# DATA: BVH folders or archives for `make demo` and `make phase1 phase2 phase3` (or, for the phases, the UESTC folder or a
# motion file); LABELS: the CSV of BVH clips. Without DATA both make synthetic motion.
DATA ?=
LABELS ?=
# The phases: STEPS is the length of the longest trainings in optimiser steps, or `small`; the thesis's 250,000 when empty.
STEPS ?=
DEVICE ?= auto
RANKS ?= 1
OUT ?= phases

.NOTPARALLEL:
.PHONY: setup demo phase1 phase2 phase3 test test-all check bench clean

setup: $(VENV)/.ready

# torch comes as the CPU build where there is no NVIDIA driver: first from the machine's own pip settings,
# then by uv's index of CPU builds, then as plain PyPI has it.
$(VENV)/.ready: pyproject.toml constraints.txt
	@test -s constraints.txt || { echo "constraints.txt is empty"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(PY) -m pip install -q --disable-pip-version-check "uv>=0.5"
	@if command -v nvidia-smi >/dev/null 2>&1; then $(PY) -m pip install -q "torch==$(TORCH_VERSION)"; \
	else $(PY) -m pip install -q "torch==$(TORCH_VERSION)+cpu" 2>/dev/null \
	  || $(VENV)/bin/uv pip install -q --python $(PY) --torch-backend cpu "torch==$(TORCH_VERSION)" 2>/dev/null \
	  || $(PY) -m pip install -q "torch==$(TORCH_VERSION)"; fi
	$(VENV)/bin/uv pip install -q --python $(PY) -c constraints.txt -e ".[dev]"
	@touch $@

demo: $(VENV)/.ready
	$(VENV)/bin/mdtool demo $(DATA) $(foreach file,$(LABELS),--labels $(file))

# Interrupted anywhere, the same line goes on.
phase1 phase2 phase3: $(VENV)/.ready
	$(VENV)/bin/mdtool phase $(@:phase%=%) $(DATA) $(foreach file,$(LABELS),--labels $(file)) \
	  $(if $(STEPS),--steps $(STEPS)) --device $(DEVICE) --ranks $(RANKS) --out $(OUT)

test: $(VENV)/.ready
	$(PY) -m pytest -n 2

test-all: $(VENV)/.ready
	$(PY) -m pytest -n 2 -m "slow or not slow"

check: $(VENV)/.ready
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy

bench: $(VENV)/.ready
	$(VENV)/bin/mdtool bench --out bench.json

clean:
	rm -rf demo phases runs build dist .pytest_cache .ruff_cache .mypy_cache bench.json
