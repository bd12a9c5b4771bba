# Shorthands for the commands CONTRIBUTING.md explains; `make ci` is what decides.
BIN ?= .venv/bin

.PHONY: test lint types build bench fuzz ci

test:  ; $(BIN)/pytest
lint:  ; $(BIN)/ruff check . && $(BIN)/ruff format --check . && $(BIN)/lint-imports
types: ; $(BIN)/mypy && $(BIN)/mypy tests
build: ; $(BIN)/python -m build
bench: ; $(BIN)/python benchmarks/signing.py
fuzz:  ; for harness in tests/fuzz/fuzz_*.py; do $(BIN)/python $$harness -max_total_time=60 || exit 1; done
ci:    ; .ci/run
