#!/bin/sh
# Entry of the image (Containerfile): runs the study in /study, or in the working folder.
#   IMAGE [ARGUMENTS OF SNAKEMAKE]
#   IMAGE fmrsflow|snakemake|python ARGUMENTS
set -eu
# What a host hands down (apptainer does) must not replace what the image holds.
unset PYTHONPATH PYTHONHOME
if [ ! -w "${HOME:-/}" ]; then
    # Any user id will do: --user, or the host's under apptainer; the image itself is read-only.
    HOME=$(mktemp -d)
    export HOME
fi
[ ! -e /study/config/config.yaml ] || cd /study
case ${1:-} in
    fmrsflow | snakemake | python) exec "$@" ;;
esac
if [ ! -e config/config.yaml ]; then
    sed -n 2,4p "$0" | cut -c3- >&2
    echo "There is no config/config.yaml in $PWD: mount a study folder (docs/scale.md)." >&2
    exit 2
fi
if [ ! -w . ]; then
    echo "User $(id -u) may not write $PWD, where results go: see --user in docs/scale.md." >&2
    exit 2
fi
exec snakemake -s /opt/fmrsflow/Snakefile \
    --workflow-profile /opt/fmrsflow/workflow/profiles/local "$@"
