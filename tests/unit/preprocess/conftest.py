"""Simulated transients with known truth: singlets and multiplets of our own making."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from fmrsflow.fids import Fids

# ppm, protons times concentration, couplings in Hz (each halves the line), like a brain spectrum.
LINES = {
    "naa": ((2.01, 36.0, ()), (2.49, 12.0, (16.0, 10.0)), (2.67, 12.0, (16.0, 4.0))),
    "cr": ((3.03, 25.5, ()), (3.92, 17.0, ())),
    "cho": ((3.22, 13.5, ()),),
    "mi": ((3.53, 12.0, (10.0, 3.0)), (3.62, 12.0, (10.0, 10.0))),
    "glu": (
        (2.34, 19.0, (7.0, 8.0)),
        (2.04, 9.5, (15.0, 7.0, 6.0)),
        (2.12, 9.5, (15.0, 7.0, 6.0)),
        (3.75, 9.5, (7.0, 5.0)),
    ),
}


@dataclass(frozen=True)
class Scan:
    """Simulated transients and what went into them."""

    fids: Fids
    clean: Fids
    shift_hz: np.ndarray
    phase_deg: np.ndarray
    noise_sd: float

    def bounds(self) -> tuple[float, float]:
        """Cramer-Rao bounds of shift (Hz) and phase (degrees) of one transient whose spectrum is
        known, from the Fisher information of the noiseless FID."""
        fid, time = self.clean.transients[0], self.clean.time_s
        slopes = np.stack([2j * np.pi * time * fid, 1j * fid])
        information = (slopes.conj() @ slopes.T).real / self.noise_sd**2
        shift, phase = np.sqrt(np.linalg.inv(information).diagonal())
        return shift, np.rad2deg(phase)


def clean_fid(n_points=2048, dwell_s=4e-4, frequency_mhz=123.2, lorentz=3.0, gauss=4.0, glu=1.0):
    """One transient without noise."""
    time = np.arange(n_points) * dwell_s
    fid = np.zeros(n_points, complex)
    for name, lines in LINES.items():
        for ppm, height, couplings in lines:
            line = height * np.exp(2j * np.pi * (ppm - 4.65) * frequency_mhz * time)
            for coupling in couplings:
                line *= np.cos(np.pi * coupling * time)
            fid += line * (glu if name == "glu" else 1)
    decay = np.pi * lorentz * time + (np.pi * gauss * time) ** 2 / (4 * np.log(2))
    return Fids((fid * np.exp(-decay))[None, None], dwell_s, frequency_mhz)


def noise_of(clean: Fids, snr: float) -> float:
    """SD of real and of imaginary noise of a FID point that gives a tCr peak of that SNR."""
    inside = (clean.ppm > 2.9) & (clean.ppm < 3.1)
    return clean.spectra[0, 0, inside].real.max() / snr / np.sqrt(clean.n_points)


def complex_noise(rng, shape, sd):
    """White noise with SD `sd` in the real and in the imaginary part."""
    return sd * (rng.normal(size=shape) + 1j * rng.normal(size=shape))


def simulate(n=64, snr=20.0, drift_hz=8.0, water=0.0, seed=0, **shape) -> Scan:
    """Transients with a linear drift, a phase step of 35 degrees halfway, jitter of 0.3 Hz and 8
    degrees, and residual water (`water` times the NAA singlet) of unstable size and phase."""
    rng = np.random.default_rng(seed)
    clean = clean_fid(**shape)
    shift = np.linspace(-drift_hz / 2, drift_hz / 2, n) + rng.normal(0, 0.3, n)
    phase = np.where(np.arange(n) >= n // 2, 35.0, 0.0) + rng.normal(0, 8, n)
    data = np.repeat(clean.transients, n, axis=0)
    if water:
        time = clean.time_s
        size = 36 * water * rng.normal(1, 0.2, n) * np.exp(1j * rng.normal(0, 0.6, n))
        decay = np.pi * 9 * time + (np.pi * 4 * time) ** 2 / (4 * np.log(2))
        data = data + size[:, None] * np.exp(6j * np.pi * time - decay)
    sd = noise_of(clean, snr)
    fids = clean.with_data(data).shifted(shift).rotated(phase)
    fids = fids.with_data(fids.transients + complex_noise(rng, data.shape, sd))
    return Scan(fids, clean, shift, phase, sd)


@pytest.fixture(scope="session")
def sim():
    """The functions above."""

    class Simulation:
        clean = staticmethod(clean_fid)
        noise_of = staticmethod(noise_of)
        noise = staticmethod(complex_noise)
        scan = staticmethod(simulate)

    return Simulation


@pytest.fixture(scope="session")
def drift_series(shared_data) -> Fids:
    """Forty MEGA-PRESS transients with a real drift of 13 Hz."""
    import nibabel as nib

    from fmrsflow.fids import from_nifti

    return from_nifti(nib.load(shared_data / "drift-series" / "spant_mpress_drift.nii.gz"))
