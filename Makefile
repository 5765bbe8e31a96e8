# Everything a developer does. `make` alone lists it.

SHELL := /bin/bash
.DEFAULT_GOAL := help
export PATH := $(CURDIR)/target/tools/bin:$(PATH)
# Queries are checked against the descriptions in the repository, not against a database.
export SQLX_OFFLINE := true

NEXTEST_PROFILE := $(if $(CI),ci,default)

.PHONY: help
help: ## Show this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: demo
demo: ## Watch deliveries, retries and a suspension on this machine; ONCE=1 ends after one round. Needs only Rust
	@cargo run --quiet -p whimbrel -- demo $(if $(ONCE),--once)

.PHONY: run
run: ## Run everything in one process on the embedded engine, data in ./whimbrel-data. Needs only Rust
	@cargo run --quiet -p whimbrel -- serve

.PHONY: test
test: tools ## Run every test against private servers, and the verifiers in other languages
	cargo build --workspace --bins
	tests/wire/setup
	tests/wire/selftest
	tests/fuzz/setup
	tests/upgrade/setup
	tests/deploy/setup
	tests/prometheus/setup
	cargo test --quiet --doc --workspace
	deploy/dev/with-services cargo nextest run --workspace --profile $(NEXTEST_PROFILE)

.PHONY: lint
lint: tools ## Check formatting, lints, dependencies, licences and spelling
	cargo fmt --all --check
	taplo fmt --check
	cargo clippy --workspace --all-targets -- -D warnings
	# Also says when Cargo.lock is behind; the next line then needs no network.
	cargo fetch --quiet --locked
	cargo deny --offline check bans licenses sources
	typos

.PHONY: chaos
chaos: tools ## Run only the scenarios that kill and cut things; SEED=n repeats a run
	cargo build --workspace --bins
	$(if $(SEED),WHIMBREL_CHAOS_SEED=$(SEED)) deploy/dev/with-services \
		cargo nextest run --workspace -E 'package(whimbrel-tests) & test(chaos)' --profile $(NEXTEST_PROFILE)

.PHONY: bench
bench: tools ## Measure both engines, in about 5 minutes; BENCH=quick in 1, BENCH=full with a soak; RUNS=n takes medians
	cargo build --profile dist --workspace --bin whimbrel --bin whimbrel-bench
	target/dist/whimbrel-bench $(if $(BENCH),--$(BENCH)) $(if $(RUNS),--runs $(RUNS)) $(BENCHFLAGS)

.PHONY: up
up: tools ## Start a PostgreSQL and a RabbitMQ for development
	@deploy/dev/services up

.PHONY: down
down: ## Stop them and forget what is in them
	@deploy/dev/services down

.PHONY: clean
clean: down ## Remove all that was built, and what `make run` stored
	cargo clean
	rm -rf whimbrel-data

.PHONY: tools
tools:
	@deploy/dev/install
