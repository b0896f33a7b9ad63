"""Basis sets: the noise-free FID of each metabolite under one protocol, and their files."""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np

from fmrsflow.constants import FIELD_TOLERANCE, same_field
from fmrsflow.errors import DataError, reading_failed
from fmrsflow.fids import CARRIER_PPM


@dataclass(frozen=True)
class Basis:
    """Noise-free FIDs per molecule: a singlet of n protons starts at n.

    Attributes
    ----------
    names : tuple of str
    fids : complex array, shape (n_metabolites, n_points), sign convention of `fmrsflow.fids`
    dwell_s, frequency_mhz, te_s, carrier_ppm : float
    made : dict
        How the basis was made: sequence, pulses, spin-system sources, file.
    """

    names: tuple[str, ...]
    fids: np.ndarray
    dwell_s: float
    frequency_mhz: float
    te_s: float | None = None
    carrier_ppm: float = CARRIER_PPM
    made: dict = field(default_factory=dict)

    @property
    def n_points(self) -> int:
        """Number of points of each FID."""
        return self.fids.shape[1]

    @property
    def ppm(self) -> np.ndarray:
        """Rising chemical-shift axis (ppm) of `fmrsflow.fids.to_spectrum(fids)`."""
        hz = np.fft.fftshift(np.fft.fftfreq(self.n_points, self.dwell_s))
        return self.carrier_ppm + hz / self.frequency_mhz

    def index(self, name: str) -> int:
        """Row of a metabolite; DataError where the basis lacks it."""
        if name not in self.names:
            raise DataError(f"the basis has no {name}; it has {', '.join(self.names)}")
        return self.names.index(name)

    def select(self, names) -> Basis:
        """The basis of these metabolites only, in this order."""
        rows = [self.index(name) for name in names]
        return replace(self, names=tuple(names), fids=self.fids[rows])

    def broadened(self, lorentz_hz: float) -> Basis:
        """The basis with Lorentzian lines, wider by `lorentz_hz` (FWHM)."""
        time_s = np.arange(self.n_points) * self.dwell_s
        width = self.made.get("linewidth_hz", 0.0) + lorentz_hz
        fids = self.fids * np.exp(-np.pi * lorentz_hz * time_s)
        return replace(self, fids=fids, made={**self.made, "linewidth_hz": width})

    def resampled(self, dwell_s: float, n_points: int, frequency_mhz: float) -> Basis:
        """The basis on the time axis of a scan.

        FIDs are interpolated by a spline of degree 7 in a frame that turns with the middle of the
        metabolites' range (2.8 ppm): an error below 1e-5 of the first point while the range takes
        up less than a third of the basis' spectral width. A scanner of slightly other frequency
        (123.2 against 127.7 MHz) gets the same chemical shifts in ppm; couplings then scale with
        it. Past the end of the basis' own FIDs comes zero.

        Parameters
        ----------
        dwell_s, n_points, frequency_mhz
            Of the scan: s, number, MHz.

        Raises
        ------
        DataError
            The basis is of another field (frequencies differ by more than `FIELD_TOLERANCE`).
        """
        ratio = frequency_mhz / self.frequency_mhz
        if not same_field(frequency_mhz, self.frequency_mhz):
            raise DataError(
                f"the basis is for {self.frequency_mhz:.2f} MHz, the scan has "
                f"{frequency_mhz:.2f} MHz (more than {100 * FIELD_TOLERANCE:.0f} % apart): "
                "use or simulate a basis of the scanner's field"
            )
        same_step = np.isclose(dwell_s * ratio, self.dwell_s, rtol=1e-7)
        if same_step and n_points <= self.n_points:
            fids = self.fids[:, :n_points].copy()
        else:
            # The ppm axis stays when time runs faster by the ratio of the frequencies.
            last = (self.n_points - 1) * self.dwell_s
            wanted = np.arange(n_points) * dwell_s * ratio
            inside = wanted <= last * (1 + 1e-12)
            fids = np.zeros((len(self.names), n_points), complex)
            at = np.minimum(wanted[inside], last)
            fids[:, inside] = self._turning(at) * np.exp(self._middle * at)
        return replace(self, fids=fids, dwell_s=dwell_s, frequency_mhz=frequency_mhz)

    @property
    def _middle(self) -> complex:
        """Rate (1/s) of the frame that turns with the middle of the metabolites' range."""
        return 2j * np.pi * (2.8 - self.carrier_ppm) * self.frequency_mhz

    @cached_property
    def _turning(self):
        """Spline through the FIDs in that frame; one serves all scans of a site."""
        from scipy.interpolate import make_interp_spline

        time_s = np.arange(self.n_points) * self.dwell_s
        turned = self.fids * np.exp(-self._middle * time_s)
        return make_interp_spline(time_s, turned, k=7, axis=1)


def read_npz(path: str | Path) -> Basis:
    """Read our own format (see `to_npz`); DataError where it is something else."""
    name = Path(path).name
    try:
        # Opened here, since numpy leaves a file open that turns out to be no archive.
        with Path(path).open("rb") as file, np.load(file, allow_pickle=False) as content:
            arrays = dict(content)
    except (OSError, ValueError, EOFError, zipfile.BadZipFile, zlib.error) as error:
        reason = f"{name} cannot be read as a basis: {error}"
        raise reading_failed(path, error, reason) from None
    missing = {"names", "fids", "dwell_s", "frequency_mhz", "carrier_ppm"} - set(arrays)
    if missing:
        raise DataError(f"{name} is no basis: it lacks {', '.join(sorted(missing))}")
    te_s = float(arrays.get("te_s", np.nan))
    return Basis(
        names=tuple(str(name) for name in arrays["names"]),
        fids=arrays["fids"].astype(complex),
        dwell_s=float(arrays["dwell_s"]),
        frequency_mhz=float(arrays["frequency_mhz"]),
        te_s=te_s if np.isfinite(te_s) else None,
        carrier_ppm=float(arrays["carrier_ppm"]),
        made=json.loads(str(arrays.get("made", "{}"))),
    )


def to_npz(basis: Basis) -> bytes:
    """A basis as NPZ: names, fids, dwell_s, frequency_mhz, te_s (nan: unknown), carrier_ppm, and
    `made` as JSON text. No pickle; equal bases give equal bytes."""
    buffer = io.BytesIO()
    np.savez_compressed(
        buffer,
        names=np.array(basis.names),
        fids=basis.fids.astype(complex),
        dwell_s=basis.dwell_s,
        frequency_mhz=basis.frequency_mhz,
        te_s=np.nan if basis.te_s is None else basis.te_s,
        carrier_ppm=basis.carrier_ppm,
        made=json.dumps(basis.made, sort_keys=True),
    )
    return buffer.getvalue()
