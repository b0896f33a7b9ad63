"""Error that `fmrsflow plan` expects of a scan against the scatter of scans that were simulated and
fitted, over designs that differ in field, sequence, TE, TR, voxel, blocks and transients.

Own model: the synthetic scanner, of a normal person each time, so that noise and gain alone
scatter. Beside it the family `foreign`, of which the plan knows linewidth and SNR, as of a site.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from figure import Figure
from fmrsflow.concentration import Tissue
from fmrsflow.constants import NARROWING_HZ
from fmrsflow.fids import Fids
from fmrsflow.fit.joint import fit_joint
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import designs
from fmrsflow.plan.acquisition import GAIN, Protocol, Task, density, expected, noise_sd, snr_of
from fmrsflow.quality import fwhm_tcr
from fmrsflow.study import Site
from fmrsflow.synthetic import foreign, scanner
from fmrsflow.synthetic.ingredients import Lineshape, Noise

SEED = 53_000
GLU = 3.0
MOST = 10.0
NAMES = ("Glu", "tNAA", "tCr", "mI", "Glx")
"""Metabolites whose ratios are told beside that of Glu."""


@dataclass(frozen=True)
class Design:
    """A scan of a plan: protocol of the sheet, voxel, width, blocks, SNR of one transient."""

    sequence: str
    field_t: float
    te_s: float
    tr_s: float
    volume_ml: float
    fwhm_hz: float
    block_s: float
    transients: int
    density: float

    def __str__(self) -> str:
        return (
            f"{self.field_t:g}T {self.sequence} TE {1e3 * self.te_s:g} TR {self.tr_s:g} "
            f"{self.volume_ml:g} mL, {self.transients} in blocks of {self.block_s:g} s"
        )

    @property
    def protocol(self) -> Protocol:
        """As the plan has it."""
        site = Site(
            "site", "Siemens", self.field_t, self.sequence, self.te_s, self.tr_s, "standardised"
        )
        return Protocol(site, self.volume_ml, self.fwhm_hz, Tissue(0.6, 0.3, 0.1))

    @property
    def task(self) -> Task:
        """Rest and task in turn."""
        return Task(self.transients, self.block_s, self.block_s)

    def expected(self, protocol: Protocol | None = None, noise: float = 0.0) -> dict[str, float]:
        """Standard errors that the plan gives."""
        protocol, noise = protocol or self.protocol, noise or self.density
        labels, timing = self.task.labels(self.tr_s), self.task.timing(self.tr_s)
        directions = protocol.directions(FitOptions())
        sd = noise_sd(protocol, noise)
        return dict(expected(directions, sd, labels, timing, ("boxcar",)).se_percent)

    def courses(self) -> tuple[np.ndarray, np.ndarray]:
        """Response of the metabolites and of the width."""
        onsets = np.arange(self.block_s, self.transients * self.tr_s, 2 * self.block_s)
        blocks = (onsets, np.full(len(onsets), self.block_s), self.transients, self.tr_s)
        return scanner.boxcar(*blocks), scanner.haemodynamic(*blocks)

    def changes(self, fids: Fids) -> dict[str, float]:
        """Percent changes that the joint fit finds, by the default settings."""
        both = designs(self.task.labels(self.tr_s), self.task.timing(self.tr_s), FitOptions())
        basis = self.protocol.basis().resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz)
        found = fit_joint(fids, basis, *both, FitOptions())
        return dict(zip(found.names, found.change_percent[0].tolist()))

    def scan(self) -> scanner.Protocol:
        """For the synthetic scanner."""
        protocol, (response, bold) = self.protocol, self.courses()
        return scanner.Protocol(
            basis=protocol.basis(),
            amplitudes=protocol.amplitudes(),
            n_transients=self.transients,
            tr_s=self.tr_s,
            changes_percent={"Glu": GLU},
            response=response,
            bold=bold,
            lineshape=Lineshape(
                protocol.part_hz, protocol.part_hz, narrowing_hz=NARROWING_HZ[protocol.nominal]
            ),
            noise=Noise(snr_of(protocol, self.density)),
        )

    def own(self, seed: int) -> Fids:
        """Transients of the synthetic scanner, with the gain of the plan."""
        fids = scanner.simulate(self.scan(), seed).fids
        gains = 1 + GAIN.size * _course(self.transients, np.random.default_rng((seed, 1)))
        return fids.with_data(fids.data * gains[:, None, None])

    def foreign(self, seed: int) -> Fids:
        """Transients of the family, the same SNR in each."""
        spacing = 0.15 if self.sequence == "sLASER" else 0.0
        te1_s = 0.014 if self.sequence == "PRESS" else None
        setup = foreign.Setup(self.sequence, self.te_s, self.tr_s, te1_s, spacing)
        family = foreign.Foreign(
            setups=(setup,),
            snr_tcr=snr_of(self.protocol, self.density),
            gain_cv=GAIN.size,
            gain_correlation=GAIN.correlation,
        )
        course = foreign.Course(*self.courses(), {"Glu": GLU})
        return foreign.draw_series(self.field_t, seed, course, family).fids

    def of_foreign(self, fids: Fids) -> dict[str, float]:
        """Standard errors that the plan gives where linewidth and SNR were measured."""
        line = fwhm_tcr(fids.mean())
        protocol = replace(self.protocol, fwhm_hz=line.fwhm_hz)
        snr = snr_of(self.protocol, self.density)
        return self.expected(protocol, density(protocol, snr, fids.n_points * fids.dwell_s))


def _course(n: int, rng: np.random.Generator) -> np.ndarray:
    """An autoregressive process of SD 1 and the plan's correlation, (n,)."""
    rho, steps = GAIN.correlation, rng.standard_normal(n)
    for j in range(1, n):
        steps[j] = rho * steps[j - 1] + np.sqrt(1 - rho**2) * steps[j]
    return steps


DESIGNS = (
    Design("PRESS", 3.0, 0.030, 2.0, 20.0, 6.0, 64.0, 128, 1.4),
    Design("PRESS", 3.0, 0.068, 2.0, 27.0, 6.5, 32.0, 192, 1.4),
    Design("sLASER", 3.0, 0.028, 3.0, 15.6, 6.0, 30.0, 100, 1.4),
    Design("sLASER", 3.0, 0.028, 5.0, 15.6, 6.0, 60.0, 72, 1.4),
    Design("STEAM", 3.0, 0.020, 2.0, 27.0, 7.0, 16.0, 160, 1.4),
    Design("sLASER", 3.0, 0.068, 1.5, 8.0, 8.0, 24.0, 256, 1.0),
    Design("STEAM", 7.0, 0.011, 5.0, 8.0, 12.0, 60.0, 64, 0.65),
    Design("sLASER", 7.0, 0.026, 5.0, 8.0, 11.0, 20.0, 96, 0.65),
    Design("sLASER", 7.0, 0.036, 4.0, 12.0, 10.0, 64.0, 64, 0.65),
    Design("PRESS", 7.0, 0.030, 3.0, 6.0, 13.0, 32.0, 128, 0.65),
)


def figures(draws: int, foreign_draws: int, few: int = len(DESIGNS)) -> Iterator[Figure]:
    """Scatter over expected error, of `few` designs spread over all where there is no time."""
    chosen = DESIGNS[:: len(DESIGNS) // few]
    ratios = []
    for design in chosen:
        found = _scatter(design.own, design, draws)
        told = design.expected()
        ratio = found / np.array([told[name] for name in NAMES])
        ratios.append(ratio)
        yield _judged(str(design), ratio, draws, f"expected {told['Glu']:.2f}")
    mean = float(np.mean([one[0] for one in ratios]))
    error = 100 / (2 * draws * len(chosen)) ** 0.5
    yield Figure(
        f"scatter / expected error of Glu, mean of {len(chosen)} designs", mean, "0.9-1.1",
        abs(mean - 1) <= MOST / 100, f"+- {error:.1f} %",
    )  # fmt: skip
    for design in chosen:
        first = design.foreign(SEED)
        told = design.of_foreign(first)
        found = _scatter(design.foreign, design, foreign_draws)
        ratio = found / np.array([told[name] for name in NAMES])
        title = f"foreign spectra, {design}"
        yield replace(_judged(title, ratio, foreign_draws, f"expected {told['Glu']:.2f}"),
                      target="reported", reached=True)  # fmt: skip


def _scatter(draw, design: Design, draws: int) -> np.ndarray:
    """SD of the changes over draws, (n_names,)."""
    rows = []
    for seed in range(SEED, SEED + draws):
        found = design.changes(draw(seed))
        rows.append([found[name] for name in NAMES])
    return np.nanstd(rows, axis=0, ddof=1)


def _judged(title: str, ratio: np.ndarray, draws: int, note: str) -> Figure:
    """Ratio of Glu, reached within 10 % and two Monte Carlo errors of it."""
    error = 100 / (2 * draws) ** 0.5
    others = ", ".join(f"{name} {one:.2f}" for name, one in zip(NAMES[1:], ratio[1:]))
    return Figure(
        f"scatter / expected error of Glu, {title}", float(ratio[0]), "0.9-1.1",
        bool(100 * abs(ratio[0] - 1) <= MOST + 2 * error),
        f"{note} points, {draws} scans, +- {error:.1f} %; {others}",
    )  # fmt: skip
