"""The variants of the method that are trained and compared: one row each, read by tables, figures, claims and training.

A variant's name says what it switches on; it is that of its folder of checkpoints, and of its rows in the results.
"""

from __future__ import annotations

from dataclasses import dataclass

from model.presets import Method, method_named


@dataclass(frozen=True)
class Variant:
    """One way to train a network."""

    name: str
    """Parts of the method, joined by +."""
    title: str
    """Name in tables and figures."""
    bases: tuple[str, ...]
    """Names of the variants that it is compared with: each differs from it in what is being tested."""
    color: str
    """Color of its line: how it is trained, or whose network it is; all can be told apart by everybody (Okabe and Ito,
    2008)."""
    line: str
    """Style of its line: which network or matching it has."""
    seeds: int
    """Number of networks to train, from seeds 0, 1, ..."""
    registered: bool = True
    """Its runs are registered (results/streets/registration.md). Others are trained only when they are named."""

    @property
    def method(self) -> Method:
        """Return the parts of the paper that it switches on."""
        return method_named(self.name)


@dataclass(frozen=True)
class Run:
    """One variant, trained from one seed."""

    variant: str
    seed: int

    @property
    def name(self) -> str:
        """Name of the run's folder."""
        return f"{self.variant}/seed{self.seed}"


VARIANTS = (
    Variant("full", "FULL", (), "#000000", "-", 3),
    Variant("crop", "CROP", ("full",), "#0072b2", "-", 3),
    Variant("crop+cabb", "CROP + CABB", ("crop",), "#56b4e9", "-", 3),
    Variant("crop+isus", "CROP + ISUS", ("crop",), "#009e73", "-", 3),
    Variant("crop+cabb+isus", "CROP + CABB + ISUS", ("crop",), "#d55e00", "-", 3),
    Variant("seamless", "Seamless", (), "#000000", "--", 2),
    Variant("seamless+crop", "Seamless + CROP", ("seamless",), "#0072b2", "--", 2),
    Variant(
        "seamless+cabb+isus",
        "Seamless + CABB + ISUS",
        ("seamless+crop",),
        "#d55e00",
        "--",
        2,
    ),
    Variant("crop+clipped", "CROP, clipped matching (ours)", ("crop",), "#0072b2", ":", 1),
    Variant(
        "crop+cabb+isus+clipped",
        "CROP + CABB + ISUS, clipped matching (ours)",
        ("crop+clipped", "crop+cabb+isus"),
        "#d55e00",
        ":",
        1,
    ),
    # The other systems of Table 1, under the names that they have there; and what changes in some of them.
    Variant("tascnet", "TASCNet", (), "#009e73", "-.", 1, registered=False),
    Variant("adaptis", "AdaptIS", (), "#e69f00", "-.", 1, registered=False),
    Variant("deeplab-x71", "Deeplab, X71", (), "#56b4e9", "-.", 1, registered=False),
    Variant("efficientps", "EfficientPS", (), "#0072b2", "-.", 1, registered=False),
    Variant("deeplab-hr48", "Deeplab, HR48", (), "#000000", "-.", 1, registered=False),
    Variant(
        "deeplab-hr48+closed",
        "Deeplab, HR48, no offsets in cut objects (ours)",
        ("deeplab-hr48",),
        "#f0e442",
        "-.",
        1,
        registered=False,
    ),
    Variant(
        "efficientps+cabb+isus",
        "EfficientPS + CABB + ISUS",
        ("efficientps",),
        "#d55e00",
        "-.",
        1,
        registered=False,
    ),
    Variant(
        "tascnet+crop+cabb+isus",
        "TASCNet + CROP + CABB + ISUS",
        ("tascnet",),
        "#cc79a7",
        "-.",
        1,
        registered=False,
    ),
)
BY_NAME = {variant.name: variant for variant in VARIANTS}
PLAN = tuple(
    Run(variant.name, seed)
    for seed in range(max(v.seeds for v in VARIANTS))
    for variant in VARIANTS
    if seed < variant.seeds
)
"""All runs, the most wanted first: every variant once, then second and third seeds."""


def title(name: str) -> str:
    """Return the title of a variant; the name of any other system is its title."""
    return BY_NAME[name].title if name in BY_NAME else name
