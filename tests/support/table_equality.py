"""Whether two pair tables are one."""

from __future__ import annotations

import numpy as np

from panoptic_eval.pairs.table import PairTable


def assert_equal(a: PairTable, b: PairTable) -> None:
    """Fail unless every field is equal."""
    for name in ("image_id", "catalogue", "digest", "files", "origin", "has_masks"):
        assert getattr(a, name) == getattr(b, name)
    np.testing.assert_array_equal(a.size, b.size)
    for part in ("gt", "pred", "pairs"):
        for name, values in vars(getattr(a, part)).items():
            np.testing.assert_array_equal(values, getattr(getattr(b, part), name), err_msg=f"{part}.{name}")
