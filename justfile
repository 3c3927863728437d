# Tasks of the project: just --list

# Install the package with everything that tests and documentation need
install:
    pip install -e '.[test]'

# Run the default tests, or the given ones
test *paths:
    pytest -n 2 {{paths}}

# Check style, formatting, imports and dead code
lint:
    ruff check
    ruff format --check
    lint-imports
    vulture

# Check types
types:
    mypy --strict
    mypy tests

# Build the documentation into build/site; `just docs serve` shows it
docs command="build":
    mkdocs {{command}} --strict

# Measure a training step next to snnTorch, SpikingJelly and ReLU: about ten minutes, 16 GB
bench:
    pip install -e '.[bench]'
    python -m benchmarks.speed.speed --rounds 8 --steps 3

# Run the notebook of the documentation and store its outputs
notebook:
    python docs/scripts/notebook.py

# Draw the pictures of the documentation again
pictures output="out.txt":
    python docs/scripts/architecture.py
    python docs/scripts/record.py "snnsearch launch spaces/smoke.yaml" {{output}} docs/assets/first-run.svg

# Run everything that a change must pass, in a fresh virtual environment
ci:
    bash .ci/run
