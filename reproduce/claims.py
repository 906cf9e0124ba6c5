"""Each claim of the paper, tested: its figure, ours with an interval, and a verdict by a rule fixed before any run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import tyro
from scipy.stats import spearmanr

from panoptic_eval.errors import InputError
from panoptic_eval.files import write_atomically
from panoptic_eval.outputs.json import dumps
from panoptic_eval.outputs.paper_table import COLUMNS
from reproduce.audit import published
from reproduce.bootstrap import Scores, Term, bootstrap
from reproduce.learning import LEARNING, last_doublings
from reproduce.options import Comparison, ending_at_faults
from reproduce.registration import ENDPOINTS, IMAGES, Endpoint, finished_seeds, progress
from reproduce.systems import about, images, systems
from reproduce.variants import title
from reproduce.verdicts import LAST_DOUBLING, Claim, Part, Verdict, certain, least_effect, trained

FULL, CROP, CABB, ISUS, BOTH = "full", "crop", "crop+cabb", "crop+isus", "crop+cabb+isus"
"""Names of the variants that the claims are about."""
FLAT = 0.9
"""Scales are far from uniform if the entropy of their levels is below this share of the most that is possible."""

RULE = """\
Scores in per cent points. A part of a claim is a number that should be above zero; of trained networks it is that of
each seed. It is reproduced if every seed's number and Student's 95 % interval over seeds lie above zero, and its mean
is at least a third of the paper's effect, and at least one point of PQ where fewer than five seeds were trained.
Opposite is the same below zero. If neither holds, it is *not converged* where a variant still gained more than one
point of PQ between half of its steps and all of them; else inconclusive, and with a single seed nothing else can be
said. Of a claim's parts, the worst decides. This is the rule of `registration.md`; the bootstrap, which resamples seeds
and then images, stands beside it."""


@dataclass(frozen=True)
class Options(Comparison):
    """Test the paper's claims on the variants that have checkpoints.

    Reads the CSV files of Fig. 2 from the folder of results, and writes claims.md and claims.json there.
    """


def paper_effect(a: str, b: str, column: str) -> float:
    """Return what the paper's Table 1 has of variant b more than of variant a on Mapillary Vistas, points."""
    rows = {row["network"]: float(row[column]) for row in published() if row["dataset"] == "mvd" and row[column]}
    return round(rows[title(b)] - rows[title(a)], 1)


def combined(
    scores: Scores,
    gains: Mapping[str, float],
    tested: str,
    terms: Sequence[Term],
    *,
    published: float | None = None,
    text: str = "",
    margin: float = 0.0,
    registered: bool = False,
) -> Part:
    """Make a part whose number is a sum of factor * score of a system, in per cent points.

    Of systems with different seeds, the seeds that all of them have are used.

    Args:
        scores: scores of all systems.
        gains: gain of a system in the last doubling of its steps, points of PQ, where it is known.
        tested: name of the number.
        terms: what is summed.
        published: the paper's effect, points; None where it gives none.
        text: how it is printed; by default as a number of Mapillary Vistas.
        margin: points that are added to the number: a loss of so many is none.
        registered: whether the scores are those of finished seeds of registered runs: what is missing will follow.
    """
    names = list(dict.fromkeys(name for _, name, _, _ in terms))
    text = text or ("" if published is None else f"{published:+g} (MVD)")
    missing = sorted({*names} - set(scores.by_system))
    if missing or not scores.common(terms):
        undefined = "no seed in common" if all(map(scores.common, ([t] for t in terms))) else "too few instances"
        absent = f"no {'finished seed' if registered else 'checkpoint'} of {', '.join(missing)}"
        verdict: Verdict = "not testable yet" if missing and registered else "not testable here"
        return Part(f"{tested}; {absent if missing else undefined}", text, math.nan, math.nan, math.nan, verdict)
    estimate = scores.combined([(100 * f, name, score, of) for f, name, score, of in terms])
    by_seed = tuple(value + margin for value in estimate.seeds)
    intervals = [(low + margin, high + margin) for low, high in ((estimate.low, estimate.high), estimate.over_seeds)]
    least = least_effect(published, len(by_seed), of_pq={score for _, _, score, _ in terms} == {"PQ"})
    still = any(gains.get(name, 0.0) > LAST_DOUBLING for name in names)
    (low, high), (seeds_low, seeds_high) = intervals
    judged = trained(by_seed, (seeds_low, seeds_high), least=least, gains=still)
    value = estimate.value + margin
    return Part(tested, text, value, low, high, judged, by_seed, seeds_low, seeds_high, least)


def scale_parts(folder: Path) -> tuple[tuple[Part, ...], tuple[Part, ...]]:
    """Test claims 3 and 4 with the CSV files of Fig. 2.

    Raises:
        InputError: the files are not there.
    """
    if not (folder / "fig2_iou.csv").is_file():
        raise InputError(
            f"{folder}: holds no fig2_iou.csv; expected what bash reproduce/fig2.sh writes (with the same --gt)"
        )
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


def evidence(scores: Scores, folder: Path, *, registered: bool) -> tuple[Scores, dict[str, float]]:
    """Return the scores that claims are judged by, and how much variants gained in the last doubling of their steps.

    Args:
        scores: of all systems.
        folder: of the results, which may hold the table of learning curves.
        registered: whether they are of registered runs: then seeds that are not finished are left out.
    """
    if not registered:
        return scores, last_doublings(folder / LEARNING)
    seeds = finished_seeds(scores.labels)
    return scores.of_seeds(seeds), last_doublings(folder / LEARNING, seeds)


def endpoint_parts(scores: Scores, gains: Mapping[str, float]) -> list[Part]:
    """Judge the registered endpoints, in their order; arguments as `evidence` returns them."""
    return [
        combined(
            scores,
            gains,
            e.text,
            [(1, e.b, e.score, e.part), (-1, e.a, e.score, e.part)],
            published=e.published,
            text=e.paper,
            registered=True,
        )
        for e in ENDPOINTS
    ]


def image_claims(scores: Scores, gains: Mapping[str, float], *, registered: bool = False) -> list[Claim]:
    """Test claims 5 to 13 with the scores of the variants; arguments as for `combined`."""
    bins = list(scores.bins)
    smallest, top = bins[0], bins[-1]
    consecutive = [b for b in bins if b != "99–100 %"]  # which lies within the one before it
    kinds = {"AP_box": "box AP", "AP_mask": "mask AP"}
    pc, pq = (paper_effect(CROP, BOTH, column) for column in ("PC_th", "PQ_th"))

    def part(tested: str, terms: Sequence[Term], **options: Any) -> Part:
        return combined(scores, gains, tested, terms, registered=registered, **options)

    def gain(a: str, b: str, column: str) -> Part:
        score, of = COLUMNS[column]
        return part(
            f"{column}: {b} − {a}", [(1, b, score, of), (-1, a, score, of)], published=paper_effect(a, b, column)
        )

    def gain_of_bin(a: str, b: str, kind: str, of: str) -> Part:
        return part(f"{kinds[kind]} {of}: {b} − {a}", [(1, b, kind, of), (-1, a, kind, of)])

    def mean_gain(a: str, b: str, over: Sequence[str], tested: str, of: Sequence[str], **options: Any) -> Part:
        cells = [(score, bin_) for score in of for bin_ in over]
        terms = [(f / len(cells), name, *cell) for f, name in ((1, b), (-1, a)) for cell in cells]
        return part(f"{tested}: {b} − {a}{' + 1' if options else ''}", terms, **options)

    def narrowing(kind: str) -> Part:
        at = ((1, consecutive[1]), (-1, top))
        terms = [(f * g, name, kind, bin_) for f, name in ((1, CROP), (-1, FULL)) for g, bin_ in at]
        return part(f"{kinds[kind]}: gap CROP − FULL in {consecutive[1]} less that in {top}", terms)

    return [
        Claim(
            5,
            "CROP beats FULL on PQ, PQ_th and mAP, by a wide margin on small objects.",
            (
                *(gain(FULL, CROP, column) for column in ("PQ", "PQ_th", "mAP")),
                *(gain_of_bin(FULL, CROP, kind, smallest) for kind in kinds),
            ),
        ),
        Claim(
            6,
            "The gap shrinks with size, and FULL beats CROP on the largest objects.",
            (*(gain_of_bin(CROP, FULL, kind, top) for kind in kinds), *map(narrowing, kinds)),
        ),
        Claim(
            7,
            "CABB closes that gap on the largest objects and keeps the rest (here: loses less than one point).",
            (
                *(gain_of_bin(CROP, CABB, kind, top) for kind in kinds),
                *(
                    mean_gain(CROP, CABB, consecutive[:-1], f"{name}, mean of all other bins", [kind], margin=1.0)
                    for kind, name in kinds.items()
                ),
            ),
        ),
        Claim(
            8,
            "ISUS improves most scales, except the smallest; also the largest (here: their mean).",
            (mean_gain(CROP, ISUS, consecutive[1:], f"box and mask AP, mean of bins but {smallest}", [*kinds]),),
        ),
        Claim(
            9,
            "CABB and ISUS together improve all sizes (here: their mean).",
            (mean_gain(CROP, BOTH, consecutive, "box and mask AP, mean of all bins", [*kinds]),),
        ),
        Claim(
            10,
            "CABB, ISUS, and both improve PQ over CROP.",
            tuple(gain(CROP, variant, "PQ") for variant in (CABB, ISUS, BOTH)),
        ),
        Claim(
            11,
            "PC of things gains more than PQ of things.",
            (
                part(
                    f"PC_th less PQ_th: {BOTH} − {CROP}",
                    [(f * g, name, score, "things") for f, name in ((1, BOTH), (-1, CROP))
                     for g, score in ((1, "PC"), (-1, "PQ"))],
                    published=pc - pq,
                    text=f"{pc:+g} against {pq:+g} (MVD)",
                ),
            ),
        ),
        Claim(
            12,
            "The same holds for the Seamless baseline.",
            tuple(gain("seamless", variant, "PQ") for variant in ("seamless+crop", "seamless+cabb+isus")),
        ),
        Claim(
            13,
            "IDD and Cityscapes: same trends, smaller.",
            (),
            "it compares data sets that cannot be shipped; with them: bash reproduce/claims.sh --gt idd --root DIR "
            "--checkpoints DIR",
        ),
    ]  # fmt: skip


def convergence(gains: Mapping[str, float], names: Sequence[str]) -> str:
    """Say which variants' learning curves are flat, a sentence or two."""
    known = {name: gains[name] for name in names if name in gains}
    unknown = [name for name in names if name not in gains]
    parts = []
    if known:
        listed = ", ".join(f"{name} {gain:+.1f}" for name, gain in known.items())
        parts.append(f"Points of PQ that the last doubling of the steps still gained: {listed}.")
    if unknown:
        parts.append(
            "No learning curve is there"
            + (f" of {', '.join(unknown)}" if known else "")
            + ": whether a longer training would change a verdict is not known."
        )
    return " ".join(parts)


def endpoints_block(parts: Sequence[Part], images: int, state: str) -> str:
    """Write the section about the registered endpoints.

    Args:
        parts: of `endpoint_parts`.
        images: number of images that they were computed on.
        state: how far the registered runs are.
    """
    where = f"`results/streets/registration.md` has them on {IMAGES:,} images"
    counted = f"{where}." if images == IMAGES else f"{where}; on these {images:,} they decide nothing."
    lines = [
        "## Registered endpoints",
        "",
        f"{state} {counted}",
        "",
        "| endpoint | paper | ours | bootstrap | over seeds | seeds | at least | of interest | forecast | verdict |",
        "| :--- | :--- | ---: | :--- | :--- | ---: | ---: | ---: | :--- | :--- |",
        *(_endpoint(e, p) for e, p in zip(ENDPOINTS, parts, strict=True)),
        "",
        "## Claims",
        "",
        "They are judged by the same rule, and what is no endpoint is exploratory.",
        "",
    ]
    return "\n".join(lines)


def _endpoint(endpoint: Endpoint, part: Part) -> str:
    *cells, verdict = _cells(part)
    return f"| {' | '.join([*cells, endpoint.interest, endpoint.forecast, verdict])} |"


def markdown(
    claims: Sequence[Claim], source: str, images: int, seeds: Sequence[int], converged: str, endpoints: str = ""
) -> str:
    """Write the page.

    Args:
        claims: with their verdicts.
        source: name of the data set.
        images: number of its images.
        seeds: number of seeds of each variant.
        converged: what is known of learning curves.
        endpoints: section about registered endpoints; empty if there are none.
    """
    fewest, most = min(seeds, default=0), max(seeds, default=0)
    several = f"{fewest} seed{'s' if fewest > 1 else ''}" if fewest == most else f"{fewest} to {most} seeds"
    count = f"{several} a variant" if seeds else "no finished seed"
    lines = [
        "# The paper's claims",
        "",
        f"Tested on {source}, {images} images, {count}. {converged}".rstrip(),
        "",
        RULE,
        "",
        *([endpoints] if endpoints else []),
        "| claim | verdict |",
        "| --- | --- |",
        *(f"| {c.number}. {c.text} | **{c.verdict}** |" for c in claims),
        "",
        "| claim | tested | paper | ours | bootstrap | over seeds | seeds | at least | verdict |",
        "| ---: | :--- | :--- | ---: | :--- | :--- | ---: | ---: | :--- |",
    ]
    for claim in claims:
        if not claim.parts:
            lines.append(f"| {claim.number} | {claim.why} | | – | – | – | – | – | {claim.verdict} |")
        lines += [f"| {claim.number} | {' | '.join(_cells(part))} |" for part in claim.parts]
    return "\n".join([*lines, ""])


def _cells(part: Part) -> list[str]:
    return [
        part.tested,
        part.published or "–",
        "–" if math.isnan(part.value) else f"{part.value:+.3g}",
        _interval(part.low, part.high),
        _interval(part.seeds_low, part.seeds_high),
        str(len(part.seeds) or "–"),
        f"{part.least:.2g}" if part.least else "–",
        part.verdict,
    ]


def _interval(low: float, high: float) -> str:
    return "–" if math.isnan(low) or low == high else f"{low:+.3g} to {high:+.3g}"


def main() -> None:
    """Predict, count, test, and write the verdicts."""
    options = tyro.cli(Options)
    from reproduce.loss_claims import loss_parts, overhead_parts  # these load torch, which --help does without

    rng = np.random.default_rng(0)
    path = options.result("claims")
    registered = options.shipped is not None
    with ending_at_faults("claims"):
        by_size, by_level = scale_parts(path.parent)
        gt = images(options)
        compared = systems(options, gt)
        every = bootstrap(compared, wide=None)
        scores, gains = evidence(every, path.parent, registered=registered)
        endpoints = endpoint_parts(scores, gains) if registered else []
        claims = [
            Claim(
                1,
                "L_CABB is a lower bound of L_BB, equal where nothing is cut; its gradient is exact.",
                loss_parts(rng),
            ),
            Claim(2, "The overhead of CABB is about 10 ms a batch (here: at most).", overhead_parts(rng)),
            Claim(3, "Cropped boxes agree less with full ones the larger the object; scales are not uniform.", by_size),
            Claim(4, "ISUS smooths the distribution of scales over pyramid levels.", by_level),
            *image_claims(scores, gains, registered=registered),
        ]
        rows = [asdict(claim) | {"verdict": claim.verdict} for claim in claims]
        seeds = [len(by_seed) for by_seed in scores.by_system.values()]
        converged = convergence(gains, list(scores.by_system))
        block = endpoints_block(endpoints, len(gt.maps), progress(every.labels)) if registered else ""
        page = markdown(claims, gt.source, len(gt.maps), seeds, converged, block)
        record = {"provenance": about(options, gt, compared), "last_doubling": gains, "claims": rows}
        if registered:
            record["endpoints"] = [asdict(part) for part in endpoints]
        write_atomically(path.with_suffix(".json"), f"{dumps(record)}\n")
        write_atomically(path.with_suffix(".md"), page)
    print(page)


if __name__ == "__main__":
    main()
