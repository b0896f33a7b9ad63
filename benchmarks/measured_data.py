"""Measured spectra of ../shared/data as the benchmark `measured` uses them, each with its basis.

Scans with single transients or a water reference go through the workflow's own corrections;
averages are fitted as they are.
"""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from math import exp
from pathlib import Path

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import read_basis
from fmrsflow.basis.simulate import broad_fids
from fmrsflow.basis.site import alternatives, complete
from fmrsflow.concentration import Tissue, molar
from fmrsflow.convert.reader import load, read, read_lcmodel_raw
from fmrsflow.fids import Fids
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult
from fmrsflow.metabolites import propagated, with_sums
from fmrsflow.preprocess.scan import combined, correct
from fmrsflow.sheets import schema
from fmrsflow.stages.basis import make
from fmrsflow.study import Site
from fmrsflow.water_amplitude import water_amplitude

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT.parent / "shared" / "data"
CACHE = ROOT / "scratch" / "basis"
"""Simulated bases, each under the digest of all that it depends on."""

SCAN_FOLDERS = ("philips-press-3t", "drift-series", "siemens-press-3t", "real-nulls/steam-7t")
"""Where `scans` come from."""

SEVEN = ("tNAA", "tCho", "mI", "Glu", "Gln", "Glx", "GSH")
"""What is compared with the published engines."""

MAIN_SUMS = {
    "NAA+NAAG": ("NAA", "NAAG"),
    "Cr+PCr": ("Cr", "PCr"),
    "Glu+Gln": ("Glu", "Gln"),
    "Ins+Gly": ("mI", "Gly"),
    "GPC+PCho": ("GPC", "PCh"),
}
"""Main sums of the fitting challenge, by their names in its truth."""

TRUTH_NAMES = {"Ins": "mI", "sIns": "sI", "PCho": "PCh"}
"""Names of single metabolites in that truth that are not ours."""

ECHO_MS, METABOLITE_T2_MS = 30.0, 160.0
WATER_T2_MS = {"gm": 110.0, "wm": 80.0}
"""Of the challenge, as published with it; TR is long."""


@dataclass(frozen=True)
class Series:
    """Corrected transients of a scan, or their average; the basis of its protocol, and others that
    are as reasonable."""

    name: str
    fids: Fids
    basis: Basis
    others: tuple[Basis, ...] = ()

    def fitted(self, options: FitOptions | None = None) -> FitResult:
        """The default answer: the fit of the average, over all models."""
        return fit_average(self.fids.mean(), self.basis, options, self.others)[0]


@dataclass(frozen=True)
class Brain(Series):
    """The average of a person, named by vendor and person."""

    @property
    def vendor(self) -> str:
        """Maker of the scanner."""
        return self.name.split()[0]

    @property
    def subject(self) -> str:
        """Person."""
        return self.name.split()[1]


@dataclass(frozen=True)
class ChallengeSet:
    """A set of the fitting challenge; `truth_mm` by the names of its file, `factor`: mmol/L for an
    amplitude of one."""

    number: int
    fids: Fids
    basis: Basis
    truth_mm: dict[str, float]
    factor: float


def absent(folder: str) -> str:
    """Why the figures of a folder of the data are skipped; empty where it is there."""
    return "" if (DATA / folder).exists() else f"no ../shared/data/{folder} on this machine"


def simulated(site: Site, fids: Fids) -> tuple[Basis, tuple[Basis, ...]]:
    """The basis that the workflow makes for a site by default, and those under other values of
    what it assumed, on the axes of a scan."""
    sites = [site, *alternatives(site, complete({}))]
    axes = fids.dwell_s, fids.n_points, fids.frequency_mhz
    basis, *others = [make(one, {}, DATA, CACHE).resampled(*axes) for one in sites]
    return basis, tuple(others)


def specvis() -> list[Brain]:
    """17 brains, 3T PRESS TE 35 of three vendors (0.50 to 4.00 ppm only)."""
    found = []
    for path in sorted((DATA / "real-fit" / "specvis").glob("*.nii.gz")):
        vendor, subject = path.name.removesuffix(".nii.gz").split("_")
        fids = load(path)
        site = Site(vendor.lower(), vendor, 3.0, "PRESS", 0.035, 2.0, "own")
        found.append(Brain(f"{vendor} {subject}", fids, *simulated(site, fids)))
    return found


def published() -> dict[tuple[str, str, str], dict[str, float]]:
    """Ratios to tCr of three engines: vendor, subject, metabolite -> engine -> ratio."""
    path = DATA / "real-fit" / "specvis" / "published_ratios_tcr.tsv"
    return {
        (row["vendor"], row["subject"], row["metabolite"]): {
            engine: float(row[engine]) for engine in ("LCModel", "Osprey", "Tarquin")
        }
        for row in _rows(path)
    }


def challenge() -> list[ChallengeSet]:
    """Six sets with their truth, scaled to mmol/L by the water that comes with them."""
    folder = DATA / "fitting-challenge"
    site = Site("challenge", "Siemens", 3.0, "PRESS", ECHO_MS / 1e3, 20.0, "own", te1_s=0.011)
    basis = read_basis(folder / "basis" / "press3T_30ms.BASIS")
    truth = _rows(folder / "truth_sets1-6_mM.tsv")
    found = []
    for number in range(1, 7):
        stem = folder / "jmrui" / f"dataset{number}"
        fids, water = (read(Path(f"{stem}_{kind}.txt"), site).fids for kind in ("WS", "nWS"))
        found.append(
            ChallengeSet(
                number,
                fids,
                basis.resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz),
                {
                    row["metabolite"]: float(row[f"set{number}"])
                    for row in truth
                    if row[f"set{number}"]
                },
                _molar_factor(water_amplitude(water).value),
            )
        )
    return found


def _molar_factor(water: float) -> float:
    relaxed = {tissue: exp(-ECHO_MS / t2) for tissue, t2 in WATER_T2_MS.items()} | {"csf": 1.0}
    return molar(1 / water, Tissue(0.6, 0.4, 0.0), relaxed, exp(-ECHO_MS / METABOLITE_T2_MS))


def lcmodel_test() -> tuple[Fids, Basis]:
    """LCModel's test spectrum and the basis that comes with it."""
    folder = DATA / "real-fit" / "lcmodel-test"
    basis = read_basis(folder / "spant_3t.basis")
    # The file tells neither dwell time nor frequency: those of its basis.
    site = Site("lcmodel", "Philips", 3.0, "PRESS", 0.03, 2.0, "own",
                spectral_width_hz=1 / basis.dwell_s)  # fmt: skip
    fids = read_lcmodel_raw(folder / "spant_3t_data.raw", site)
    fids = Fids(fids.data, basis.dwell_s, basis.frequency_mhz, site.te_s, site.tr_s)
    return fids, basis.resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz)


def scans() -> list[Series]:
    """Five measured averages: three of Philips and one of Siemens at 3T, STEAM at 7T."""
    philips, drift = DATA / "philips-press-3t", DATA / "drift-series"
    te30 = Site("te30", "Philips", 3.0, "PRESS", 0.030, 2.0, "own")
    te35 = Site("te35", "Philips", 3.0, "PRESS", 0.035, 2.0, "own")
    siemens = Site("siemens", "Siemens", 3.0, "PRESS", 0.030, 2.0, "own")
    stem, pair = "sub-01_ses-01_PRESS_raw-{}_noID.SDAT", "sub-01_PRESS_35_{}.sdat"
    steam = steam_7t()
    return [
        _scan("Philips TE 30", te30, philips, stem.format("act"), stem.format("ref")),
        _scan("Philips TE 35", te35, philips, *(pair.format(x) for x in ("act", "ref"))),
        _scan("third Philips", te30, drift, *(f"philips_spar_sdat_{x}.SDAT" for x in ("WS", "W"))),
        _scan("Siemens TE 30", siemens, DATA / "siemens-press-3t", "SVS_30.IMA", None),
        replace(steam, fids=steam.fids.mean()),
    ]  # fmt: skip


def _scan(name: str, site: Site, folder: Path, file: str, reference: str | None) -> Series:
    fids = read(folder / file, site).fids
    water = read(folder / reference, site).fids if reference else None
    corrected = _corrected(fids, water)
    return Series(name, corrected.mean(), *simulated(site, corrected))


@cache
def steam_7t() -> Series:
    """16 transients of STEAM TE 11 at 7T, coils combined."""
    folder = DATA / "real-nulls" / "steam-7t"
    fids, water = (load(folder / f"nmt_{kind}_raw.nii.gz") for kind in ("metab", "wref"))
    site = Site("steam", "Siemens", 7.0, "STEAM", 0.011, 5.0, "own")
    corrected = _corrected(fids, water)
    return Series("STEAM 7T", corrected, *simulated(site, corrected))


def drift_series() -> Series:
    """20 transients of the edit state of MEGA-PRESS TE 68 that keeps NAA, as if of PRESS:
    approximate, since the editing pulses are not in the basis."""
    fids = load(DATA / "drift-series" / "spant_mpress_drift.nii.gz")
    site = Site("mega", "Philips", 3.0, "PRESS", 0.068, 2.0, "own")
    states = [_corrected(fids.select(slice(first, None, 2)), None) for first in (0, 1)]
    near = np.abs(fids.ppm - 2.01) < 0.1
    naa = [np.abs(one.mean().spectra[0, 0, near]).max() for one in states]
    kept = states[int(np.argmax(naa))]
    return Series("drift series TE 68", kept, *simulated(site, kept))


def phantoms() -> list[Series]:
    """Ten scans of one phantom, 16 transients each, 1.5T PRESS TE 30: nothing changes in truth.

    It holds creatine, lactate and acetate (the last scan acetate alone) and no NAA, and it is cold:
    creatine's line at 2.87 ppm sets the frequency, where the workflow would look for a brain's.
    """
    site = Site("phantom", "GE", 1.5, "PRESS", 0.030, 2.0, "own")
    found = []
    for path in sorted((DATA / "real-nulls" / "ge-phantom").glob("*_svs.nii.gz")):
        water = load(path.with_name(path.name.replace("_svs", "_mrsref")))
        fids = _creatine_in_place(_corrected(load(path), water, referenced=False))
        basis = simulated(site, fids)[0]
        found.append(Series(path.name[:3], fids, _phantom_basis(basis)))
    return found


def _creatine_in_place(fids: Fids) -> Fids:
    """Transients with the highest line of 2.75-2.98 ppm moved to 3.03 ppm."""
    mean = fids.mean().transients[0]
    fine = fids.with_data(np.pad(mean, (0, 7 * len(mean)))[None])
    near = (fine.ppm > 2.75) & (fine.ppm < 2.98)
    line = fine.ppm[near][np.argmax(np.abs(fine.spectra[0, 0, near]))]
    return fids.shifted((3.03 - line) * fids.frequency_mhz)


def _phantom_basis(basis: Basis) -> Basis:
    """The basis with acetate (three protons at 1.904 ppm, Govindaraju 2000) and without NAA."""
    acetate = broad_fids(
        {"Ace": ((1.904, 0.0, 3.0),)}, basis.frequency_mhz, basis.n_points, basis.dwell_s
    )
    names = [name for name in basis.names if name not in ("NAA", "NAAG")]
    kept = basis.select(names)
    return replace(kept, names=(*kept.names, "Ace"), fids=np.vstack([kept.fids, acetate]))


def _corrected(fids: Fids, water: Fids | None, referenced: bool = True) -> Fids:
    """Transients after the corrections of the workflow by default; rejected ones are left out."""
    setting = {key: rule["default"] for key, rule in schema("preprocess").items()}
    scan = combined(fids, water, setting["eddy"])
    usable = ("",) * fids.n_transients
    done = correct(scan.fids, ["all"] * fids.n_transients, usable, setting)
    kept = done.fids.select(done.outliers.kept)
    if referenced:
        return kept
    return kept.shifted(done.reference.shift_hz).rotated(done.reference.phase_deg)


def ratios(
    result: FitResult, names: Sequence[str] = SEVEN, error: str = "noise"
) -> tuple[np.ndarray, np.ndarray]:
    """Ratios to tCr of a fit and their standard errors (first order): of noise, of the model (the
    spread over models), or of both (`total`)."""
    spread = result.covariance if error != "model" else result.model_covariance
    if error == "total":
        spread = spread + result.model_covariance
    labels, values, covariance = with_sums(result.names, result.amplitudes, spread)
    tcr = labels.index("tCr")
    rows = [labels.index(name) for name in names]
    found = values[rows] / values[tcr]
    mix = np.zeros((len(rows), len(labels)))
    mix[np.arange(len(rows)), rows] = 1 / values[tcr]
    mix[:, tcr] -= found / values[tcr]
    return found, np.sqrt(np.maximum(np.diag(propagated(mix, covariance)), 0.0))


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file, delimiter="\t"))
