# Everything that is needed is installed by the targets themselves, below this folder: `make run` in a fresh clone is enough.
# PYTHON names the one to use; without it, tools/local/venv.sh finds a Python 3.13 on the path.
VENV := .venv
BIN := $(VENV)/bin
RUN := $(BIN)/python -m
# On Lambda the layer puts the package on the path.
LAYER := layers/after_hours/python

# node and npm come with the virtual environment, too.
export PATH := $(CURDIR)/$(BIN):$(PATH)

# Caches are below this folder, too: a HOME may be read-only, or none. Several clones may share those that are named.
export UV_CACHE_DIR ?= $(CURDIR)/.local/cache/uv
export PIP_CACHE_DIR ?= $(CURDIR)/.local/cache/pip
export npm_config_cache ?= $(CURDIR)/.local/cache/npm
export JSII_RUNTIME_PACKAGE_CACHE_ROOT ?= $(CURDIR)/.local/cache/jsii
export CDK_HOME ?= $(CURDIR)/.local/cache/cdk
# Byte-code is kept whatever the shell says: collecting the tests takes 7 s of each process with it, and 24 without.
unexport PYTHONDONTWRITEBYTECODE

PYTHON_LOCK := requirements.lock
MINISTACK_REQUIREMENTS := tools/local/ministack-requirements.txt

PYTHON_READY := $(VENV)/.ready
NODE_READY := node_modules/.ready
MINISTACK_READY := .local/ministack/.ready
EVERYTHING := $(PYTHON_READY) $(NODE_READY) $(MINISTACK_READY)

.DEFAULT_GOAL := help
CORES := $(shell getconf _NPROCESSORS_ONLN)
# One of them mostly waits for the deployed system.
TEST_PROCESSES ?= $(shell expr $(CORES) + 1)
# What the apps that are out were made for.
BASE ?= origin/main
# What `make synth` writes the template for. The local stage always has a database given, so examples stand for its secrets.
SYNTHESIZED = $(or $(STAGE),dev)
EXAMPLE_SECRET = $(if $(filter local,$(SYNTHESIZED)),arn:aws:secretsmanager:us-east-1:000000000000:secret:example-)
DATABASE_SECRET_ARN ?= $(EXAMPLE_SECRET:%-=%-a1B2c3)
APP_DATABASE_SECRET_ARN ?= $(EXAMPLE_SECRET:%-=%-d4E5f6)
CONTEXT = -c stage="$(SYNTHESIZED)" -c alarmEmail="$(ALARM_EMAIL)" -c databaseSecretArn="$(DATABASE_SECRET_ARN)" \
	-c appDatabaseSecretArn="$(APP_DATABASE_SECRET_ARN)" $(OPTIONS)

.PHONY: help setup run test test-fast fuzz demo invoke events events-run redrive sql pause resume lint licences format bench openapi schema dart compatible synth diff deploy coverage lock clean stop logs debug psql token reset page screenshots rights soak

# What tidies up when it ends is started by `exec`: a kill of make reaches it then, and no shell between them.

# A target's help begins with who uses it; developers, when it says nothing.
help: ## newcomer: Show this list
	@awk -F ':.*## ' ' \
		/^[a-z-]+:.*## / { \
			who = match($$2, /^(newcomer|tester|developer|ops): /) ? substr($$2, 1, RLENGTH - 2) : "developer"; \
			sub(/^(newcomer|tester|developer|ops): /, "", $$2); \
			lines[who] = lines[who] sprintf("  make %-13s %s\n", $$1, $$2) \
		} \
		END { \
			print "For newcomers\n" lines["newcomer"] "\nFor testers\n" lines["tester"]; \
			printf "For developers\n%s\nFor ops\n%s", lines["developer"], lines["ops"] \
		}' $(MAKEFILE_LIST)

setup: $(EVERYTHING) ## newcomer: Install everything, below this folder

run: $(EVERYTHING) ## newcomer: Run the whole system on this machine until Ctrl-C: make run [PORT=4566]
	@exec $(RUN) tools.local run $(if $(PORT),--port "$(PORT)")

debug: $(PYTHON_READY) ## developer: Run one handler in this process: make debug FUNCTION=start_session [EVENT=valid]
	@$(RUN) tools.local invoke --here "$(FUNCTION)" $(if $(EVENT),"$(EVENT)")

logs: $(PYTHON_READY) ## tester: Follow what the functions write: make logs [FUNCTION=start_session]
	@$(RUN) tools.local logs $(if $(FUNCTION),"$(FUNCTION)")

psql: $(PYTHON_READY) ## tester: Open the database of the running system: make psql [SQL="SELECT 1"] [STATEMENT=sessions._START]
	@$(RUN) tools.local psql $(if $(SQL),"$(SQL)") $(if $(STATEMENT),--statement "$(STATEMENT)")

# USER is also a variable of every shell: only one that is given here counts.
token: $(PYTHON_READY) ## tester: Print a token, of every stage but prod: make token USER=local-entitled [STAGE=local]
	@$(RUN) tools.local token "$(or $(STAGE),local)" $(if $(findstring command,$(origin USER)),"$(USER)")

reset: $(PYTHON_READY) ## tester: Forget all that members did on the local system
	@$(RUN) tools.local reset

stop: $(PYTHON_READY) ## newcomer: End the running system, as Ctrl-C does where it was started
	@$(RUN) tools.local stop

page: $(PYTHON_READY) $(NODE_READY) ## developer: Serve the page once more, to work on its server: make page [PORT=8765]
	@exec $(RUN) tools.local page $(if $(PORT),--port "$(PORT)")

demo: $(PYTHON_READY) ## newcomer: Play the whole story against the running system
	@$(RUN) tools.local demo

invoke: $(PYTHON_READY) ## tester: Send a sample event: make invoke FUNCTION=start_session [EVENT=valid] [JSON=1]
	@$(RUN) tools.local invoke "$(FUNCTION)" $(if $(EVENT),"$(EVENT)") $(if $(JSON),--json)

events: $(PYTHON_READY) ## tester: List the sample events: what each needs, and what comes of it
	@$(RUN) tools.local events

events-run: $(PYTHON_READY) ## tester: Play all sample events on the running system, each in the state that it needs
	@$(RUN) tools.local events --run

test: $(EVERYTHING) ## Run every test
	$(RUN) pytest -n $(TEST_PROCESSES)

screenshots: $(EVERYTHING) ## Take the pictures of docs/page.md anew, by the test that plays the page
	SCREENSHOTS=docs/page $(RUN) pytest tests/e2e/test_page.py

test-fast: $(PYTHON_READY) ## Run the tests of a minute or two: no deployment, no synthesis, no pictures, no races
	$(RUN) pytest -n $(CORES) -m "not slow" --ignore-glob='*/test_images*.py' tests/unit tests/integration

fuzz: $(PYTHON_READY) ## Play new stories that follow docs/openapi.json: make fuzz [STORIES=500]
	$(RUN) pytest --quiet --fuzz-stories="$(or $(STORIES),500)" tests/integration/test_fuzz.py

redrive: $(PYTHON_READY) ## ops: Send back what a dead-letter queue holds: make redrive QUEUE=<its url>
	@$(RUN) tools.ops.redrive "$(QUEUE)"

sql: $(PYTHON_READY) ## ops: Run SQL on a stage's own cluster: make sql STAGE=prod SQL="SELECT …", or FILE=… [LINES=…]
	@$(RUN) tools.ops.sql "$(STAGE)" $(if $(SQL),--sql "$(subst ",\",$(SQL))") $(if $(FILE),--file "$(FILE)") \
		$(if $(LINES),--lines "$(LINES)")

pause: $(PYTHON_READY) ## ops: Stop all functions of a stage, before a restore: make pause STAGE=prod
	@$(RUN) tools.ops.pause pause "$(STAGE)"

resume: $(PYTHON_READY) ## ops: Let them run again, as the stage's row reserves: make resume STAGE=prod
	@$(RUN) tools.ops.pause resume "$(STAGE)"

lint: $(PYTHON_READY) $(NODE_READY) ## Check format, style, types, new migrations and the API's description; changes nothing
	@echo "1 of 5: format"
	@$(BIN)/ruff format --check .
	@echo "2 of 5: style"
	@$(BIN)/ruff check .
	@echo "3 of 5: types (a minute the first time)"
	@$(BIN)/mypy
	@echo "4 of 5: new migrations"
	@$(BIN)/squawk --config .squawk.toml migrations/versions/*.sql
	@echo "5 of 5: the API's description"
	@REDOCLY_TELEMETRY=off REDOCLY_SUPPRESS_UPDATE_NOTICE=true node_modules/.bin/redocly lint docs/openapi.json
	@node_modules/.bin/spectral lint --fail-severity=hint docs/openapi.json

licences: $(PYTHON_READY) ## List the licences of what runs on Lambda; fails when one is not on the reviewed list
	@$(RUN) tools.ops.licences

coverage: $(EVERYTHING) ## Run the tests that need no deployed stack, and hold branch coverage to its floor
	$(BIN)/coverage run -m pytest tests/unit tests/integration tests/infra
	$(BIN)/coverage report

format: $(PYTHON_READY) ## Format, and correct what can be corrected
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(EVERYTHING) ## Measure what the design promises: make bench [PART=warm] [QUICK=1]
	@PYTHONPATH=$(LAYER) $(RUN) tools.benchmarks $(PART) $(if $(QUICK),--quick)


soak: $(EVERYTHING) ## Lose nothing, whatever dies, on a local stack: make soak [MINUTES=2] [SEED=…]
	@exec $(RUN) tools.soak $(if $(MINUTES),--minutes "$(MINUTES)") $(if $(SEED),--seed "$(SEED)")

openapi: $(PYTHON_READY) ## Write docs/openapi.json, with examples from real answers, and docs/events anew
	@$(RUN) pytest --quiet --no-header --write-examples tests/integration/test_contract.py -k every_documented_answer
	@PYTHONPATH=$(LAYER) $(RUN) tools.contract

schema: $(PYTHON_READY) ## Write docs/schema.sql, the tables and what is said of each, anew
	@PYTHONPATH=$(LAYER) $(RUN) tools.contract.tables

dart: $(PYTHON_READY) ## Write a Dart client of the API: make dart [INTO=.build/dart]; Java is needed
	@command -v java > /dev/null || { echo "openapi-generator needs Java, and there is none here."; exit 1; }
	@$(BIN)/openapi-generator-cli generate --config tools/contract/dart.yaml --output "$(or $(INTO),.build/dart)" > /dev/null
	@echo "Wrote the Dart package after_hours_client to $(or $(INTO),.build/dart)"

compatible: $(PYTHON_READY) ## Refuse what breaks apps or consumers of events: make compatible [BASE=origin/main]
	@PYTHONPATH=$(LAYER) $(RUN) tools.contract --against "$(BASE)"

synth: $(PYTHON_READY) $(NODE_READY) ## ops: Write a stage's template: make synth [STAGE=prod] [ALARM_EMAIL=…] [OPTIONS="-c …"]
	@$(if $(filter local,$(SYNTHESIZED)),AWS_REGION=us-east-1) node_modules/.bin/cdk synth --quiet $(CONTEXT)
	@echo "cdk.out/AfterHours-$(SYNTHESIZED).template.json is the template of the stage $(SYNTHESIZED)."

diff: $(PYTHON_READY) $(NODE_READY) ## ops: Show what a deployment would change: make diff STAGE=prod ALARM_EMAIL=…
	@node_modules/.bin/cdk diff --method template $(CONTEXT)

deploy: $(PYTHON_READY) $(NODE_READY) ## ops: Deploy a stage: make deploy STAGE=prod ALARM_EMAIL=… [OPTIONS="-c …"]
	@$(RUN) tools.ops.deploy $(CONTEXT) -- node_modules/.bin/cdk deploy $(if $(CI),--require-approval never) \
		--outputs-file cdk.out/outputs.json

rights: $(PYTHON_READY) ## Write docs/rights.md and tests/infra/snapshots, which reviewers read, anew from the templates
	@$(RUN) pytest --quiet --no-header --write-snapshots tests/infra/test_snapshots.py

lock: $(PYTHON_READY) ## Write requirements.lock anew, with what the requirements name and all that it needs
	$(BIN)/uv pip compile --quiet --universal --python-version 3.13 --generate-hashes --no-annotate \
		--custom-compile-command "make lock" --output-file $(PYTHON_LOCK) requirements.txt

clean: ## Remove what was built, synthesized, measured and cached; what is installed and what runs stays
	rm -rf .bench .build .coverage .hypothesis .mypy_cache .pytest_cache .ruff_cache cdk.out
	find . -name __pycache__ -not -path './.venv/*' -not -path './.local/*' -not -path './node_modules/*' \
		-prune -exec rm -rf {} +

# The Python that it was made with may be gone, or another one after an upgrade of this machine.
ifneq ($(shell $(BIN)/python -ISc 'import sys; print(*sys.version_info[:2])' 2>/dev/null),3 13)
$(PYTHON_READY): FORCE
FORCE:
endif

$(PYTHON_READY): $(PYTHON_LOCK)
	@echo "Installing the Python environment into $(VENV) (a minute or so)…"
	@tools/local/venv.sh "$(PYTHON)"
	@sed -n '/^uv==/,/[^\\]$$/p' $(PYTHON_LOCK) > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/uv.lock
	@$(BIN)/uv pip install --quiet --python $(BIN)/python --require-hashes --requirement $(PYTHON_LOCK)
	@touch $@

$(NODE_READY): package.json package-lock.json $(PYTHON_READY)
	@echo "Installing the CDK command line, and what reads the API's description, into node_modules…"
	@$(BIN)/npm ci --silent --no-audit --no-fund
	@touch $@

$(MINISTACK_READY): $(MINISTACK_REQUIREMENTS) $(PYTHON_READY)
	@echo "Installing the local AWS into .local/ministack…"
	@mkdir -p .local
	@$(BIN)/uv venv --quiet --clear --python $(BIN)/python .local/ministack
	@$(BIN)/uv pip install --quiet --python .local/ministack/bin/python --requirement $(MINISTACK_REQUIREMENTS)
	@touch $@
