# `make demo` and `make test` are all a fresh machine needs; `make help` lists the rest.

ENV := .venv
BIN := $(ENV)/bin
STAMP := $(ENV)/.complete
# The report is a notebook about a run: `workbench demo` and `workbench batch` execute it, and so do their tests.
NOTEBOOKS := $(filter-out notebooks/backtest_report.ipynb,$(wildcard notebooks/*.ipynb))

# The tests alone start hundreds of processes: none of them should compile the package anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := env
.PHONY: env demo test test-browser soak serve lab live bench lock clean distclean help

env: $(STAMP)  ## build the environment (.venv) from requirements.lock

$(STAMP): requirements.lock pyproject.toml
	@tools/build-env $(ENV)
	@touch $@

demo: env  ## real sample data -> catalog -> backtest -> notebook and HTML report
	@$(BIN)/workbench demo

test: env  ## linters, types, import rules, notebooks and every test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
# One after the other: they share a workspace and its server, and the later ones need the data of the first.
ifneq ($(NOTEBOOKS),)
	WORKBENCH_HOME=$(CURDIR)/build/notebooks $(BIN)/python -m pytest -n 0 --nbval-lax --nbval-current-env $(NOTEBOOKS)
endif
# More processes than two cores: about a third of the time a test waits for others. The plugins would start slowly.
	$(BIN)/python -m pytest -n 3 --dist worksteal -p no:nbval -p no:schemathesis

test-browser: env  ## JupyterLab and Voila in a real browser, with full counts (make test has the smoke of it)
	WORKBENCH_COUNT=50 WORKBENCH_REQUIRE=browser,data $(BIN)/python -m pytest -n 2 --dist loadfile --timeout 0 tests/browser

# The full counts of the tests that repeat: kills at random moments, random configurations, random requests.
soak: env  ## the same crash, configuration and request tests with their full counts (hours)
	WORKBENCH_COUNT=200 $(BIN)/python -m pytest -n 2 --timeout 0 tests/jobs/test_recovery.py tests/jobs/test_cluster.py tests/jobs/test_scheduler.py tests/journeys/test_crashes.py
	WORKBENCH_COUNT=500 $(BIN)/python -m pytest -n 2 --timeout 0 tests/backtest/test_random_configs.py
	WORKBENCH_COUNT=200 $(BIN)/python -m pytest -n 2 --timeout 0 tests/backtest/test_equality.py tests/backtest/test_run.py tests/backtest/test_bookkeeping.py
	WORKBENCH_COUNT=200 $(BIN)/python -m pytest -n 2 --timeout 0 tests/api/test_document.py
	WORKBENCH_COUNT=200 $(BIN)/python -m pytest -n 2 --timeout 0 tests/live/test_journal_crashes.py tests/live/test_journal_feed.py tests/live/test_sandbox.py
	WORKBENCH_COUNT=300 $(BIN)/python -m pytest --timeout 0 tests/journeys/test_engine_cycles.py
	WORKBENCH_COUNT=200 $(BIN)/python -m pytest --timeout 0 tests/journeys/test_kill_matrix.py

serve: env  ## run the server in the foreground (SERVE_ARGS are passed on)
	WORKBENCH_HOME=$${WORKBENCH_HOME:-$(CURDIR)} $(BIN)/workbench serve $(SERVE_ARGS)

lab: env  ## open JupyterLab on the quickstart notebook (LAB_ARGS are passed on)
	WORKBENCH_HOME=$${WORKBENCH_HOME:-$(CURDIR)} $(BIN)/workbench lab $(LAB_ARGS)

live: env  ## serve the dashboards as an app (LIVE_ARGS are passed on)
	WORKBENCH_HOME=$${WORKBENCH_HOME:-$(CURDIR)} $(BIN)/workbench live $(LIVE_ARGS)

bench: env  ## run the benchmarks (long; BENCH_ARGS=--quick for a first look)
	$(BIN)/python benchmarks/run_all.py $(BENCH_ARGS)

lock:  ## resolve pyproject.toml into requirements.lock (LOCK_ARGS=--upgrade takes newer releases)
	python=$$(tools/find-python) && "$$python" -m venv build/lock
	build/lock/bin/python -m pip install -qq "uv>=0.9,<1"
	build/lock/bin/uv pip compile pyproject.toml --extra dev --universal --python-version 3.12 --generate-hashes \
		--no-annotate --no-emit-index-url --custom-compile-command "make lock" --quiet $(LOCK_ARGS) -o requirements.lock

clean:  ## remove caches and what was built; the environment, data and runs stay
	rm -rf build dist .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -not -path './$(ENV)/*' -prune -exec rm -rf {} +

distclean: clean  ## remove the environment too
	rm -rf $(ENV) nautilus_workbench.egg-info

help:  ## say what there is
	@sed -n 's/^\([a-z-]*\):.*##  *\(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 12
