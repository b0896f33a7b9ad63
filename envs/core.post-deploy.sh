#!/bin/sh
# Snakemake (--sdm conda) runs this in the environment that it made from core.yaml: the package.
set -eu
python -m pip install --quiet --no-deps --no-build-isolation --editable "$FMRSFLOW_ROOT"
