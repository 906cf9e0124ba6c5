"""Help texts of all commands: tyro prints the line breaks of a field's docstring, in the middle of a sentence, too."""

import ast
import re
from itertools import pairwise
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = [
    path
    for package in ("panoptic_eval", "model", "streets", "reproduce")
    for path in sorted((ROOT / package).rglob("*.py"))
    if re.search(r"^(import|from) tyro", path.read_text(), re.MULTILINE) or path.name == "rules.py"
]


def fields(path):
    """Names of the fields of all classes in a file, with their docstrings."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ClassDef):
            for field, text in pairwise(node.body):
                if isinstance(field, ast.AnnAssign) and isinstance(text, ast.Expr):
                    yield field.target.id, text.value.value


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(ROOT)))
def test_the_help_of_an_option_is_one_line_of_source(path):
    assert [name for name, text in fields(path) if "\n" in text] == []


def test_options_are_looked_at():
    assert len(FILES) > 10
    assert {"out", "shard"} <= {name for path in FILES for name, _ in fields(path)}
