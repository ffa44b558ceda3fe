# make demo      the whole story on a small sample: environment, install, then `oneloop demo`
# make test      everything that must hold before a commit
# make nightly   what takes longer; SHARD=0/3 takes a third of it
# make bench     side by side with what you would use instead; writes bench/RESULTS.md
# make docs      writes the generated pages of docs/ again
#
# TORCH_INDEX_URL names another package index for torch, e.g. https://download.pytorch.org/whl/cpu
# PYTHON names the Python to make the environment with; 3.11 or later.

PYTHON ?= python3
TORCH ?= torch==2.13.0
TORCH_INDEX_URL ?=
WORKERS ?= 2
SHARD ?= 0/1
BIN := .venv/bin
INSTALLED := .venv/.installed

export OMP_NUM_THREADS ?= 1

.PHONY: demo test nightly bench docs install clean

install: $(INSTALLED)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "oneloop needs Python 3.11 or later; name one with: make PYTHON=python3.12"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv .venv
	@echo "installing $(TORCH) (the largest download, once)"
	@$(BIN)/python -m pip install --quiet --no-deps $(if $(TORCH_INDEX_URL),--index-url $(TORCH_INDEX_URL)) "$(TORCH)"
	@echo "installing oneloop and what it needs"
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable ".[all,dev]"
	@$(BIN)/python -c 'import torch; print("torch", torch.__version__, "on", "CUDA" if torch.cuda.is_available() else "CPU")'
	@touch $@

demo: $(INSTALLED)
	@env -u OMP_NUM_THREADS $(BIN)/oneloop demo

test: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -m "not nightly" -n $(WORKERS) --dist loadfile

nightly: $(INSTALLED)
	$(BIN)/python -m pytest -m nightly --shard $(SHARD) || test $$? -eq 5  # 5: no test in this part

bench: $(INSTALLED)
	env -u OMP_NUM_THREADS $(BIN)/python -m bench

docs: $(INSTALLED)
	$(BIN)/python docs/generate.py

clean:
	rm -rf .venv .pytest_cache .mypy_cache .ruff_cache build dist oneloop.egg-info
