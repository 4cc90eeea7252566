# What a developer, the CI and the one who runs Glasshouse type. `make` alone prints the list.
# Variables given to make (make up HTTPS_PORT=9443) reach the programs; .env.example has them all.
# They are data, here and in a shell: a $ in one is a dollar, and recipes take them from the environment ("$$NAME").
$(foreach name,$(.VARIABLES),$(if $(filter command line,$(origin $(name))),$(eval override $(name) := $$(value $(name)))$(eval export $(name))))

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
# Ctrl-C waits for the moment in which Python itself starts, which would print a stack trace (GNU's `env` can do that).
GLASSHOUSE = $(if $(shell env --block-signal=INT true 2>/dev/null && echo yes),env --block-signal=INT )$(COMMAND)
# Not .venv/bin/glasshouse, whose first line cannot name every path.
COMMAND := .venv/bin/python -m glasshouse
PROJECTS := services/api services/vllm services/llamacpp services/launcher services/gpu_exporter client observability tools/mock_engine tools/settings_reference
# Those with an image, which takes only what it needs from a lock file of its own.
IMAGES := services/api services/vllm services/llamacpp services/gpu_exporter client
PACKAGES := gateway vllm_launcher llamacpp_server launcher gpu_exporter glasshouse observability mock_engine settings_reference
# Tests wait more than they compute: one worker more than there are cores (TEST_WORKERS=0: all in one process).
TEST_WORKERS ?= $(shell echo $$(($$(nproc 2>/dev/null || echo 1) + 1)))
PYTEST := .venv/bin/python -m pytest -n $(TEST_WORKERS)
# The gateway's unit tests hand keyword dictionaries to servers that are not typed for that.
TYPED := tests benchmarks conftest.py
MANIFESTS := pyproject.toml $(PROJECTS:%=%/pyproject.toml)
# Behind a company's proxy only the machine's own store knows who signs, which neither uv nor older pips look at by themselves.
# Where there is none (a Debian without ca-certificates) uv's own list is left to it.
CA_BUNDLE := $(firstword $(wildcard /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem /etc/ssl/cert.pem))
UV := $(if $(CA_BUNDLE),UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS:-1} ).venv/bin/uv
PIP := $(if $(CA_BUNDLE),REQUESTS_CA_BUNDLE=$${REQUESTS_CA_BUNDLE:-$(CA_BUNDLE)} ).venv/bin/python -m pip
# Progress goes to standard error: what a target prints on standard output (a key, say) can be piped.
SAY := printf '\033[1m%s\033[0m\n' >&2
ifeq ($(shell test -t 2 && echo yes),)
SAY := printf '%s\n' >&2
endif

##@ Run

.PHONY: up down ps doctor logs smoke
up: .venv/.installed  ## Start the stack and wait until it answers (SHAPE=gpu, cpu or native; ATTACH=1: stay and show the logs)
	@$(GLASSHOUSE) up $(if $(ATTACH),--attach)

down: .venv/.installed  ## Stop everything that `make up` started, and nothing else
	@$(GLASSHOUSE) down

ps: .venv/.installed  ## Show what is running
	@$(GLASSHOUSE) ps

doctor: .venv/.installed  ## Check this machine: driver, Docker, disk, memory, ports, clock and more, with a remedy for each problem
	@$(GLASSHOUSE) doctor

logs: .venv/.installed  ## Show the last lines of the logs (SERVICE=gateway, FOLLOW=1)
	@$(GLASSHOUSE) logs $(if $(FOLLOW),--follow) $(if $(value SERVICE),-- "$$SERVICE")

smoke: .venv/.installed  ## Send a streamed and a plain chat; show the answers, TTFT and tokens per second
	@$(GLASSHOUSE) smoke $(if $(value URL),--url "$$URL") $(if $(value KEY_FILE),--key-file "$$KEY_FILE") $(if $(value CA_FILE),--ca-file "$$CA_FILE")

.PHONY: key
key: .venv/.installed  ## List the API keys; NAME=… creates one (ROLE=admin EXPIRES=2027-01-31 MODELS="a b" ROTATE=1), NAME=… REVOKE=1 revokes it
ifndef NAME
	@$(GLASSHOUSE) key list
else ifdef REVOKE
	@$(GLASSHOUSE) key revoke -- "$$NAME"
else
	@models=(); read -ra names <<<"$${MODELS:-}"; for name in "$${names[@]}"; do models+=(--model "$$name"); done; \
	$(GLASSHOUSE) key add $(if $(value ROLE),--role "$$ROLE") $(if $(value EXPIRES),--expires "$$EXPIRES") "$${models[@]}" $(if $(ROTATE),--rotate) -- "$$NAME"
endif

.PHONY: rotate-engine-key
rotate-engine-key: .venv/.installed  ## Rotate the key between the gateway and the engines; nothing restarts, no request is lost
	@$(GLASSHOUSE) rotate-engine-key

.PHONY: drill
drill: .venv/.installed  ## Put faults in, one after the other, and report which alerts fired, were delivered and resolved (ONLY="gpu host" YES=1 LIST=1 UNDO=1 REPORT=…)
	@faults=(); read -ra names <<<"$${ONLY:-}"; for name in "$${names[@]}"; do faults+=(--only "$$name"); done; \
	$(GLASSHOUSE) drill $(if $(LIST),--list) $(if $(UNDO),--undo) $(if $(YES),--yes) $(if $(value REPORT),--report "$$REPORT") "$${faults[@]}"

.PHONY: backup restore upgrade
backup: .venv/.installed  ## Save secrets, keys, settings and data into one file in backups/, while it serves (FILE=…)
	@$(GLASSHOUSE) backup $(if $(value FILE),--file "$$FILE")

restore: .venv/.installed  ## Put a backup into this checkout: FILE=… (FORCE=1: in place of what is here)
	@$(GLASSHOUSE) restore $(if $(FORCE),--force) $(if $(value FILE),-- "$$FILE")

upgrade: .venv/.installed  ## Go to the newest version, or VERSION=…: backup, build, up, smoke; back if one of them fails
	@$(GLASSHOUSE) upgrade $(if $(value VERSION),--to "$$VERSION") $(if $(value KEY_FILE),--key-file "$$KEY_FILE")

##@ Develop

.PHONY: test test-long test-bare test-grafana check format dashboards settings golden lock demo-model bench bench-baseline clean
test: check  ## Everything that needs no GPU, in minutes (PYTEST_ARGS="-k keys")
	@marks="$$(tests/missing-parts) and not long"; $(SAY) 'not run here: tests that take minutes (make test-long)'; \
	if [ ! -e .venv-vllm/.installed ]; then marks="$$marks and not vllm"; \
	  $(SAY) 'not run here: the tests against real vLLM (make test-long installs it: 7 GB)'; fi; \
	$(PYTEST) -m "$$marks" $(PYTEST_ARGS)

test-long: .venv-vllm/.installed check  ## All tests, the long ones and real vLLM on CPU included (installs it: 7 GB)
	@marks=$$(tests/missing-parts); $(PYTEST) -m "$$marks" $(PYTEST_ARGS)

test-bare:  ## `make up` and `make test` on bare Debian systems, as root and as a user: hours (RELEASES=bookworm TESTS=0)
	@tests/bare/run

test-grafana: .venv/.installed  ## The shipped files in a real Grafana, 9.4 or newer, and pictures of them (GRAFANA_HOME=…)
	@[ -n "$$(ls "$${GRAFANA_HOME:-}"/bin/{,*/}grafana{,-server} 2>/dev/null)" ] || { \
	  echo "Usage: make test-grafana GRAFANA_HOME=…, an unpacked Grafana from 9.4 on with bin/grafana, conf/ and public/; '$${GRAFANA_HOME:-}' has no bin/grafana." >&2; exit 2; }
	@.venv/bin/python -m pytest -m grafana tests/grafana $(PYTEST_ARGS)

check: .venv/.installed  ## Lint, format, types, and the layers between the packages
	@$(SAY) 'ruff …'; .venv/bin/ruff check --quiet
	@.venv/bin/ruff format --check --quiet || { .venv/bin/ruff format --check; exit 1; }
	@$(SAY) 'mypy …'; .venv/bin/mypy $(PACKAGES:%=-p %)
	@.venv/bin/mypy $(TYPED)
	@$(SAY) 'import-linter …'; said=$$(.venv/bin/lint-imports 2>&1) || { echo "$$said"; exit 1; }
	@$(SAY) 'dashboards …'; .venv/bin/python -m observability --check
	@$(SAY) 'settings …'; .venv/bin/python -m settings_reference --check

format: .venv/.installed  ## Put the source into its form
	@.venv/bin/ruff check --fix --quiet || true
	@.venv/bin/ruff format

dashboards: .venv/.installed  ## Write grafana/ and prometheus/ from their source in observability/
	@.venv/bin/python -m observability

settings: .venv/.installed  ## Write .env.example, docs/settings.md and Compose's lists from the typed settings
	@.venv/bin/python -m settings_reference

golden: .venv-vllm/.installed  ## Record anew what each part exports, for the tests of dashboards (Docker, real vLLM)
	@tests/stack/images/make
	@PYTHONPATH=. .venv/bin/python tests/unit/observability/refresh_golden.py

lock: .venv/.installed  ## Choose all versions anew, with hashes
	@$(SAY) 'requirements.lock …'
	@$(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-emit-package glasshouse-launcher --group dev pyproject.toml services/*/pyproject.toml client/pyproject.toml observability/pyproject.toml tools/mock_engine/pyproject.toml -o requirements.lock
	@for project in $(IMAGES); do \
	  $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-emit-package glasshouse-launcher -c requirements.lock $$project/pyproject.toml -o $$project/requirements.lock; \
	done
	@$(SAY) 'benchmarks/peers/ …'
	@for peer in benchmarks/peers/*.in; do \
	  $(UV) pip compile -q --universal --python-version 3.11 --generate-hashes --no-header --no-annotate $$peer -o $${peer%.in}.lock; \
	done
	@$(SAY) 'requirements-torch.lock …'
	@$(UV) pip compile -q --python-version 3.11 --python-platform x86_64-manylinux_2_28 --override requirements-torch.overrides --generate-hashes requirements-torch.in -o requirements-torch.lock

demo-model: .venv-vllm/.installed  ## Train the demo model again: minutes on 2 cores (installs torch: 7 GB)
	@.venv-vllm/bin/python models/demo/train.py

bench: .venv/.installed  ## Measure the gateway beside nginx and other gateways, and write docs/benchmarks.md: an hour (ARGS="--short", ARGS="--help")
	@read -ra arguments <<<"$${ARGS:---publish}"; $(if $(CA_BUNDLE),UV_SYSTEM_CERTS=$${UV_SYSTEM_CERTS:-1} ).venv/bin/python benchmarks/run.py "$${arguments[@]}"

bench-baseline: .venv/.installed  ## Make the gateway's present cost what the tests' cost guard compares with
	@.venv/bin/python benchmarks/guard.py --runs 3 --write

clean:  ## End the stack; remove virtual environments, logs and caches (the secrets stay)
	@if [ -e .venv/.installed ]; then $(GLASSHOUSE) down; fi
	@rm -rf .venv .venv-vllm .venv-bench .run .mypy_cache .ruff_cache .pytest_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

.PHONY: help
help:
	@awk 'BEGIN {FS = ":.*##"} \
	  /^##@/ {printf "\n%s\n", substr($$0, 5)} \
	  /^[a-z-]+:.*##/ {printf "  make %-18s%s\n", $$1, $$2} \
	  END {print ""}' $(firstword $(MAKEFILE_LIST))

# ---- The virtual environments. The mark is written last, so one without it is half made and is made again.

.venv/.installed: requirements.lock $(MANIFESTS)
	@[ -w . ] || { \
	  echo "Glasshouse writes .venv/, .run/ and secrets/ into $(CURDIR), where $$(id -un 2>/dev/null || id -u) may not write: copy it to a place where you may." >&2; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "Glasshouse needs Python 3.11 or newer, and $(PYTHON) is $$($(PYTHON) --version 2>/dev/null || echo not on this machine). Name another: make PYTHON=python3.12" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "apt-get install -y python3-venv" >&2; exit 1; }
	@if [ ! -e $@ ]; then \
	  rm -rf .venv; \
	  $(SAY) 'Making .venv (once) …'; \
	  $(PYTHON) -m venv .venv; \
	  $(PIP) install --quiet --disable-pip-version-check uv==0.13.8; \
	fi
	@$(SAY) 'Installing the locked packages …'
	@$(UV) pip install --quiet --python .venv/bin/python --no-build --require-hashes -r requirements.lock || { \
	  $(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 15))' && \
	  echo "The packages are locked for Python 3.11 to 3.14, and $(PYTHON) is $$($(PYTHON) --version). Name another: make PYTHON=python3.13" >&2; exit 1; }
	@$(UV) pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --offline $(PROJECTS:%=-e %)
	@touch $@

.venv-vllm/.installed: requirements-torch.lock | .venv/.installed
	@if [ ! -e $@ ]; then rm -rf .venv-vllm; fi
	@$(SAY) 'Installing vLLM and torch for tests and training into .venv-vllm: 7 GB on disk, some minutes …'
	@[ -e .venv-vllm ] || $(UV) venv --quiet --python .venv/bin/python .venv-vllm
	@$(UV) pip install --python .venv-vllm/bin/python --no-deps --require-hashes -r requirements-torch.lock
	@touch $@
