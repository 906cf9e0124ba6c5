# Makes .venv and installs the project once; sourced by every script here and by tests/run.sh.
# Installs again when pyproject.toml, constraints.txt or the C sources changed. PYTHON names another interpreter (3.11 to 3.13).
venv=$PWD/.venv
stamp=$(cat pyproject.toml constraints.txt hatch_build.py panoptic_eval/core/*.[ch] | cksum)
if [ "$(cat "$venv/.stamp" 2>/dev/null)" != "$stamp" ]; then
    echo "setting up $venv (once; a few minutes)"
    [ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
    if ! command -v cc gcc clang > /dev/null; then # the package ziglang brings a C compiler
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check ziglang
        export CC="$venv/bin/python -m ziglang cc"
    fi
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
    # Its metadata asks for numpy<2, which it does not need: a test dependency, installed without its own.
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --no-deps --constraint constraints.txt panopticapi-lite
    echo "$stamp" > "$venv/.stamp"
fi
export PATH=$venv/bin:$PATH
