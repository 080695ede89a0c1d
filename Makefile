# The front door. Each command installs what it needs and is missing.
MAKEFLAGS += --no-print-directory
SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help build run test soak bench fuzz coverage format clean

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## builds build/release/arrowport
	@scripts/install-build-deps
	@scripts/build release

run: ## builds and starts the server: port 8888, data/arrowport.duckdb
	@scripts/run

test: ## everything that a change must pass
	@scripts/test

soak: ## what takes longer; appends to tests/soak/RESULTS.md
	@scripts/soak

bench: ## compares with other programs
	@scripts/bench

fuzz: ## fuzzes every target for FUZZ_SECONDS (60)
	@scripts/install-test-deps
	@scripts/fuzz

coverage: ## runs the unit tests and reports which lines they reach
	@scripts/coverage

format: ## formats the sources
	@scripts/install-test-deps
	@scripts/check-style --fix

clean: ## removes what was built; keeps .deps (downloads) and data
	@rm -rf build
