# Makes the peers' environment, runs/benchmarks/peers, apart from ours:  bash benchmarks/setup.sh
# A peer that cannot be installed is left out of the comparison. PYTHON names another interpreter.
set -euo pipefail; cd "$(dirname "$0")/.."
venv=runs/benchmarks/peers
[ -x "$venv/bin/python" ] || "${PYTHON:-python3}" -m venv "$venv"
install() { "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@" || echo "left out: $*"; }
install numpy pillow
install --no-deps panopticapi-lite   # its metadata asks for numpy<2, which it does not need
install cityscapesScripts
install pycocotools
install faster-coco-eval
install hotcoco
install vernier
# torchmetrics needs torch, which is large: TORCHMETRICS=1 bash benchmarks/setup.sh
[ "${TORCHMETRICS:-0}" = 0 ] || install torch torchmetrics
