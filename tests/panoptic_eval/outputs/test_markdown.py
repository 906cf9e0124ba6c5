from drawings import CAR, SKY, table

from panoptic_eval.outputs import markdown
from panoptic_eval.outputs.json import encode
from panoptic_eval.pairs.table import concatenate
from panoptic_eval.score import Tables, score


def test_markdown_is_in_percent_and_aligned():
    rows = [
        {"": "one", "PQ": markdown.score("PQ", 0.5), "TP": 3},
        {"": "three", "PQ": markdown.score("PQ", float("nan")), "TP": 12},
    ]
    assert markdown.table(rows).splitlines() == [
        "|       |   PQ | TP |",
        "| :---- | ---: | -: |",
        "| one   | 50.0 |  3 |",
        "| three |    – | 12 |",
    ]


def test_intervals_hold_the_scores_and_stand_beside_them():
    drawing = concatenate([table("ccss", "ccss" if k % 3 else "ssss", c=CAR, s=SKY, image_id=k) for k in range(20)])
    scored = score(Tables(drawing), resamples=100)
    assert encode(scored) == encode(score(Tables(drawing), resamples=100))  # the same seed draws the same images
    low, high = scored.intervals["PQ"]["things"]
    assert 0 < low < scored.scores["PQ"]["things"] < high < 1
    assert scored.intervals.keys() == {*scored.scores, *scored.account["all"]}
    assert f"{100 * scored.scores['PQ']['things']:.1f} [{100 * low:.1f}, {100 * high:.1f}]" in markdown.report(scored)
    assert "[" not in markdown.report(score(Tables(drawing)))
