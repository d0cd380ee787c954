# Everything that is needed is installed by the targets themselves, below this folder: `make run` in a fresh clone is enough.
PYTHON ?= $(firstword $(shell command -v python3.13 python3))
UV := uv==0.13.9
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
# On Lambda the layer puts the package on the path.
LAYER := layers/after_hours/python

# node and npm come with the virtual environment, too.
export PATH := $(CURDIR)/$(BIN):$(PATH)

PYTHON_REQUIREMENTS := requirements.txt $(wildcard layers/*/requirements.txt functions/*/requirements.txt)
MINISTACK_REQUIREMENTS := local/ministack-requirements.txt

PYTHON_READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
MINISTACK_READY := .local/ministack/.ready
EVERYTHING := $(PYTHON_READY) $(NODE_READY) $(MINISTACK_READY)

.DEFAULT_GOAL := help
# What `make synth` shows the templates for, when nothing else is said.
# What the apps that are out were made for.
BASE ?= origin/main
DATABASE_SECRET_ARN ?= arn:aws:secretsmanager:eu-west-1:123456789012:secret:example-a1B2c3

.PHONY: help setup run test demo invoke redrive lint format bench openapi compatible synth

help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: $(EVERYTHING) ## Install everything, below this folder

run: $(EVERYTHING) ## Run the whole system on this machine until Ctrl-C
	@$(RUN) local.run

demo: $(PYTHON_READY) ## Play the whole story against the running system
	@$(RUN) local.demo

invoke: $(PYTHON_READY) ## Send a sample event: make invoke FUNCTION=start_session [EVENT=valid]
	@$(RUN) local.invoke "$(FUNCTION)" $(if $(EVENT),"$(EVENT)")

test: $(EVERYTHING) ## Run every test
	$(RUN) pytest

redrive: $(PYTHON_READY) ## Send back what a dead-letter queue holds: make redrive QUEUE=<its url>
	@$(RUN) ops.redrive "$(QUEUE)"

lint: $(PYTHON_READY) ## Check format, style and types; changes nothing
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

format: $(PYTHON_READY) ## Format, and correct what can be corrected
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(EVERYTHING) ## Measure what the design promises
	@$(RUN) benchmarks

openapi: $(PYTHON_READY) ## Write docs/openapi.json anew
	@PYTHONPATH=$(LAYER) $(RUN) contract

compatible: $(PYTHON_READY) ## Refuse a docs/openapi.json that breaks apps: make compatible [BASE=origin/main]
	@PYTHONPATH=$(LAYER) $(RUN) contract --against "$(BASE)"

synth: $(PYTHON_READY) $(NODE_READY) ## Write the CloudFormation template to cdk.out: make synth [DATABASE_SECRET_ARN=…]
	@node_modules/.bin/cdk synth --quiet -c databaseSecretArn="$(DATABASE_SECRET_ARN)"

$(PYTHON_READY): $(PYTHON_REQUIREMENTS)
	@echo "Installing the Python environment into $(VENV) (a minute or so)…"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -c 'import sys; sys.exit(sys.version_info[:2] != (3, 13))' \
		|| { echo "$(VENV) is not Python 3.13. Remove it, or name one: make PYTHON=/path/to/python3.13"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check $(UV)
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --requirement requirements.txt
	@touch $@

$(NODE_READY): package.json package-lock.json $(PYTHON_READY)
	@echo "Installing the CDK command line into node_modules…"
	@$(BIN)/npm ci --silent --no-audit --no-fund
	@touch $@

$(MINISTACK_READY): $(MINISTACK_REQUIREMENTS) $(PYTHON_READY)
	@echo "Installing the local AWS into .local/ministack…"
	@mkdir -p .local
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .local/ministack
	@$(BIN)/uv pip install --quiet --python .local/ministack/bin/python --requirement $(MINISTACK_REQUIREMENTS)
	@touch $@
