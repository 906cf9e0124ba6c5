# One-line aliases; the scripts say the rest.
.PHONY: setup test lint types table1
setup:  ; bash -c 'source reproduce/setup.sh'
test:   ; bash tests/run.sh
lint:   ; bash -c 'source reproduce/setup.sh && ruff check . && ruff format --check . && lint-imports'
types:  ; bash -c 'source reproduce/setup.sh && mypy'
table1: ; bash reproduce/table1.sh
