"""A simulated basis and spectra of known amplitudes, shared by the tests of the fit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import simulate, with_macromolecules
from fmrsflow.fids import Fids

MHZ, DWELL_S, POINTS = 123.25, 5e-4, 1024

TRUTH = {
    "Asp": 2.2, "Cr": 4.6, "PCr": 4.4, "GABA": 1.4, "Gln": 2.6, "Glu": 10.5, "GPC": 1.1, "PCh": 0.4,
    "GSH": 1.2, "mI": 6.5, "Lac": 0.8, "NAA": 12.0, "NAAG": 1.4, "Tau": 1.5, "MM09": 4.0,
    "MM12": 4.4, "MM14": 3.8, "MM17": 4.2, "MM20": 3.9, "MM26": 4.3, "MM37": 3.6,
}  # fmt: skip


@pytest.fixture(scope="session")
def basis():
    """sLASER TE 28 ms at 3T, 14 metabolites and 7 macromolecules."""
    made = simulate(sequence("sLASER", 0.028), MHZ, POINTS, 1 / DWELL_S)
    made = with_macromolecules(made, "separate").select(tuple(TRUTH))
    return made.resampled(DWELL_S, POINTS, MHZ)


@pytest.fixture(scope="session")
def truth():
    """True amplitudes in the order of the basis."""
    return np.array(list(TRUTH.values()))


@pytest.fixture(scope="session")
def of_basis():
    """Function of a fit: its amplitudes in the order of the basis, without what the fit adds."""
    return lambda result: np.array([result.amplitudes[result.names.index(name)] for name in TRUTH])


@pytest.fixture(scope="session")
def clean(basis, truth):
    """One noise-free spectrum: Lorentz 3 Hz, Gauss 4 Hz."""
    fids = Fids((truth @ basis.fids)[None, None], DWELL_S, MHZ, 0.028, 2.0)
    return fids.broadened(3.0, 4.0)


@pytest.fixture(scope="session")
def noisy(clean):
    """Function of (n, snr, seed): n copies of `clean` with white noise at that SNR of tCr."""
    inside = (clean.ppm > 2.9) & (clean.ppm < 3.1)
    height = clean.spectra[0, 0, inside].real.max()

    def make(n: int, snr: float, seed: int, source: Fids = clean) -> Fids:
        rng = np.random.default_rng(seed)
        sd = height / snr / np.sqrt(source.n_points)
        shape = (n, 1, source.n_points)
        noise = rng.standard_normal(shape) + 1j * rng.standard_normal(shape)
        return replace(source, data=source.data + sd * noise)

    return make
