"""Tables for papers: what is printed, what is bold, and what LaTeX must not see."""

import csv
import io
import math
from dataclasses import replace

import pytest

from panoptic_eval.outputs import paper_table
from panoptic_eval.outputs.paper_table import COLUMNS, Cell

NAN = math.nan


def rows(**values):
    """Each run has one value in all columns, with an interval of 2 points around it."""
    return {name: {c: Cell(v, v - 0.02, v + 0.02) for c in COLUMNS} for name, v in values.items()}


def test_the_columns_are_those_of_table_1():
    assert list(COLUMNS) == ["PQ", "PQ_th", "PQ_st", "mAP", "mIoU", "PC", "PC_th", "PC_st", "PQ†", "box AP"]


def test_the_best_of_each_column_is_bold():
    lines = paper_table.markdown(rows(a=0.5, b=0.625)).splitlines()
    assert lines[0].split("|")[2].strip() == "PQ"
    assert lines[2].count("50.0 ±2.0") == len(COLUMNS)
    assert lines[3].count("**62.5** ±2.0") == len(COLUMNS)


def test_equal_as_printed_is_equally_good_and_one_run_alone_is_not_best():
    assert paper_table.markdown(rows(a=0.50001, b=0.50002)).count("**50.0**") == 2 * len(COLUMNS)
    assert "**" not in paper_table.markdown(rows(a=0.5))


def test_undefined_scores_are_dashes_and_never_best():
    table = paper_table.markdown(rows(a=NAN, b=0.1))
    assert table.splitlines()[2].count("–") == len(COLUMNS)
    assert "nan" not in table
    assert "–" in paper_table.latex(rows(a=NAN))


def test_without_intervals_there_is_no_sign_of_them():
    bare = {name: {c: replace(cell, low=NAN, high=NAN) for c, cell in of.items()} for name, of in rows(a=0.5).items()}
    assert "±" not in paper_table.markdown(bare)
    assert r"\pm" not in paper_table.latex(bare)


def test_latex_has_the_rules_of_booktabs_and_as_many_columns_everywhere():
    lines = paper_table.latex(rows(a=0.5, b=0.625)).splitlines()
    assert [line for line in lines if line.endswith("rule")] == [r"\toprule", r"\midrule", r"\bottomrule"]
    assert lines[0] == rf"\begin{{tabular}}{{l{'r' * len(COLUMNS)}}}"
    of_table = [line for line in lines if line.endswith(r"\\")]
    assert {line.count("&") for line in of_table} == {len(COLUMNS)}
    assert r"\textbf{62.5} $\pm$2.0" in lines[5]
    assert r"PQ$_\mathrm{th}$" in lines[2]


def test_names_cannot_be_commands_of_latex():
    line = paper_table.latex(rows(**{"50%_of\\$x$ {&#~^}\x1b": 0.5})).splitlines()[4]
    name = r"50\%\_of\textbackslash{}\$x\$ \{\&\#\textasciitilde{}\textasciicircum{}\}\textbackslash{}x1b"
    assert line.startswith(f"{name} & 50.0")


def test_csv_holds_fractions_and_is_safe_in_a_spreadsheet():
    read = list(csv.DictReader(io.StringIO(paper_table.csv(rows(**{"=1+1": 0.1234567891})))))
    assert len(read) == len(COLUMNS)
    assert float(read[0]["value"]) == 0.1234567891
    assert read[0]["run"] == "'=1+1"


def test_cells_are_those_of_the_report(scored):
    cells = paper_table.cells(scored)
    assert cells["PQ_th"].value == pytest.approx(scored.scores["PQ"]["things"], nan_ok=True)
    assert cells["mAP"].value == pytest.approx(scored.scores["AP_mask"]["AP"], nan_ok=True)
    assert math.isnan(cells["PQ"].low) == (not scored.intervals)
