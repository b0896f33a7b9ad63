"""Paired sites, mirrored people, and what a site does not know of itself."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.concentration import Tissue
from fmrsflow.fids import from_nifti
from fmrsflow.synthetic.acquisition import protocol_of
from fmrsflow.synthetic.consortium import make
from fmrsflow.synthetic.foreign_lines import lines_of
from fmrsflow.synthetic.people import generator, identity, scans, visits
from fmrsflow.synthetic.plan import Participants, Plan, SitePlan
from fmrsflow.synthetic.scanner import simulate
from fmrsflow.tables import read_table

QUIET = SitePlan(
    "good", "Siemens", 3.0, "PRESS", 0.03, 2.0, transients=16, points=512, eddy_hz=0.0,
    drift_hz=0.0, frequency_step_hz=0.0, frequency_jitter_hz=0.0, phase_step_deg=0.0,
    phase_jitter_deg=0.0, baseline=0.0,
)  # fmt: skip
TISSUE = Tissue(gm=0.6, wm=0.3, csf=0.1)


def scanned(site: SitePlan, people: Participants, paired: bool = True) -> list:
    """Protocol and simulated scan of each person at one site."""
    plan = Plan("test", "", (site,), participants=people, paired=paired)
    found = []
    for visit in visits(plan):
        for scan in scans(plan, visit):
            protocol, _ = protocol_of(plan, scan, TISSUE, np.eye(4))
            found.append((protocol, simulate(protocol, generator(plan, *identity(plan, scan)))))
    return found


def noise(one) -> np.ndarray:
    protocol, made = one
    return made.fids.transients - made.truth.fids


ONE = Participants(per_site=0, travelling=1)
TWO = Participants(per_site=0, travelling=2, mirrored=True)


def test_paired_sites_share_every_number_but_what_their_keys_change():
    (good,) = scanned(QUIET, ONE)
    (also,) = scanned(replace(QUIET, name="other"), ONE)
    assert np.array_equal(good[1].fids.data, also[1].fids.data)
    (drifts,) = scanned(replace(QUIET, name="drifts", fixed_drift_hz=6.0), ONE)
    assert drifts[0].amplitudes == good[0].amplitudes
    assert np.allclose(noise(drifts), noise(good), atol=1e-6 * np.abs(good[1].fids.data).max())


def test_another_draw_and_unpaired_sites_have_numbers_of_their_own():
    (good,) = scanned(QUIET, ONE)
    (again,) = scanned(replace(QUIET, draws="again"), ONE)
    (alone,) = scanned(replace(QUIET, name="other"), ONE, paired=False)
    for other in (again, alone):
        alike = np.corrcoef(noise(good).real.ravel(), noise(other).real.ravel())[0, 1]
        # 4 SE of a correlation of 16 x 512 independent pairs.
        assert abs(alike) < 4 / np.sqrt(16 * 512)


def test_a_mirrored_person_differs_by_the_sign_of_the_noise_alone():
    first, second = scanned(QUIET, TWO)
    assert first[0].amplitudes == second[0].amplitudes
    assert np.allclose(first[1].truth.fids, second[1].truth.fids)
    scale = np.abs(first[1].fids.data).max()
    assert np.allclose(noise(first), -noise(second), atol=1e-6 * scale)
    assert first[1].truth.noise_sd == second[1].truth.noise_sd > 0


def test_drift_jump_and_phase_are_what_the_keys_say():
    (one,) = scanned(replace(QUIET, fixed_drift_hz=6.0), ONE)
    assert np.allclose(one[1].truth.shift_hz, np.linspace(-3, 3, 16))
    (one,) = scanned(replace(QUIET, jump_hz=4.0), ONE)
    steps = np.diff(one[1].truth.shift_hz)
    assert np.sum(np.abs(steps) > 1e-9) == 1 and steps.max() == pytest.approx(4.0)
    assert 3 <= np.argmax(steps) < 12
    (one,) = scanned(replace(QUIET, phase_offset_deg=20.0), ONE)
    assert np.allclose(one[1].truth.phase_deg, 20.0)
    (straight,) = scanned(QUIET, ONE)
    assert np.allclose(one[1].truth.fids, straight[1].truth.fids * np.exp(1j * np.pi / 9))


def test_movement_spoils_its_share_and_a_mirrored_person_moves_in_reverse():
    site = replace(QUIET, transients=2000, points=256, movement_probability=0.1)
    first, second = (one[1].truth for one in scanned(site, TWO))
    hit = np.abs(first.shift_hz) > 0
    assert abs(hit.mean() - 0.1) < 3 * np.sqrt(0.1 * 0.9 / 2000)
    assert np.array_equal(first.shift_hz, second.shift_hz[::-1])
    (clean,) = scanned(replace(site, movement_probability=0.0), ONE)
    left = np.abs(first.fids[hit, 0]) / np.abs(clean[1].truth.fids[hit, 0])
    assert left.min() > 0.3 - 1e-6 and left.max() <= 1.0
    assert np.allclose(first.fids[~hit], clean[1].truth.fids[~hit])
    (more,) = scanned(replace(site, movement_probability=0.3), ONE)
    assert np.all(np.abs(more[1].truth.shift_hz[hit]) > 0)


def test_pyruvate_is_a_singlet_at_2_36_ppm_of_its_concentration():
    (good,) = scanned(QUIET, ONE)
    (more,) = scanned(replace(QUIET, pyruvate_mmol_per_kg=1.0), ONE)
    extra = more[1].truth.fids[0] - good[1].truth.fids[0]
    ratio = more[0].amplitudes["Pyr"] / good[0].amplitudes["Cr"]
    assert abs(extra[0]) == pytest.approx(3 * more[0].amplitudes["Pyr"], rel=1e-6)
    assert 0.1 < ratio < 1.0
    spectrum = np.abs(np.fft.fftshift(np.fft.fft(extra)))
    hz = np.fft.fftshift(np.fft.fftfreq(len(extra), good[1].fids.dwell_s))
    ppm = 4.65 + hz / good[1].fids.frequency_mhz
    assert abs(ppm[spectrum.argmax()] - 2.36) < 2 / (512 * good[1].fids.dwell_s) / 123


@pytest.mark.slow
def test_a_foreign_site_has_measured_macromolecules_and_a_te1_that_no_sheet_states():
    (own,) = scanned(QUIET, ONE)
    (other,) = scanned(replace(QUIET, family="foreign"), ONE)
    protocol, made = other
    lines = lines_of("challenge")
    broad = [name for name in protocol.basis.names if name.startswith("MM")]
    assert len(broad) == len(lines)
    assert not {"MM20", "MMother"} & set(protocol.basis.names)
    starts = [protocol.basis.fids[protocol.basis.index(name), 0].real for name in broad]
    assert np.allclose(starts, lines[:, 2])
    assert protocol.basis.made["te1_s"] == pytest.approx(0.015) and made.fids.te_s == 0.03
    assert protocol.basis.made["pulses"] == "shaped"
    for name in ("Glu", "NAA"):
        assert protocol.amplitudes[name] == own[0].amplitudes[name]


def test_an_echo_time_that_is_not_the_told_one_changes_the_signal_and_no_header():
    (good,) = scanned(QUIET, ONE)
    (late,) = scanned(replace(QUIET, actual_te_s=0.05), ONE)
    true = scanned(replace(QUIET, te_s=0.05), ONE)[0]
    assert late[1].fids.te_s == 0.03
    assert late[0].amplitudes == true[0].amplitudes != good[0].amplitudes
    assert np.allclose(late[1].truth.fids, true[1].truth.fids)


def test_maps_call_a_share_of_the_tissue_csf(tmp_path):
    people = Participants(per_site=0, travelling=1, spacing_mm=5.0)
    sites = (QUIET, replace(QUIET, name="wrong", tissue_error=0.2))
    plan = Plan("test", "", sites, participants=people, paired=True, tissue_maps=True)
    list(make(plan, tmp_path))
    rows = {row["site"]: row for row in read_table(tmp_path / "config" / "scans.tsv")}

    def voxels(site, tissue):
        return nib.load(tmp_path / rows[site][tissue]).get_fdata()

    assert np.allclose(voxels("wrong", "gm"), 0.8 * voxels("good", "gm"), atol=1 / 255)
    whole = sum(voxels("wrong", tissue) for tissue in ("gm", "wm", "csf"))
    assert np.allclose(whole, sum(voxels("good", one) for one in ("gm", "wm", "csf")), atol=3 / 255)
    fids = [from_nifti(nib.load(tmp_path / rows[site]["mrs"])) for site in ("good", "wrong")]
    assert np.array_equal(fids[0].data, fids[1].data)
