"""What the metrics of a run ask of a table is found once, and never told of another table."""

import gc
from dataclasses import dataclass

import numpy as np

from panoptic_eval.metrics.sums import column_sums, remembered


@dataclass
class Table:
    """Stands for a pair table."""

    value: int


def counted():
    """A function of a table's value, which is remembered, and the list of its calls."""
    calls = []

    @remembered
    def plus(table, more=0):
        calls.append((table.value, more))
        return table.value + more

    return plus, calls


def test_the_same_question_is_answered_once():
    plus, calls = counted()
    table = Table(3)
    assert [plus(table), plus(table), plus(table, 2), plus(table, more=2), plus(table)] == [3, 3, 5, 5, 3]
    assert calls == [(3, 0), (3, 2), (3, 2)]  # two ways of writing the same question are two questions


def test_equal_tables_are_two_tables():
    plus, calls = counted()
    one, two = Table(3), Table(3)
    plus(one)
    two.value = 4
    assert (plus(two), plus(one)) == (4, 3)
    assert calls == [(3, 0), (4, 0), (3, 0)]


def test_a_table_is_not_kept_alive_and_its_answers_not_given_to_the_next():
    plus, _ = counted()
    for value in range(20):  # a new table may lie where the last one lay
        table = Table(value)
        assert plus(table) == value
        del table
        gc.collect()


def test_column_sums_are_those_of_each_column_to_the_last_bit():
    rng = np.random.default_rng(5)
    cell, columns = rng.integers(0, 4, 100), rng.random((100, 3))
    expected = [np.bincount(cell, column, 5) for column in columns.T]
    assert column_sums(cell, columns, 5).tolist() == np.stack(expected).tolist()


def test_column_sums_of_no_row_are_zero():
    assert column_sums(np.empty(0, np.int64), np.empty((0, 2)), 3).tolist() == [[0, 0, 0], [0, 0, 0]]
