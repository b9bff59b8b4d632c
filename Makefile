# Bootstraps only: system packages and .venv. Everything else is a verb of kubeops (invoke --list).

PYTHON ?= python3
BIN := .venv/bin
SYSTEM := apt-utils gnupg iproute2 iptables mmdebstrap openssh-client openssh-server python3-venv zstd
SUDO := $(if $(filter 0,$(shell id -u)),,sudo)

.PHONY: help demo test check clean

help:  ## Show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

demo: .venv/.ready .venv/.system  ## Boot five nodes here, install a cluster on them, show it, take it down
	$(SUDO) $(BIN)/invoke lab.demo

test: .venv/.ready .venv/.system  ## Run all tests
	$(BIN)/invoke dev.test

check: .venv/.ready  ## Lint, types and layers
	$(BIN)/invoke dev.check

clean:  ## Forget what was bootstrapped
	rm -rf .venv

.venv/.ready: requirements.lock pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("kubeops needs Python 3.11 or later" if sys.version_info < (3, 11) else 0)'
	test -x $(BIN)/python || $(PYTHON) -m venv .venv || { $(SUDO) apt-get update && $(SUDO) apt-get install -y python3-venv && $(PYTHON) -m venv .venv; }
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	touch $@

.venv/.system: Makefile | .venv/.ready
	@missing=$$(for name in $(SYSTEM); do dpkg-query -W -f '$${Status}' $$name 2>/dev/null | grep -q 'ok installed' || echo $$name; done); \
	if [ -n "$$missing" ]; then \
	  $(SUDO) apt-get update -q && $(SUDO) env DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends $$missing; \
	fi
	touch $@
