# Every target does its own set-up: a Python of 3.11 to 3.13 with venv, make and git are enough.
# The environments are rebuilt only when their lock or pyproject.toml changes.

.DEFAULT_GOAL := help
.PHONY: help demo serve test check fast nodes postgres nginx regtest demo-lnd demo-cobots demo-scenarios kill-storm bench bench-credit lock clean
.DELETE_ON_ERROR:
MAKEFLAGS += --no-print-directory

VENV := .venv
BIN := $(VENV)/bin
say = @printf '· %s\n'

PROJECTS := pyproject.toml client/pyproject.toml simulator/pyproject.toml

# A stamp carries the checksum of what it stands for, so that a change of branch is noticed too.
key = $(shell cat $(1) 2>/dev/null | cksum | tr -d ' ')
RUNTIME := $(VENV)/.runtime-$(call key,requirements/runtime.lock $(PROJECTS))
DEV := $(VENV)/.dev-$(call key,requirements/dev.lock $(PROJECTS))
LOCKING := $(VENV)/.locking-$(call key,requirements/locking.lock)
FOREIGN := $(foreach client,l402-requests pyl402 openrouter llm aider cobot,\
  .foreign/$(client)/.ready-$(call key,requirements/foreign-$(client).lock))

COBOT := $(filter .foreign/cobot/%,$(FOREIGN))

WORKERS := 4
# What Python compiles is kept: each worker and each command under test would compile it anew.
COMPILED := env -u PYTHONDONTWRITEBYTECODE
NOT_FAST := slow or foreign_clients or postgres or real_nodes or real_upstream
INSTALL := -m pip install --quiet --disable-pip-version-check --no-deps
LOCKED := $(INSTALL) --require-hashes -r

help: ## say what there is
	@printf 'cobot-meter: one agent buys a completion from another, and the books balance.\n\n'
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | awk -F'|' '{printf "%-17s %s\n", $$1, $$2}'

demo: $(RUNTIME) ## watch three completions being bought, paid and booked
	@$(BIN)/cobot-meter demo

serve: $(RUNTIME) ## sell completions at http://127.0.0.1:8402, everything embedded
	@$(BIN)/cobot-meter serve

test: $(DEV) $(FOREIGN) nodes postgres nginx ## prove everything this machine can prove
	$(say) 'all tests, the long proofs and foreign clients among them'
	@$(COMPILED) $(BIN)/python -m pytest -n $(WORKERS) --dist loadgroup

check: $(DEV) ## format, lint, types, import contracts and the fast tests, in a few minutes
	$(say) 'format'
	@$(BIN)/ruff format --check --quiet .
	$(say) 'lint'
	@$(BIN)/ruff check --quiet .
	$(say) 'types'
	@$(BIN)/mypy --no-error-summary
	$(say) 'import contracts'
	@$(BIN)/lint-imports --no-logo > $(VENV)/contracts.txt || { cat $(VENV)/contracts.txt; exit 1; }
	@$(MAKE) fast

fast: $(DEV) ## the fast tests alone
	$(say) 'fast tests'
	@$(BIN)/python -m pytest -n 2 -q -m 'not ($(NOT_FAST))'

nodes: $(DEV) ## build the real nodes once, for the tests (about 5 minutes; needs Go, or installs it)
	@$(BIN)/python -m deploy.regtest build --if-possible

postgres: $(DEV) ## see that there is a PostgreSQL to test with (installs it as root on Debian)
	@$(BIN)/python -m tests.postgres

nginx: $(DEV) ## see that there is an nginx to test with (installs it as root on Debian)
	@$(BIN)/python -m tests.nginx

demo-lnd: $(DEV) ## the demonstration on real nodes, whose balances are compared with both books
	@$(BIN)/python -m deploy.regtest.demo

demo-cobots: $(DEV) $(COBOT) ## one real cobot works for another and is paid (LND=1: on real nodes)
	@$(BIN)/python -m deploy.cobots.demo $(if $(LND),--lnd) $(if $(RECORD),--record)

demo-scenarios: $(DEV) ## the seven scenarios, each with its receipt, in under a minute
	@$(BIN)/python -m deploy.scenarios.tour $(if $(RECORD),--record)

regtest: $(DEV) ## keep real nodes up until Ctrl-C, and say what to type
	@$(BIN)/python -m deploy.regtest up

kill-storm: $(DEV) nodes postgres ## kill service, lnd and PostgreSQL 200 times while callers buy (25 minutes)
	@$(BIN)/python -m tests.storm

bench: $(DEV) $(COBOT) ## measure against the naive stack and the raw database
	@$(BIN)/python -m benchmarks

bench-credit: $(DEV) ## measure requests on a prepaid key beside others' proxies, which it installs
	@$(BIN)/python -m benchmarks credit

lock: $(LOCKING) ## write the locks anew (UPGRADE=1 moves to the newest versions)
	$(say) 'locks with hashes: runtime, dev, locking, foreign clients, Go, peers'
	@$(COMPILE) --group pyproject.toml:dev pyproject.toml -o requirements/dev.lock
	@$(COMPILE) --group pyproject.toml:build pyproject.toml -c requirements/dev.lock -o requirements/runtime.lock
	@$(COMPILE) --group pyproject.toml:lock -o requirements/locking.lock
	@$(COMPILE) requirements/foreign-l402-requests.in -o requirements/foreign-l402-requests.lock
	@$(COMPILE) requirements/foreign-pyl402.in -o requirements/foreign-pyl402.lock
	@$(COMPILE) requirements/foreign-llm.in -o requirements/foreign-llm.lock
	@$(COMPILE) requirements/foreign-openrouter.in -o requirements/foreign-openrouter.lock
	@$(COMPILE) requirements/foreign-aider.in -o requirements/foreign-aider.lock
	@$(COMPILE) requirements/foreign-cobot.in -o requirements/foreign-cobot.lock
	@$(COMPILE) requirements/go.in -o requirements/go.lock
	@$(COMPILE) benchmarks/peers/litellm.in -o benchmarks/peers/litellm.lock

COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
  --no-emit-package cobot-pay --no-emit-package openrouter-simulator \
  --annotation-style line --custom-compile-command 'make lock' $(if $(UPGRADE),--upgrade)

clean: ## remove environments and caches; the books under .cobot-meter/ stay
	$(say) 'environments and caches'
	@rm -rf $(VENV) .foreign build dist *.egg-info .hypothesis .coverage
	@rm -rf .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +

# --- set-up --------------------------------------------------------------------------------------

FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 14))

# The first Python on the path that fits and really runs, or one sentence when there is none.
define find_python
for python in python3.13 python3.12 python3.11 python3; do \
  if $$python -c '$(FITS)' 2>/dev/null; then break; fi; python=; \
done; \
if [ -z "$$python" ]; then \
  echo 'cobot-meter needs Python 3.11, 3.12 or 3.13 with its venv module, and found none on the PATH.' >&2; \
  exit 1; \
fi
endef

# An environment that is there and runs is kept; anything else is made anew.
define make_venv
if ! $(1)/bin/python -c '$(FITS)' 2>/dev/null; then \
  $(find_python); \
  printf '· environment %s with %s\n' '$(1)' "$$($$python --version)"; \
  rm -rf $(1) && $$python -m venv $(1) || exit 1; \
fi
endef

$(RUNTIME):
	@$(call make_venv,$(VENV))
	$(say) 'packages of requirements/runtime.lock'
	@$(BIN)/python $(LOCKED) requirements/runtime.lock
	@$(BIN)/python $(INSTALL) --no-build-isolation --editable ./client --editable ./simulator --editable .
	@rm -f $(VENV)/.runtime-* && touch $@

$(DEV): $(RUNTIME)
	$(say) 'packages of requirements/dev.lock'
	@$(BIN)/python $(LOCKED) requirements/dev.lock
	@rm -f $(VENV)/.dev-* && touch $@

$(LOCKING):
	@$(call make_venv,$(VENV))
	$(say) 'packages of requirements/locking.lock'
	@$(BIN)/python $(LOCKED) requirements/locking.lock
	@rm -f $(VENV)/.locking-* && touch $@

# aider asks for a Python below 3.13; where there is none it is left out, and its tests say so.
.foreign/aider/%: FITS := import ensurepip, sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] < (3, 13))
.foreign/aider/%:
	@if ($(find_python)) 2>/dev/null; then \
	  $(call make_venv,$(@D)); \
	  printf '· packages of requirements/foreign-aider.lock\n'; \
	  $(@D)/bin/python $(LOCKED) requirements/foreign-aider.lock || exit 1; \
	  rm -f $(@D)/.ready-* && touch $@; \
	else printf '· aider is left out: it needs Python 3.11 or 3.12\n'; fi

.foreign/%:
	@$(call make_venv,$(@D))
	$(say) 'packages of requirements/foreign-$(notdir $(@D)).lock'
	@$(@D)/bin/python $(LOCKED) requirements/foreign-$(notdir $(@D)).lock
	@rm -f $(@D)/.ready-* && touch $@
