#!/usr/bin/env bash
# The image of this checkout, built and run without a container engine's daemon. Needs root.
#   image.sh install                 Debian's buildah and debootstrap
#   image.sh build DIR               base by debootstrap, wheels by pip, then the image, offline
#   image.sh run DIR USER STUDY ..   the entry point on a study, data read-only, no network
#   image.sh remove DIR              all that build made
# build ends with 4 where Debian's packages or the wheels cannot be had.
set -euo pipefail

repository=$(cd "$(dirname "$0")/../.." && pwd)

engine() {
    buildah --root "$state/storage" --runroot "$state/run" --storage-driver overlay "$@"
}

# Chroot isolation shares the caller's network: a namespace with no device takes it away.
offline() {
    unshare --net -- buildah --root "$state/storage" --runroot "$state/run" \
        --storage-driver overlay "$@"
}

install_packages() {
    command -v buildah >/dev/null && command -v debootstrap >/dev/null && return
    apt-get update -qq
    DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        buildah debootstrap
}

# An image is written three times (files, layer, store): in memory where there is enough of it.
workplace() {
    mkdir -p "$state"
    if [ "$(awk '/MemAvailable/ {print int($2 / 1048576)}' /proc/meminfo)" -ge 12 ]; then
        mount -t tmpfs -o size=6g,mode=0755 fmrsflow-image "$state"
    fi
    mkdir -p "$state/tmp" "$state/context/wheels"
}

base() {
    local container root
    container=$(engine from scratch)
    root=$(engine mount "$container")
    debootstrap --variant=minbase --include=python3,python3-venv bookworm "$root" \
        >"$state/debootstrap.log" 2>&1 || { tail -n 5 "$state/debootstrap.log" >&2; return 4; }
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/var/lib/apt/lists/*
    engine umount "$container" >/dev/null
    engine commit --quiet --rm "$container" base >/dev/null
}

wheels() {
    "${PYTHON:-python3}" -m pip download --quiet --quiet --disable-pip-version-check --no-deps \
        --require-hashes -r "$repository/envs/core-lock.txt" -d "$state/context/wheels" || return 4
}

build() {
    local downloading
    workplace
    wheels &
    downloading=$!
    base || return
    wait "$downloading" || return
    # What .dockerignore lets through, and no study that was run in this checkout.
    (cd "$repository" && sed -n '/^!wheels$/d; s/^!//p' .dockerignore |
        tar c --exclude=__pycache__ --exclude=.snakemake --exclude=examples \
            Containerfile .dockerignore --files-from=-) | tar x -C "$state/context"
    offline bud --isolation chroot --quiet --tag fmrsflow \
        --build-arg BASE=localhost/base --build-arg PIP_NO_INDEX=1 \
        --build-arg FMRSFLOW_COMMIT=tested "$state/context" >"$state/build.log" 2>&1 ||
        { tail -n 20 "$state/build.log" >&2; return 1; }
    rm -rf "$state/context"
}

run() {
    local user=$1 study=$2 container status=0
    shift 2
    container=$(engine from fmrsflow)
    # Buildah takes no entry point from the image.
    offline run --isolation chroot --user "$user" \
        --volume "$study:/study" --volume "$study/data:/study/data:ro" \
        "$container" -- /opt/fmrsflow/envs/entry.sh "$@" || status=$?
    engine rm "$container" >/dev/null
    return "$status"
}

remove() {
    [ ! -d "$state/storage" ] || engine rm --all >/dev/null 2>&1 || true
    ! mountpoint --quiet "$state/storage/overlay" || umount "$state/storage/overlay"
    ! mountpoint --quiet "$state" || umount "$state"
    rm -rf --one-file-system "$state"
}

command=${1:-help}
if [ $# -ge 2 ]; then
    state=$(realpath -m "$2")
    export TMPDIR="$state/tmp" # of the layers that buildah copies
fi
case $command in
    install) install_packages ;;
    build | remove) "$command" ;;
    run) user=$3 study=$(realpath "$4"); shift 4; run "$user" "$study" "$@" ;;
    *) sed -n '2,7s/^# //p' "$0"; exit 2 ;;
esac
