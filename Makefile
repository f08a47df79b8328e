# Two commands do everything: `make lab` opens the workbench, `make test` runs the tests.
.DEFAULT_GOAL := help
PYTHON ?=
export PYTHON
VENV := .venv
RUN := $(VENV)/bin/python

.PHONY: help install lab test lint audit packages docs notebooks screenshots bench soak clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: ## make .venv with everything the project needs (called by the others)
	@./tooling/install.sh

lab: install ## open the workbench in JupyterLab on the starter corpus and checkpoint
	@$(RUN) -m workbench lab

test: install lint ## style, types, import order, then all tests (browser tests need Chromium)
	@$(RUN) -m pytest -q -m "not soak and not screenshots"

lint: install ## style, types, import order and spelling only
	@$(VENV)/bin/ruff check . && $(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports
	@$(VENV)/bin/codespell
	@$(RUN) tooling/javascript.py check

audit: install ## look up known vulnerabilities of the pinned dependencies; passes where nothing can be asked
	@$(RUN) -m tooling.supply_chain audit

packages: install ## wheel, bill of materials and starter in build/packages/, with signed digests
	@$(RUN) -m tooling.supply_chain packages build/packages

docs: install ## build the docs site into build/site/, strictly and offline
	@NO_MKDOCS_2_WARNING=1 $(VENV)/bin/mkdocs build -q

notebooks: install ## run all notebooks headless, in order, in a fresh workspace; HTML in build/notebooks/
	@$(RUN) -m workbench notebooks

screenshots: install ## take the README's pictures of the notebooks in headless Chromium
	@$(RUN) -m pytest -q -m screenshots tests/browser

bench: install ## measure every budget beside its peer and print one table (ARGS="--only streaming")
	@$(RUN) benchmarks/budgets.py $(ARGS)

soak: install ## hours-long proofs; results in docs/evidence/
	@$(RUN) -m pytest -q -m soak

clean: ## remove build output (not .venv, not the workspace)
	@rm -rf build/notebooks .pytest_cache .mypy_cache .ruff_cache .hypothesis
