# What a person runs here. `make` alone prints the menu. CARGO_TARGET_DIR is honoured.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.ONESHELL:
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help test faults check deny fmt docs bench demo packages python kafka-jars

export PATH := $(HOME)/.cargo/bin:$(PATH)

TARGET := $(abspath $(or $(CARGO_TARGET_DIR),target))
JARS := $(TARGET)/kafka-jars
VENV := $(TARGET)/test-python
# The engines of other people that must read what we write, a server that speaks S3, and what docs/verify.py needs.
PYTHON_PACKAGES := deltalake==1.6.6 duckdb==2.0.0 pyarrow==26.0.1 moto[s3,server]==5.2.5 cryptography==50.0.2

help: ## prints this menu
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' Makefile

test: packages python kafka-jars check ## installs what is missing, then checks and tests everything
	@if [ -e $(VENV)/packages.txt ]; then export SURETY_TEST_PYTHON=$(VENV)/bin/python; fi
	cargo test --workspace --locked

# The tests that docs/faults.md names, each made larger. A size that is set already stays.
faults: packages python kafka-jars ## all fault tests of docs/faults.md, the long ones too: tries and failures of each id
	@if [ -e $(VENV)/packages.txt ]; then export SURETY_TEST_PYTHON=$(VENV)/bin/python; fi
	export SURETY_TEST_SEEDS=$${SURETY_TEST_SEEDS:-10000} SURETY_TEST_CRASHES=$${SURETY_TEST_CRASHES:-3}
	export SURETY_TEST_DELTA_SEEDS=$${SURETY_TEST_DELTA_SEEDS:-300} SURETY_TEST_TWINS=$${SURETY_TEST_TWINS:-100}
	export SURETY_TEST_EVENTS=$${SURETY_TEST_EVENTS:-200000} SURETY_TEST_KILLS=$${SURETY_TEST_KILLS:-10}
	export SURETY_TEST_WRITERS=$${SURETY_TEST_WRITERS:-8} SURETY_TEST_STORM_S=$${SURETY_TEST_STORM_S:-60}
	export SURETY_TEST_STORE_COMMITS=$${SURETY_TEST_STORE_COMMITS:-8} SURETY_TEST_LATENCY_MS=$${SURETY_TEST_LATENCY_MS:-500}
	export SURETY_TEST_COMMITS=$${SURETY_TEST_COMMITS:-9000} SURETY_TEST_NAMES=$${SURETY_TEST_NAMES:-1000000}
	export SURETY_TEST_SECRETS=$${SURETY_TEST_SECRETS:-100000} SURETY_TEST_KILL_S=$${SURETY_TEST_KILL_S:-600}
	export SURETY_TEST_DISK=$${SURETY_TEST_DISK:-10}
	names=$$(grep -E '^\| [EDOS][0-9]+ ' docs/faults.md | grep -oE '`[a-z0-9]+(_[a-z0-9]+){2,}`' | tr -d '`' | sort -u)
	cargo test --workspace --locked --no-run
	cargo test --workspace --locked --no-fail-fast -- $$names 2>&1 | tee $(TARGET)/faults.log || true
	awk -f tests/faults.awk docs/faults.md $(TARGET)/faults.log

check: deny ## format, lints, licences; runs no test
	@cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings

deny: ## licences, banned crates and sources, where cargo-deny is installed
	@if ! command -v cargo-deny > /dev/null; then
		echo "skipped: cargo-deny is not installed, so licences, bans and sources are not checked"
		exit 0
	fi
	cargo deny --locked check bans licenses sources

fmt: ## formats every source
	cargo fmt --all

docs: ## rewrites what is generated from the types: docs/tables.md and the JSON schemas
	SURETY_REWRITE_DOCUMENTS=1 cargo test --workspace --locked --test documents

bench: ## runs the benchmarks (release build)
	cargo bench --workspace --locked

demo: ## the company under attack, watched (release build)
	cargo run --release --locked -- demo

packages: ## installs missing system packages: C compiler, Java, Maven, Python, Chromium
	@missing() {
		local java='"(1[7-9]|[2-9][0-9])[."]'
		command -v cc > /dev/null && command -v c++ > /dev/null || echo build-essential
		java -version 2>&1 | grep -qE "$$java" || echo default-jre-headless
		command -v mvn > /dev/null || echo maven
		python3 -c 'import ensurepip, venv' 2> /dev/null || echo python3-venv
		command -v chromium chromium-browser google-chrome > /dev/null || echo chromium
	}
	wanted=$$(missing)
	if [ -n "$$wanted" ] && command -v apt-get > /dev/null; then
		echo "installing:" $$wanted
		as_root=$$([ "$$(id -u)" = 0 ] || echo sudo)
		export DEBIAN_FRONTEND=noninteractive
		$$as_root apt-get update -q > /dev/null || true
		$$as_root apt-get install -y -q --no-install-recommends $$wanted > /dev/null || true
		wanted=$$(missing)
	fi
	if [ -n "$$wanted" ]; then
		echo "missing, and not to be had by apt-get here:" $$wanted
		echo "tests that need them are skipped, and say so"
	fi
	if ! command -v cc > /dev/null; then echo "error: no C compiler"; exit 1; fi
	if ! command -v cargo > /dev/null; then echo "error: no Rust: see rustup.rs"; exit 1; fi

python: packages ## the Python that reads our tables with other engines
	@wanted='$(PYTHON_PACKAGES)'
	if [ "$$(cat $(VENV)/packages.txt 2> /dev/null)" = "$$wanted" ]; then exit 0; fi
	echo "installing $$wanted into $(VENV)"
	rm -rf $(VENV)
	mkdir -p $(TARGET)
	if python3 -m venv $(VENV) && $(VENV)/bin/pip install -q --disable-pip-version-check $$wanted; then
		echo "$$wanted" > $(VENV)/packages.txt
	else
		echo "skipped: no Python engines, so nobody else reads our tables in this run"
	fi

# The same folder, lock and rule as tests/integration/broker.rs: the copy of pom.xml is written last.
kafka-jars: packages ## the Kafka broker of the integration tests
	@mkdir -p $(TARGET)
	exec 9> $(TARGET)/kafka-jars.lock
	flock 9
	if cmp -s tests/kafka/pom.xml $(JARS)/pom.xml; then exit 0; fi
	echo "fetching the Kafka jars into $(JARS)"
	rm -rf $(JARS)
	if mvn --quiet --batch-mode --file tests/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory=$(JARS); then
		cp tests/kafka/pom.xml $(JARS)/pom.xml
	else
		echo "skipped: no Kafka jars, so no test meets a real broker in this run"
	fi
