# Every verb of the project. `make help` lists them; CI, the pre-commit hooks and people run the same ones.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

VENV := .venv
BIN := $(VENV)/bin
CACHE := $(HOME)/.cache/imagesearch
MEMBERS := $(wildcard operator/pyproject.toml services/*/pyproject.toml dev/*/pyproject.toml)
MEMBER_DIRS := $(MEMBERS:/pyproject.toml=)
PYTHON_CODE := $(MEMBER_DIRS) bench charts dev/images dev/e2e conftest.py
TYPED_CODE := $(addsuffix /src,$(MEMBER_DIRS)) bench conftest.py

# Compiled bytecode is kept: without it every process that imports ray or mlflow starts seconds later.
unexport PYTHONDONTWRITEBYTECODE
# Nothing that is started here reports to anybody.
export RAY_USAGE_STATS_ENABLED := 0
export MLFLOW_DISABLE_TELEMETRY := true
export DO_NOT_TRACK := true
export HF_HUB_DISABLE_TELEMETRY := 1

FUZZ_SECONDS ?= 60
FUZZERS := $(wildcard services/*/fuzz/fuzz_*.py)

EXAMPLES ?= 10000

SOURCE ?= stamps
TEXT ?=
MODEL ?= starter
# By the environment, so that a quote in TEXT is only a quote.
export SOURCE TEXT MODEL

.PHONY: help
help: ## List these targets
	@awk 'BEGIN {FS = ":.*## "} /^[a-z0-9-]+:.*## / {printf "  \033[1m%-14s\033[0m %s\n", $$1, $$2}' $(MAKEFILE_LIST)

## -- the two commands of the README

.PHONY: demo
demo: setup ## Run everything on this machine: SOURCE=stamps|openmoji|flickr TEXT="..." MODEL=<Hugging Face id>
	@exec $(BIN)/imagesearch-dev demo --source "$$SOURCE" --text "$$TEXT" --model "$$MODEL"

.PHONY: test
test: check unit web-test integration smoke e2e ## Every check and test, the browser's and the cluster's included

## -- the platform on a Kubernetes of its own, or on the kind cluster that KUBECONFIG names

.PHONY: cluster
cluster: setup ## Bring up Kubernetes on this machine (Debian, as root), install everything, index some pictures
	@exec $(BIN)/imagesearch-dev cluster up

.PHONY: cluster-down
cluster-down: ## Remove that Kubernetes with all that is in it (what was compiled stays)
	@dev/cluster/cluster down

.PHONY: cluster-build
cluster-build: ## Compile that Kubernetes, and the API server for the tests: Go, a quarter of an hour, once
	@dev/cluster/cluster build

## -- set-up

.PHONY: setup
setup: $(VENV)/.installed web/dist/index.html ## Install the locked Python packages, the web page's too, and build the page

UV := $(shell command -v uv || echo $(CACHE)/uv/bin/uv)

$(VENV)/.installed: requirements.lock pyproject.toml $(MEMBERS)
	@bash dev/prerequisites.sh
	@test -x "$(UV)" || (echo "==> Installing uv" && python3 -m venv $(CACHE)/uv && $(CACHE)/uv/bin/pip install --quiet uv)
	@echo "==> Installing the Python packages of requirements.lock (7 GB, torch is most of it)"
	@test -x $(BIN)/python || $(UV) venv --quiet --seed $(VENV)
	@VIRTUAL_ENV=$(VENV) $(UV) pip sync --require-hashes requirements.lock
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --no-deps --no-build-isolation $(addprefix -e ,$(MEMBER_DIRS))
	@touch $@

web/node_modules/.installed: web/package.json web/package-lock.json
	@bash dev/prerequisites.sh
	@echo "==> Installing the web page's packages"
	@cd web && npm ci --no-progress --loglevel=error
	@touch $@

WEB_SOURCES := $(shell find web/src web/index.html web/public -type f 2>/dev/null) web/vite.config.ts web/script-budget.ts web/compressed.ts

web/dist/index.html: web/node_modules/.installed $(WEB_SOURCES)
	@echo "==> Building the web page"
	@cd web && npm run --silent build

## -- checks and tests, from quick to long

.PHONY: check
check: setup ## Format, lint, types, import contracts, and that no generated file has drifted
	$(BIN)/ruff format --check $(PYTHON_CODE)
	$(BIN)/ruff check $(PYTHON_CODE)
	$(BIN)/mypy $(TYPED_CODE)
	$(BIN)/lint-imports
	cd web && npm run --silent check

.PHONY: unit
unit: $(VENV)/.installed ## Unit tests: seconds, no servers
	$(BIN)/pytest --numprocesses auto --maxprocesses 4 --dist loadfile -m "not integration and not e2e"

.PHONY: integration
integration: $(VENV)/.installed cluster-build ## Tests against real Kafka, Elasticsearch, Spark, Ray Serve, MLflow and Kubernetes' API
	$(BIN)/pytest --numprocesses 2 --dist loadfile --no-loadscope-reorder -m integration

.PHONY: web-test
web-test: web/node_modules/.installed ## The web page's unit tests
	cd web && npm test --silent

.PHONY: smoke
smoke: setup ## Start everything, search by text and by picture, click through it in Chromium, stop
	@bash dev/prerequisites.sh chromium
	@exec $(BIN)/imagesearch-dev smoke --browser

.PHONY: e2e
e2e: setup ## Tests of the platform on the cluster of `make cluster`
	$(BIN)/pytest -m e2e dev/e2e

.PHONY: fuzz
fuzz: $(VENV)/.installed ## Look for inputs that break the parsers of what strangers send: FUZZ_SECONDS=60 for each
	@VIRTUAL_ENV=$(VENV) $(UV) pip install --quiet --group fuzz
	@for fuzzer in $(FUZZERS); do \
	  corpus=$(CACHE)/fuzz/$$(basename $$fuzzer .py); mkdir -p $$corpus; \
	  echo "==> $$fuzzer for $(FUZZ_SECONDS) s, from the $$(ls $$corpus | wc -l) inputs that were worth keeping"; \
	  $(BIN)/python $$fuzzer $$corpus -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=512 -timeout=2 \
	    -artifact_prefix=$(CACHE)/fuzz/ -print_final_stats=1 || exit 1; \
	done

.PHONY: abuse
abuse: $(VENV)/.installed ## Send the search API requests made of its OpenAPI document, good and bad: EXAMPLES=10000 for each operation
	IMAGESEARCH_API_EXAMPLES=$(EXAMPLES) $(BIN)/pytest services/search/tests/test_api_conformance.py

.PHONY: format
format: $(VENV)/.installed web/node_modules/.installed ## Format the code and apply the linters' safe fixes
	$(BIN)/ruff format $(PYTHON_CODE)
	$(BIN)/ruff check --fix $(PYTHON_CODE)
	cd web && npm run --silent format

## -- generated files

.PHONY: schema
schema: setup ## Write the generated files: the record's JSON Schema, the API's OpenAPI, the page's types, the CRD's reference
	$(BIN)/python -m imagesearch_contract.schema > services/contract/record.schema.json
	$(BIN)/python -m imagesearch_search.openapi > services/search/openapi.json
	$(BIN)/python -m imagesearch_operator.reference charts/imagesearch/files/crd.yaml > docs/imagecollection.md
	cd web && npm run --silent types

.PHONY: lock
lock: ## Resolve requirements.lock anew from every pyproject.toml (UPGRADE=--upgrade for newer versions)
	$(UV) pip compile --quiet --universal --generate-hashes --no-header --no-annotate --group dev $(UPGRADE) pyproject.toml \
	  $(addprefix --no-emit-package ,$(subst _,-,$(notdir $(wildcard operator/src/* services/*/src/* dev/*/src/*)))) -o requirements.lock

.PHONY: clean
clean: ## Remove what was installed and built here (the downloads in ~/.cache/imagesearch stay)
	rm -rf $(VENV) web/node_modules web/dist .mypy_cache .pytest_cache .ruff_cache
