#!/usr/bin/env bash
# Guides and the API reference as HTML, without network:  bash docs/build.sh  ->  site/index.html
set -euo pipefail
cd "$(dirname "$0")/.."
source reproduce/setup.sh
python docs/build.py "$@"
