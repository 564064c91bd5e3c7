# The tasks of the project. `make` alone lists them; each sets up what it needs (scripts/setup.sh) and can be repeated.
#
#   make test ARGS="tests/spaces -k inner"    hands ARGS to the program behind the task
#   make demo PYTHON=python3.12                       makes the virtual environment with that interpreter

.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help demo test lint format types docs bench wheel sdist check clean setup

PYTHON ?=
ARGS ?=
export PYTHON

run := .venv/bin/python

help: ## list the tasks
	@echo "Tasks (make TASK):"
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-8s %s\n", $$1, $$2 }' Makefile

demo: ## set up, build and reconstruct a phantom: a picture and a table in demo/
	@sh scripts/setup.sh demo
	@$(run) examples/demo.py --output demo/ $(ARGS)

test: ## set up, build and run the whole test suite with its doctests (ARGS="-k name" to choose)
	@sh scripts/setup.sh dev
	@$(run) -m pytest $(ARGS)

setup: ## only set up: the virtual environment .venv with opalg, editable, and all extras
	@sh scripts/setup.sh dev

lint: setup ## check style and format
	@$(run) -m ruff check . $(ARGS)
	@$(run) -m ruff format --check .

format: setup ## mend style and format where that can be done safely
	@$(run) -m ruff check --fix .
	@$(run) -m ruff format .

types: setup ## check types, on the wheel as users install it
	@$(run) scripts/check_types.py $(ARGS)

docs: setup ## build the documentation, running its examples; a warning is an error (docs/_build/html)
	@$(run) -m sphinx -W --keep-going -n -b html -d docs/_build/doctrees docs docs/_build/html $(ARGS)
	@echo "The documentation is in docs/_build/html/index.html"

bench: ## measure speed against peers
	@sh scripts/setup.sh bench
	@$(run) benchmarks/run.py $(ARGS)

wheel: setup ## build a wheel and try it in an environment of its own, outside the source tree
	@$(run) scripts/try_wheel.py --from tree

sdist: setup ## build a source archive, a wheel from it alone, and try that wheel
	@$(run) scripts/try_wheel.py --from sdist

check: ## run exactly what CI runs
	@bash .ci/run

clean: ## remove everything the tasks made, .venv included
	rm -rf .venv build dist demo docs/_build docs/api docs/gallery .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
