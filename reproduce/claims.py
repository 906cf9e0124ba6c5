"""Each claim of the paper, tested: its figure, ours with an interval, and a verdict by a rule fixed before any run."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import tyro
from scipy.stats import spearmanr

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.json import dumps
from panoptic_eval.resampling import interval
from reproduce.bootstrap import Scores, bootstrap
from reproduce.options import Comparison, ending_at_faults
from reproduce.systems import about, images, systems
from reproduce.verdicts import Claim, Part, certain, verdict

FULL, CROP, CABB, ISUS, BOTH = "full", "crop", "crop+cabb", "crop+isus", "crop+cabb+isus"
"""Names of the variants that the claims are about."""
FLAT = 0.9
"""Scales are far from uniform if the entropy of their levels is below this share of the most that is possible."""


@dataclass(frozen=True)
class Options(Comparison):
    """Test the paper's claims on the variants that have checkpoints.

    Reads the CSV files of Fig. 2 from the folder of results, and writes claims.md and claims.json there.
    """


def combined(scores: Scores, tested: str, published: str, terms: Sequence[tuple[float, str, str, str]]) -> Part:
    """Make a part whose number is a sum of factor * score of a system, in per cent points.

    Of systems with different numbers of seeds, the seeds that all of them have are used.

    Args:
        scores: scores of all systems.
        tested, published: as for `Part`.
        terms: factor, name of the system, score, part of the score.
    """
    missing = sorted({name for _, name, _, _ in terms} - set(scores.by_system))
    undefined = not missing and any((s, p) not in scores.by_system[name][0] for _, name, s, p in terms)
    if missing or undefined:
        why = f"{tested}; no checkpoint of {', '.join(missing)}" if missing else f"{tested}; too few instances"
        return Part(why, published, math.nan, math.nan, math.nan, "not testable here")
    seeds = min(len(scores.by_system[name]) for _, name, _, _ in terms)
    mean = sum(f * np.mean([v[s, p] for v in scores.by_system[name][:seeds]], 0) for f, name, s, p in terms)
    percent = 100 * np.asarray(mean)
    value, (low, high) = float(percent[0]), interval(percent)
    by_seed = [sum(f * float(scores.by_system[name][k][s, p][0]) for f, name, s, p in terms) for k in range(seeds)]
    return Part(tested, published, value, low, high, verdict(low, high, by_seed))


def gain(scores: Scores, a: str, b: str, score: str, part: str, published: str = "") -> Part:
    """Make a part of b - a of one score."""
    name = f"{score} {part}".replace("_", " ").removesuffix(" all").removesuffix(" AP")
    return combined(scores, f"{name}: {b} − {a}", published, [(1, b, score, part), (-1, a, score, part)])


def scale_parts(folder: Path) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Test claims 3 and 4 with the CSV files of Fig. 2.

    Raises:
        InputError: the files are not there.
    """
    if not (folder / "fig2_iou.csv").is_file():
        raise InputError(f"{folder}: holds no fig2_iou.csv; expected what bash reproduce/fig2.sh writes")
    iou, levels = (pd.read_csv(folder / f"fig2_{name}.csv") for name in ("iou", "levels"))
    crop = iou[(iou["sampling"] == "CROP") & (iou["objects"] >= 20)]
    falls = -float(spearmanr(crop["size_from"], crop["mean_iou"]).statistic)
    entropy = levels.drop_duplicates("source").set_index("source")["entropy_bits"]
    most = float(np.log2(levels["level"].nunique()))
    return (
        (
            certain("minus the rank correlation of object size and mean IoU of cropped boxes (CUS)", "", falls),
            certain(
                f"{FLAT:g} of the largest entropy less that of the objects' levels, bits",
                "",
                FLAT * most - entropy["data set"],
            ),
        ),
        (certain("entropy over levels of visible boxes, ISUS − CUS, bits", "", entropy["ISUS"] - entropy["CROP"]),),
    )


def image_claims(scores: Scores) -> list[Claim]:
    """Test claims 5 to 13 with the scores of the variants."""
    bins = list(scores.bins)
    smallest, top = bins[0], bins[-1]
    consecutive = [b for b in bins if b != "99–100 %"]
    kinds = ("AP_box", "AP_mask")

    def each(test: Callable[[str, str], Part], parts: Sequence[str]) -> tuple[Part, ...]:
        return tuple(test(kind, part) for kind in kinds for part in parts)

    def others(kind: str) -> Part:
        kept = [b for b in consecutive if b != consecutive[-1]]
        terms = [(f / len(kept), name, kind, b) for f, name in ((1, CABB), (-1, CROP)) for b in kept]
        part = combined(scores, f"{kind.replace('_', ' ')} of all other bins: {CABB} − {CROP} + 1", "", terms)
        low, high = part.low + 1, part.high + 1
        known = part.verdict != "not testable here"
        return Part(part.tested, "", part.value + 1, low, high, verdict(low, high) if known else part.verdict)

    return [
        Claim(
            5,
            "CROP beats FULL on PQ, PQ_th and mAP, by a wide margin on small objects.",
            (
                gain(scores, FULL, CROP, "PQ", "all", "+4.2 (MVD)"),
                gain(scores, FULL, CROP, "PQ", "things", "+7.9 (MVD)"),
                gain(scores, FULL, CROP, "AP_mask", "AP", "+6.1 (MVD)"),
                *each(lambda kind, part: gain(scores, FULL, CROP, kind, part), [smallest]),
            ),
        ),
        Claim(
            6,
            "The gap shrinks with size, and FULL beats CROP on the largest objects.",
            (
                *each(lambda kind, part: gain(scores, CROP, FULL, kind, part), [top]),
                *each(
                    lambda kind, part: combined(
                        scores,
                        f"{kind.replace('_', ' ')}: gap CROP − FULL in {consecutive[1]} less that in {part}",
                        "",
                        [
                            (1, CROP, kind, consecutive[1]),
                            (-1, FULL, kind, consecutive[1]),
                            (-1, CROP, kind, part),
                            (1, FULL, kind, part),
                        ],
                    ),
                    [top],
                ),
            ),
        ),
        Claim(
            7,
            "CABB closes that gap on the largest objects and keeps the rest (here: loses less than one point).",
            (*each(lambda kind, part: gain(scores, CROP, CABB, kind, part), [top]), *(others(k) for k in kinds)),
        ),
        Claim(
            8,
            "ISUS improves most scales, except the smallest; also the largest.",
            each(lambda kind, part: gain(scores, CROP, ISUS, kind, part), [*consecutive[2:-1], top]),
        ),
        Claim(
            9,
            "CABB and ISUS together improve all sizes.",
            each(lambda kind, part: gain(scores, CROP, BOTH, kind, part), bins),
        ),
        Claim(
            10,
            "CABB, ISUS, and both improve PQ over CROP.",
            tuple(
                gain(scores, CROP, variant, "PQ", "all", published)
                for variant, published in ((CABB, "+0.9 (MVD)"), (ISUS, "+1.1 (MVD)"), (BOTH, "+1.5 (MVD)"))
            ),
        ),
        Claim(
            11,
            "PC of things gains more than PQ of things.",
            (
                combined(
                    scores,
                    f"PC things less PQ things: {BOTH} − {CROP}",
                    "+4.8 against +1.5 (MVD)",
                    [
                        (1, BOTH, "PC", "things"),
                        (-1, CROP, "PC", "things"),
                        (-1, BOTH, "PQ", "things"),
                        (1, CROP, "PQ", "things"),
                    ],
                ),
            ),
        ),
        Claim(
            12,
            "The same holds for the Seamless baseline.",
            (
                gain(scores, "seamless", "seamless+crop", "PQ", "all", "+1.5 (MVD)"),
                gain(scores, "seamless", "seamless+cabb+isus", "PQ", "all", "+2.8 (MVD)"),
            ),
        ),
        Claim(
            13,
            "IDD and Cityscapes: same trends, smaller.",
            (),
            "it compares data sets that cannot be shipped; with them: bash reproduce/claims.sh --gt idd --root DIR "
            "--checkpoints DIR",
        ),
    ]


def markdown(claims: Sequence[Claim], source: str, images: int, seeds: Sequence[int]) -> str:
    """Write the page; `seeds` has the number of seeds of each variant."""
    fewest, most = min(seeds), max(seeds)
    count = f"{fewest} seed{'s' if fewest > 1 else ''}" if fewest == most else f"{fewest} to {most} seeds"
    lines = [
        "# The paper's claims",
        "",
        f"Tested on {source}, {images} images, {count} a variant. Scores in per cent",
        "points with 95 % intervals over images (bootstrap). A part of a claim is a number that should be above zero:",
        "reproduced if its interval lies above zero (with several seeds: and every seed's number does), opposite if",
        "below, inconclusive otherwise. A claim is reproduced if all its parts are, opposite if one is.",
        *(["With one seed a variant, no interval says how much training itself varies."] if most == 1 else []),
        "",
        "| claim | verdict |",
        "| --- | --- |",
        *(f"| {c.number}. {c.text} | **{c.verdict}** |" for c in claims),
        "",
        "| claim | tested | paper | ours | 95 % interval | verdict |",
        "| ---: | :--- | :--- | ---: | :--- | :--- |",
    ]
    for claim in claims:
        if not claim.parts:
            lines.append(f"| {claim.number} | {claim.why} | | – | – | {claim.verdict} |")
        for p in claim.parts:
            ours = "–" if math.isnan(p.value) else f"{p.value:+.3g}"
            spread = "–" if math.isnan(p.low) or p.low == p.high else f"{p.low:+.3g} to {p.high:+.3g}"
            lines.append(f"| {claim.number} | {p.tested} | {p.published or '–'} | {ours} | {spread} | {p.verdict} |")
    return "\n".join([*lines, ""])


def main() -> None:
    """Predict, count, test, and write the verdicts."""
    options = tyro.cli(Options)
    from reproduce.loss_claims import loss_parts, overhead_parts  # these load torch, which --help does without

    rng = np.random.default_rng(0)
    path = options.result("claims")
    with ending_at_faults("claims"):
        by_size, by_level = scale_parts(path.parent)
        gt = images(options)
        compared = systems(options, gt)
        scores = bootstrap(compared, wide=None)
        claims = [
            Claim(
                1,
                "L_CABB is a lower bound of L_BB, equal where nothing is cut; its gradient is exact.",
                loss_parts(rng),
            ),
            Claim(2, "The overhead of CABB is about 10 ms a batch (here: at most).", overhead_parts(rng)),
            Claim(3, "Cropped boxes agree less with full ones the larger the object; scales are not uniform.", by_size),
            Claim(4, "ISUS smooths the distribution of scales over pyramid levels.", by_level),
            *image_claims(scores),
        ]
        rows = [asdict(claim) | {"verdict": claim.verdict} for claim in claims]
        page = markdown(claims, gt.source, len(gt.maps), [len(by_seed) for by_seed in scores.by_system.values()])
        record = {"provenance": about(options, gt, compared), "claims": rows}
        write_atomically(path.with_suffix(".json"), f"{dumps(record)}\n")
        write_atomically(path.with_suffix(".md"), page)
    print(page)


if __name__ == "__main__":
    main()
