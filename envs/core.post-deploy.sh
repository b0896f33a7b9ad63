#!/bin/sh
# Snakemake (--sdm conda) runs this in the environment that it made from core.yaml: the package.
set -eu
if [ -e "$FMRSFLOW_ROOT/pyproject.toml" ]; then
    python -m pip install --quiet --no-deps --no-build-isolation --editable "$FMRSFLOW_ROOT"
else
    # A wheel: the package as it is installed, and what tells its version.
    packages=$(python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')
    cp -R "$FMRSFLOW_ROOT/.." "$packages/fmrsflow"
    cp -R "$FMRSFLOW_ROOT"/../../fmrsflow-*.dist-info "$packages"
fi
