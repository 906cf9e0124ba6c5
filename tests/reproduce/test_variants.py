from itertools import pairwise
from pathlib import Path

import pandas as pd

from model.presets import configure
from reproduce import audit, claims, fig2, systems_page
from reproduce.embedded import EMBEDDED
from reproduce.variants import BY_NAME, VARIANTS, title

ROOT = Path(__file__).resolve().parents[2]


def test_no_two_variants_share_a_name_a_title_a_method_or_a_look():
    for key in (lambda v: v.name, lambda v: v.title, lambda v: v.method, lambda v: (v.color, v.line)):
        assert len({key(v) for v in VARIANTS}) == len(VARIANTS)


def test_each_variant_is_compared_with_earlier_ones_that_train_in_another_way():
    for variant in VARIANTS:
        for base in variant.bases:
            assert list(BY_NAME).index(base) < list(BY_NAME).index(variant.name)
            assert configure("streets", BY_NAME[base].method) != configure("streets", variant.method)


def test_every_variant_is_trained_once_before_any_is_trained_twice():
    assert all(variant.seeds >= 1 for variant in VARIANTS)
    from reproduce.train import PLAN

    assert all(a.seed <= b.seed for a, b in pairwise(PLAN))


def test_claims_and_figures_name_variants_of_the_table():
    assert {claims.FULL, claims.CROP, claims.CABB, claims.ISUS, claims.BOTH} <= set(BY_NAME)
    assert set(fig2.SAMPLINGS.values()) <= set(BY_NAME)


def test_readme_shows_the_committed_table():
    table = pd.read_csv(ROOT / EMBEDDED.results / "table1.csv")
    half = 50 * (table["high"] - table["low"])
    table["text"] = [f"{100 * v:.1f} ±{h:.1f}" for v, h in zip(table["value"], half, strict=True)]
    columns = ["PQ", "PQ_th", "PQ_st", "mAP", "mIoU", "box AP"]
    rows = table.pivot_table(index="name", columns="column", values="text", aggfunc="first", sort=False)[columns]
    readme = (ROOT / "README.md").read_text()
    for name, texts in zip(rows.index, rows.to_numpy(), strict=True):
        assert f"| {title(name)} | {' | '.join(texts)} |" in readme


def test_any_other_system_goes_by_its_own_name():
    assert title("crop+cabb") == "CROP + CABB"
    assert title("theirs") == "theirs"


def test_systems_of_other_authors_have_the_titles_of_the_published_table():
    printed = {row["network"] for row in audit.published() if row["dataset"] == "mvd"}
    assert {title(row.system) for row in systems_page.ROWS} <= printed
