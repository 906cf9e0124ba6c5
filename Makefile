# One-line aliases; the scripts say the rest.
.PHONY: setup test lint types parity table1
setup:  ; bash -c 'source reproduce/setup.sh'
test:   ; bash tests/run.sh
lint:   ; bash -c 'source reproduce/setup.sh && ruff check . && ruff format --check . && lint-imports'
types:  ; bash -c 'source reproduce/setup.sh && mypy'
parity: ; bash -c 'source reproduce/setup.sh && python -m pytest tests/panoptic_eval/metrics tests/panoptic_eval/test_golden.py'
table1: ; bash reproduce/table1.sh
