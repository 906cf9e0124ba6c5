#!/usr/bin/env bash
# What is published, built and checked:  bash release/build.sh  ->  dist/*.whl, dist/*.tar.gz
# Wheels are for Linux with glibc 2.17 or later, one a machine for all Pythons: zig compiles the core, also for machines other
# than this one. Elsewhere pip compiles the source archive. Both are installed into fresh environments, and score two images.
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python -m pip install --quiet --disable-pip-version-check ziglang
rm -rf dist
python -m hatchling build -t sdist -d dist
for machine in x86_64 aarch64; do
    PANOPTIC_EVAL_TARGET=$machine python -m hatchling build -t wheel -d dist
done
rm dist/core-*.so # which hatch_build.py leaves there
python -m twine check --strict dist/*
python release/check.py dist
place=$(mktemp -d)
trap 'rm -rf "$place"' EXIT
for archive in dist/*.tar.gz dist/*"$(uname -m)".whl; do
    python -m venv --clear "$place/venv"
    "$place/venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt "$archive"
    (cd "$place" && venv/bin/python "$OLDPWD/release/smoke.py")
    echo "installed and tried: $archive"
done
