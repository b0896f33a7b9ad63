"""Frequency reference against a known offset and phase."""

import numpy as np
import pytest

from fmrsflow.preprocess.reference import apply_reference, frequency_reference


@pytest.mark.parametrize("offset_ppm", [-0.19, -0.02, 0.0, 0.1, 0.25])
@pytest.mark.parametrize("frequency_mhz", [63.9, 123.2, 297.2])
def test_a_known_offset_is_found_whatever_the_phase(sim, offset_ppm, frequency_mhz):
    clean = sim.clean(frequency_mhz=frequency_mhz, dwell_s=2.5e-4)
    low = frequency_mhz < 100
    rng = np.random.default_rng(0)
    noise = sim.noise(rng, (1, clean.n_points), sim.noise_of(clean, 30))
    for phase in (0, 100, -170):
        fids = clean.shifted(offset_ppm * frequency_mhz).rotated(phase)
        found = frequency_reference(fids.with_data(fids.transients + noise))
        # Glu beside NAA pulls a twentieth of the linewidth, and more at 1.5T.
        assert found.shift_hz == pytest.approx(offset_ppm * frequency_mhz, abs=1.0 if low else 0.3)
        error = (found.phase_deg - phase + 180) % 360 - 180
        assert error == pytest.approx(0, abs=15 if low else 6)


def test_corrected_lines_stand_in_their_places(sim):
    clean = sim.clean().shifted(17.0).rotated(60)
    found = frequency_reference(clean)
    spectrum = apply_reference(clean, found).spectra[0, 0]
    ppm = clean.ppm
    for line in (2.01, 3.03, 3.22):
        near = np.flatnonzero(np.abs(ppm - line) < 0.05)
        top = near[np.argmax(spectrum[near].real)]
        assert ppm[top] == pytest.approx(line, abs=0.008)
        assert spectrum[top].real > 0


def test_a_phantom_with_creatine_alone_is_not_moved_to_choline(sim):
    time = sim.clean().time_s
    for offset in (-8.0, 0.0, 8.0):
        fid = sum(
            height * np.exp((2j * np.pi * ((ppm - 4.65) * 123.2 + offset) - np.pi * 4) * time)
            for ppm, height in ((3.03, 3.0), (3.92, 2.0))
        )
        found = frequency_reference(sim.clean().with_data(fid[None]))
        assert found.shift_hz == pytest.approx(offset, abs=0.5)
