"""All scores of a run, as data: what report.json holds."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

Row = Mapping[str, Any]


@dataclass(frozen=True, repr=False)
class Report:
    """Scores are fractions, 0 to 1; an undefined one is NaN here and null in JSON, with its reason in `undefined`."""

    images: int
    """Number of images."""
    scores: Mapping[str, Mapping[str, float]]
    """PQ, SQ, RQ, PQ_dagger, PC, mIoU: all, things, stuff; AP_mask, AP_box: AP, AP50, AP75, APs, APm, APl."""
    categories: Sequence[Row]
    """One row for each category, in the catalogue's order. A score is NaN if no segment of the category defines it."""
    size_percentiles: Sequence[Row]
    """One row for each size bin: from_percent, to_percent, from_area, to_area (pixels), instances, categories, and the
    scores within it."""
    undefined: Mapping[str, str]
    """Why a score of `scores` is undefined, by name: "PQ.stuff"."""
    warnings: Sequence[str]
    """Oddities of the input, and what was done about them."""
    protocol: Mapping[str, Any]
    """Every choice that changes a number."""
    provenance: Mapping[str, Any]
    """Versions, sources, command, time."""
    account: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Losses of PQ by cause, of all, things, stuff: each group's add up to 1 - PQ. Empty under --protocol panopticapi,
    whose stated areas allow no such account. Rows of `categories` and `size_percentiles` have one, too; those of the
    sizes add up to 1 - PQ of things."""
    if_fixed: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """Gain of PQ if one cause alone were gone, of all, things, stuff. These do not add up."""
    pixel_flow: Sequence[Row] = ()
    """Rows of true category, predicted category and cost, the dearest first; null is void, or nothing. The costs add up
    to 1 - PQ: a segment's price is divided among its wrong pixels."""
    ap_account: Mapping[str, Sequence[Row]] = field(default_factory=dict)
    """Losses of mask AP to place, class, spurious, missed: a row for all sizes, then one for each bin. Each row and AP
    add up to 1. AP here is of counted areas: that of instances.json may differ in its bins."""
    intervals: Mapping[str, Mapping[str, Sequence[float]]] = field(default_factory=dict)
    """95 % intervals of all `scores` and of `account`, over resampled images; empty if none were drawn."""
    per_image: Sequence[Row] = ()
    """One row for each image."""
    precision_recall: Mapping[str, Any] = field(default_factory=dict)
    """`recall`, 101 values, and for each AP the precision there: AP (mean over thresholds of IoU), AP50, AP75."""
    groups: Sequence[Row] = ()
    """One row for each group of categories: group, categories (their number), the mean of each score, and its interval
    (_low, _high). Empty if none were asked for."""
    slices: Sequence[Row] = ()
    """One row for each attribute of images, value and score; see `panoptic_eval.slices.slice_rows`."""
    reliability: Mapping[str, Any] = field(default_factory=dict)
    """Expected calibration error of the scores: ECE, low, high, and `bins`. Empty unless scores are from 0 to 1."""
    label_errors: Sequence[Row] = ()
    """Candidates for errors in the ground truth, the surest first: see `panoptic_eval.metrics.label_errors`."""

    def __repr__(self) -> str:
        first = (f"{name} {next(iter(parts.values())):.3f}" for name, parts in self.scores.items())
        return f"<Report of {self.images} image{'' if self.images == 1 else 's'}: {', '.join(first)}>"

    def _repr_html_(self) -> str:
        """Show scores, account and categories in a notebook."""
        from panoptic_eval.outputs import html

        return html.fragment(self)

    def flat(self, prefix: str = "") -> dict[str, float]:
        """Return all scores under one name each, as loggers take them: "PQ", "PQ/things", "AP_mask/AP50".

        AP of a size bin is "AP_mask/50-75", with its percentiles, or "AP_mask/1024-9216px" with areas that were chosen.

        Args:
            prefix: begins each name, such as "val/".
        """
        scores = {
            name if part in ("all", "AP") else f"{name}/{part}": value
            for name, parts in self.scores.items()
            for part, value in parts.items()
        }
        for row in self.size_percentiles:
            by_area = math.isnan(row["from_percent"])
            ends = ("from_area", "to_area") if by_area else ("from_percent", "to_percent")
            size = "{:g}-{:g}".format(*(row[end] for end in ends)) + ("px" if by_area else "")
            scores |= {f"{name}/{size}": value for name, value in row.items() if name.startswith("AP_")}
        return {f"{prefix}{name}": value for name, value in scores.items()}

    def plot(self) -> Figure:
        """Draw mask AP, and what objects cost, by their size; see `panoptic-eval plot` for intervals and several runs.

        Raises:
            ImportError: matplotlib is not installed.
        """
        try:
            from panoptic_eval.outputs import plots
        except ImportError as error:
            raise ImportError("plot needs matplotlib:  pip install 'panoptic-eval[plots]'") from error
        from panoptic_eval.size_curves import curves_of

        return plots.by_size(curves_of(self, "run"))

    def to_dataframe(self) -> pd.DataFrame:
        """Return the rows of the categories as a DataFrame, with a column for each cause of the account.

        Raises:
            ImportError: pandas is not installed.
        """
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError("to_dataframe needs pandas:  pip install 'panoptic-eval[plots]'") from error
        return pd.DataFrame([flat(row) for row in self.categories])


def flat(row: Row) -> dict[str, Any]:
    """Put the causes of a row's account beside its other columns."""
    return {**{key: value for key, value in row.items() if key != "account"}, **row.get("account", {})}


def anonymous(report: Report) -> Report:
    """Leave the command and all folders out of a report, so that it can be shown to anybody."""
    sources = [part for name in ("gt", "pred") for part in str(report.provenance.get(name, "")).split(", ")]
    paths = [PurePath(source) for source in sources] + [Path.cwd() / "x", Path.home() / "x"]
    folders = sorted({str(f) for p in paths if p.is_absolute() for f in p.parents if f.name}, key=len, reverse=True)

    def without(value: Any) -> Any:
        """Shorten paths in a text to their last names: those of the sources as a whole, then all that look like one."""
        if not isinstance(value, str):
            return value
        for folder in folders:
            value = value.replace(f"{folder}/", "").replace(f"{folder}\\", "")
        return re.sub(r"(?<![^\s'\"(=])(?:[A-Za-z]:)?[/\\](?:[^\s/\\'\",;:]+[/\\])*(?=[^\s/\\])", "", value)

    provenance = {key: without(value) for key, value in report.provenance.items() if key != "command"}
    return replace(report, provenance=provenance, warnings=[without(warning) for warning in report.warnings])
