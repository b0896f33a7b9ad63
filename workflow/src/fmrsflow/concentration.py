"""From amplitudes to concentrations: constants, relaxation, tissue, water reference.

Formulas and constants: docs/science.md#concentration; Gasparovic et al. 2006
(doi:10.1002/mrm.20901), Harris et al. 2015 (doi:10.1002/mrm.25281). Amplitudes are per molecule (a
singlet of n protons starts at n), so that n_p of the formula is 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.metabolites import mixing, propagated

ALPHA_CORRECTED = ("GABA", "Glu", "Gln", "Glx")
"""Substances denser in GM than in WM (Harris 2015, alpha 0.5)."""

UNITS = {
    "molal": "mmol/kg",
    "molar": "mmol/L",
    "alpha_corrected": "mmol/kg",
    "ratio_tcr": "1",
    "ratio_tnaa": "1",
    "raw": "a.u.",
}
"""Unit of each quantity."""

TISSUES = ("gm", "wm", "csf")

PURE_WATER_MMOL_PER_KG = 55.51e3
"""Amount of water in a kilogram of it, mmol."""

WATER_DENSITY = {"gm": 0.78, "wm": 0.65, "csf": 0.97}
"""Relative water density d of each tissue (docs/science.md#concentration)."""

SETS_VERSION = "2"
"""Counts up whenever a constant of any set changes; written into every output."""

FIELD_RANGES = {
    "1.5T": (1.3, 1.7),
    "3T": (2.5, 3.5),
    "4T": (3.7, 4.3),
    "7T": (6.0, 8.0),
    "9.4T": (9.0, 9.8),
}
"""Field (T) for which the constants of a nominal field are used."""

LACKING = {"4T": "T1 of metabolites", "9.4T": "T2 of water in tissue"}
"""What no source was found for at fields of which no set has constants
(docs/science.md#relaxation)."""


class NoConstants(DataError):
    """A field of which no set has relaxation constants: ratios and raw amplitudes need none."""


@dataclass(frozen=True)
class Relaxation:
    """Relaxation times of a substance, s."""

    t1_s: float
    t2_s: float

    def factor(self, te_s: float, tr_s: float) -> float:
        """Share of the signal left: (1 - exp(-TR/T1)) exp(-TE/T2)."""
        return (1.0 - math.exp(-tr_s / self.t1_s)) * math.exp(-te_s / self.t2_s)


@dataclass(frozen=True)
class Tissue:
    """Volume fractions of the MRS voxel; they sum to 1. `sd`: standard uncertainty of each."""

    gm: float
    wm: float
    csf: float
    sd: float = 0.0

    def __post_init__(self):
        total = self.gm + self.wm + self.csf
        if min(self.gm, self.wm, self.csf) < 0 or abs(total - 1) > 1e-3:
            raise DataError(
                f"tissue fractions GM {self.gm:.3f}, WM {self.wm:.3f}, CSF {self.csf:.3f} "
                f"sum to {total:.3f}; shares of the voxel sum to 1: mend them"
            )
        if self.csf > 0.99:
            raise DataError(
                f"the voxel holds {100 * self.csf:.0f} % CSF: no tissue to refer to; check its "
                "place, or leave out molal values"
            )

    def water_mole_fraction(self, tissue: str) -> float:
        """f_x = v_x d_x / sum_y v_y d_y."""
        total = sum(getattr(self, y) * WATER_DENSITY[y] for y in TISSUES)
        return getattr(self, tissue) * WATER_DENSITY[tissue] / total

    def moved(self, origin: str, target: str, share: float) -> Tissue:
        """With a share of the voxel taken from one tissue and given to another."""
        taken, given = getattr(self, origin) - share, getattr(self, target) + share
        return replace(self, **{origin: taken, target: given})


@dataclass(frozen=True)
class ConstantsSet:
    """A named, versioned set of relaxation times at one field.

    `water`: by tissue. `metabolites`: name -> (in GM, in WM); `other` for any that it lacks.
    """

    name: str
    field: str
    water: dict[str, Relaxation]
    metabolites: dict[str, tuple[Relaxation, Relaxation]]
    other: tuple[Relaxation, Relaxation]

    @property
    def label(self) -> str:
        """Name, field and version, as outputs carry it."""
        return f"{self.name}-{self.field}-v{SETS_VERSION}"

    def water_factor(self, tissue: str, te_s: float, tr_s: float) -> float:
        """R_w of one tissue at the reference's own TE and TR."""
        return self.water[tissue].factor(te_s, tr_s)

    def metabolite_factor(self, name: str, tissue: Tissue, te_s: float, tr_s: float) -> float:
        """R_m, weighted by the GM and WM volume fractions (CSF holds no metabolite)."""
        in_gm, in_wm = self.metabolites.get(name, self.other)
        parenchyma = tissue.gm + tissue.wm
        return (
            tissue.gm * in_gm.factor(te_s, tr_s) + tissue.wm * in_wm.factor(te_s, tr_s)
        ) / parenchyma


def molal(ratio: float, tissue: Tissue, water: dict[str, float], metabolite):
    """Concentration in mmol per kg tissue water (Gasparovic 2006, with n_p = 1).

    Parameters
    ----------
    ratio : float
        Metabolite amplitude per molecule over water amplitude, S_m / S_w.
    tissue : Tissue
    water : dict
        Relaxation factor R_w of each tissue.
    metabolite : float or array
        Relaxation factor R_m, of one substance or of several.
    """
    # The divisor holds the water mole fraction of CSF, not its volume fraction.
    tissue_water = 1.0 - tissue.water_mole_fraction("csf")
    return _relaxation_corrected(ratio, tissue, water, metabolite) / tissue_water


def molar(ratio: float, tissue: Tissue, water: dict[str, float], metabolite):
    """Concentration in mmol per litre of tissue; parameters as in `molal`."""
    relaxed = sum(getattr(tissue, x) * WATER_DENSITY[x] * water[x] for x in TISSUES)
    return ratio * 2.0 * PURE_WATER_MMOL_PER_KG * relaxed / (metabolite * (1.0 - tissue.csf))


def alpha_corrected(
    ratio: float, tissue: Tissue, water: dict[str, float], metabolite, alpha: float = 0.5
):
    """Harris 2015, for substances denser in GM (GABA, Glu, Gln, Glx); parameters as in `molal`.

    C / (v_GM + alpha v_WM) of the relaxation-corrected C, which is not divided by the share of
    tissue water: CSF is no part of v_GM + alpha v_WM, so that this division corrects for it.
    """
    whole = _relaxation_corrected(ratio, tissue, water, metabolite)
    return whole / (tissue.gm + alpha * tissue.wm)


def _relaxation_corrected(ratio: float, tissue: Tissue, water: dict[str, float], metabolite):
    """mmol per kg water of the whole voxel, CSF in it."""
    relaxed = sum(tissue.water_mole_fraction(x) * water[x] for x in TISSUES)
    return ratio * 2.0 * PURE_WATER_MMOL_PER_KG * relaxed / metabolite


ABSOLUTE = {"molal": molal, "molar": molar, "alpha_corrected": alpha_corrected}
"""Quantities that water scales, each with its formula."""


@dataclass(frozen=True)
class Water:
    """The water reference of a scan: fitted amplitude at t = 0 (two protons a molecule), TE, TR.

    `se`: standard error of the amplitude, from noise and model.
    """

    amplitude: float
    te_s: float
    tr_s: float
    se: float = 0.0


@dataclass(frozen=True)
class Quantity:
    """One value with its standard errors; `quantity` is a key of `UNITS`.

    Attributes
    ----------
    se : float
        Noise of the fit: what two conditions of a scan do not share.
    model_sd : float
        Among models of the fit (docs/science.md#model-error).
    water_se, tissue_se : float
        From the water amplitude and from the tissue fractions; with `model_sd` common to all
        spectra of a scan, in proportion to their values.
    """

    metabolite: str
    quantity: str
    value: float
    se: float
    model_sd: float = 0.0
    water_se: float = 0.0
    tissue_se: float = 0.0

    @property
    def total_se(self) -> float:
        """Of the value as a level: noise and models of the fit, water, tissue."""
        return math.hypot(self.se, self.model_sd, self.water_se, self.tissue_se)


def quantities(
    names: tuple[str, ...],
    amplitudes: np.ndarray,
    covariance: np.ndarray,
    te_s: float,
    tr_s: float,
    water: Water | None = None,
    tissue: Tissue | None = None,
    relaxation: ConstantsSet | None = None,
    model_covariance: np.ndarray | None = None,
) -> list[Quantity]:
    """Every quantity that the inputs allow, for each metabolite and sum.

    Errors of first order (docs/science.md#concentration-errors): `se` from the covariance of the
    amplitudes, beside it what the water amplitude and the tissue fractions add. Ratios are ratios
    of amplitudes, without relaxation correction, as the field reports them.

    Parameters
    ----------
    names, amplitudes, covariance
        Single metabolites, (n,), (n,) and (n, n); amplitudes per molecule.
    te_s, tr_s : float
        Of the metabolite scan.
    water, tissue, relaxation
        Where one is missing, only `raw` and ratios are given.
    model_covariance : array (n, n), optional
        Of the amplitudes among models of the fit.
    """
    if model_covariance is None:
        model_covariance = np.zeros_like(covariance)
    labels, sums = mixing(names)
    values = sums @ amplitudes
    spreads = [propagated(sums, one) for one in (covariance, model_covariance)]
    found = _each(labels, "raw", values, *spreads)
    for quantity, parts in (("ratio_tcr", "tCr"), ("ratio_tnaa", "tNAA")):
        if parts in labels and values[labels.index(parts)] > 0:
            found += _ratios(labels, quantity, values, spreads, labels.index(parts))
    if water is None or tissue is None or relaxation is None:
        return found
    if not water.amplitude > 0:
        raise DataError(
            f"the water amplitude {water.amplitude:g} is not positive; name another file in column "
            "ref of scans.tsv, or none"
        )
    by_tissue = {x: relaxation.water_factor(x, water.te_s, water.tr_s) for x in TISSUES}

    def mixed(formula, fractions: Tissue) -> np.ndarray:
        """Matrix (n_labels, n_names) that turns amplitudes into concentrations."""
        factors = [relaxation.metabolite_factor(one, fractions, te_s, tr_s) for one in names]
        return sums * formula(1.0 / water.amplitude, fractions, by_tissue, np.array(factors))

    for quantity, formula in ABSOLUTE.items():
        matrix = mixed(formula, tissue)
        spreads = [propagated(matrix, one) for one in (covariance, model_covariance)]
        own = _each(labels, quantity, matrix @ amplitudes, *spreads)
        tissue_se = _tissue_se(partial(mixed, formula), amplitudes, tissue)
        found += [
            replace(one, water_se=one.value * water.se / water.amplitude, tissue_se=float(error))
            for one, error in zip(own, tissue_se)
            if quantity != "alpha_corrected" or one.metabolite in ALPHA_CORRECTED
        ]
    return found


_STEP = 1e-5
"""Share of the voxel that is moved to find how a value follows the tissue fractions."""


def _tissue_se(
    matrix: Callable[[Tissue], np.ndarray], amplitudes: np.ndarray, tissue: Tissue
) -> np.ndarray:
    """Standard error of matrix(tissue) @ amplitudes, (n,), from the uncertainty of the fractions.

    Fractions of SD `tissue.sd` each that sum to 1 have the covariance sd^2 / 2 times the sum over
    pairs of tissues of (e_i - e_j)(e_i - e_j)^T: half the sum of squares of what the values change
    by as sd of the voxel goes from one to the other.
    """
    # The largest has something to give, which the others need not have.
    largest = max(TISSUES, key=lambda x: getattr(tissue, x))
    here = matrix(tissue)
    first, second = (
        (matrix(tissue.moved(largest, x, _STEP)) - here) @ amplitudes / _STEP
        for x in TISSUES
        if x != largest
    )
    return tissue.sd * np.sqrt((first**2 + second**2 + (second - first) ** 2) / 2)


def _each(labels, quantity: str, values, spread, model_spread) -> list[Quantity]:
    # Rounding can leave the variance of a ratio to itself negative.
    errors, models = (np.sqrt(np.maximum(np.diag(one), 0.0)) for one in (spread, model_spread))
    return [
        Quantity(label, quantity, float(value), float(error), float(model))
        for label, value, error, model in zip(labels, values, errors, models)
    ]


def _ratios(labels, quantity: str, values, spreads, reference: int) -> list[Quantity]:
    below = values[reference]
    ratios = values / below
    # First order: the ratio moves by (dx - r dy) / y.
    slopes = (np.eye(len(values)) - np.outer(ratios, np.eye(len(values))[reference])) / below
    return _each(labels, quantity, ratios, *(slopes @ one @ slopes.T for one in spreads))


def constants(name: str, field_t: float) -> ConstantsSet:
    """The named set at a field; where it lacks that field, the set of the literature there.

    Raises
    ------
    DataError
        No set of that name.
    NoConstants
        No set has constants at that field.
    """
    if name not in set_names():
        raise DataError(f"no constants set {name!r}; name one of {', '.join(set_names())}")
    field = next((one for one, (low, high) in FIELD_RANGES.items() if low <= field_t <= high), "")
    found = _SETS.get((name, field)) or _LITERATURE.get(field)
    if found is None:
        why = f" (no source for the {LACKING[field]})" if field in LACKING else ""
        known = sorted({one for _, one in _SETS}, key=lambda one: float(one[:-1]))
        raise NoConstants(
            f"no relaxation constants at {field_t:g} T{why}; there are some at {', '.join(known)}. "
            "Raw amplitudes and ratios (ratio_tcr, ratio_tnaa) need none"
        )
    return found


def set_names() -> tuple[str, ...]:
    """Names of all sets, sorted."""
    return tuple(sorted({name for name, _ in _SETS}))


def _water(t1: tuple, t2: tuple) -> dict[str, Relaxation]:
    return {x: Relaxation(t1_s, t2_s) for x, t1_s, t2_s in zip(TISSUES, t1, t2)}


def _pair(t1_gm: float, t1_wm: float, t2_gm: float, t2_wm: float):
    """Milliseconds as the literature tabulates them."""
    return Relaxation(t1_gm / 1e3, t2_gm / 1e3), Relaxation(t1_wm / 1e3, t2_wm / 1e3)


# Mlynarik 2001, Puts 2013, Wyss 2018: T1 GM, T1 WM, T2 GM, T2 WM in ms.
_METABOLITES_3T = {
    "Asc": _pair(1340, 1190, 115, 172),
    "Asp": _pair(1340, 1190, 100.5, 148),
    "Cr": _pair(1460, 1240, 146, 166),
    "PCr": _pair(1460, 1240, 146, 166),
    "GABA": _pair(1310, 1310, 88.5, 88.5),
    "Glc": _pair(1340, 1190, 102.5, 155),
    "Gln": _pair(1340, 1190, 110.5, 168),
    "Glu": _pair(1270, 1170, 128.5, 124),
    "Gly": _pair(1340, 1190, 91.5, 152),
    "GPC": _pair(1300, 1080, 248, 218),
    "GSH": _pair(1340, 1190, 88.5, 145),
    "Lac": _pair(1340, 1190, 104.5, 159),
    "mI": _pair(1230, 1010, 236.5, 161),
    "NAA": _pair(1470, 1350, 258, 343),
    "NAAG": _pair(1340, 1190, 117.5, 185),
    "PCh": _pair(1300, 1080, 247.5, 213),
    "PE": _pair(1340, 1190, 102.5, 158),
    "sI": _pair(1340, 1190, 116, 170),
    "Tau": _pair(1340, 1190, 112.5, 112.5),
}
_OTHER_3T = _pair(1340, 1190, 140, 169)

_METABOLITES_7T = {
    "Cr": _pair(1740, 1780, 107, 107),
    "PCr": _pair(1740, 1780, 107, 107),
    "GABA": _pair(1334, 1334, 87, 87),
    "Gln": _pair(1640, 1740, 107, 107),
    "Glu": _pair(1610, 1750, 107, 117),
    "GPC": _pair(1510, 1320, 153, 153),
    "PCh": _pair(1510, 1320, 153, 153),
    "GSH": _pair(1140, 1060, 79, 79),
    "Lac": _pair(1530, 1484, 182, 182),
    "mI": _pair(1280, 1190, 111, 111),
    "NAA": _pair(1780, 1830, 155, 155),
    "NAAG": _pair(1210, 940, 155, 155),
    "PE": _pair(1310, 1320, 182, 182),
    "sI": _pair(1310, 1230, 105, 105),
    "Tau": _pair(2150, 2090, 97, 97),
}
_OTHER_7T = _pair(1530, 1484, 127, 128)

_OSPREY_WATER_3T = _water((1.331, 0.832, 3.817), (0.110, 0.0792, 0.503))
_OSPREY_WATER_7T = _water((2.130, 1.220, 4.425), (0.055, 0.050, 0.141))


def _average(t1_s: float, t2_s: float) -> tuple[Relaxation, Relaxation]:
    return Relaxation(t1_s, t2_s), Relaxation(t1_s, t2_s)


_LITERATURE = {
    "1.5T": ConstantsSet(
        "literature",
        "1.5T",
        # T1: Wright (GM, WM), Yamashiro (CSF). T2: Cox & Gowland 2010, GM the mean of frontal and
        # occipital; CSF as FSL-MRS takes it.
        _water((1.185, 0.630, 3.90), (0.0835, 0.080, 2.0)),
        # T2: Traber 2004, motor cortex and occipital WM; mI Kreis 2005. T1: Ratiney, the mean.
        {
            "NAA": _pair(1238, 1238, 317, 361),
            "Cr": _pair(1238, 1238, 208, 215),
            "PCr": _pair(1238, 1238, 208, 215),
            "GPC": _pair(1238, 1238, 300, 330),
            "PCh": _pair(1238, 1238, 300, 330),
            "mI": _pair(1238, 1238, 150, 150),
        },
        # T2: Isobe 2002, the mean of NAA, Cr and Cho.
        _average(1.238, 0.279),
    ),
}
"""Fields that the sets of the programs lack, from the literature (docs/science.md#relaxation)."""

_SETS = {
    (one.name, one.field): one
    for one in (
        ConstantsSet("osprey", "3T", _OSPREY_WATER_3T, _METABOLITES_3T, _OTHER_3T),
        ConstantsSet("osprey", "7T", _OSPREY_WATER_7T, _METABOLITES_7T, _OTHER_7T),
        # Osprey releases from 2023-04-06 to 2025-04: the default row for every metabolite at 3T.
        ConstantsSet("osprey-2023", "3T", _OSPREY_WATER_3T, {}, _OTHER_3T),
        ConstantsSet("osprey-2023", "7T", _OSPREY_WATER_7T, _METABOLITES_7T, _OTHER_7T),
        # As spant tabulates them, from Gasparovic 2006 and, CSF, Ibrahim.
        ConstantsSet(
            "spant",
            "1.5T",
            _water((1.304, 0.660, 2.39), (0.093, 0.073, 0.23)),
            {},
            _average(1.153, 0.347),
        ),
        ConstantsSet(
            "spant",
            "3T",
            _water((1.331, 0.832, 3.817), (0.110, 0.0796, 0.503)),
            {},
            _average(1.317, 0.207),
        ),
        ConstantsSet(
            "spant",
            "7T",
            _water((2.132, 1.220, 4.425), (0.050, 0.055, 1.05)),
            {},
            _average(1.583, 0.141),
        ),
        # As FSL-MRS tabulates them, from Wright, Yamashiro, Ratiney, Cox & Gowland, Isobe.
        ConstantsSet(
            "fsl-mrs",
            "1.5T",
            _water((1.185, 0.630, 3.90), (0.083, 0.080, 2.0)),
            {},
            _average(1.238, 0.279),
        ),
        ConstantsSet(
            "fsl-mrs",
            "3T",
            _water((1.50, 0.97, 4.47), (0.088, 0.073, 2.03)),
            {},
            _average(1.29, 0.194),
        ),
        ConstantsSet(
            "fsl-mrs",
            "7T",
            _water((2.05, 1.21, 4.43), (0.050, 0.055, 1.05)),
            {},
            _average(1.43, 0.131),
        ),
    )
}
