"""FIDs without their first points, measured and simulated."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.convert.checks import right_way_round
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError
from fmrsflow.preprocess.reference import Reference, frequency_reference
from fmrsflow.preprocess.scan import combined
from fmrsflow.preprocess.start import LARGEST_SE_DEG, check_start
from fmrsflow.preprocess.water import remove_water
from fmrsflow.study import Site

SITE = Site("north", "Philips", 3.0, "PRESS", 0.03, 2.0, "own", spectral_width_hz=2000.0)
MEASURED = [
    "philips-press-3t/sub-01_ses-01_PRESS_raw-act_noID.SDAT",
    "philips-press-3t/sub-01_PRESS_35_act.sdat",
    "drift-series/philips_spar_sdat_WS.SDAT",
    "siemens-press-3t/SVS_30.rda",
    "real-fit/lcmodel-test/spant_3t_data.raw",
]
OTHERS = [
    "real-nulls/steam-7t/nmt_metab_raw.nii.gz",
    "real-fit/specvis/GE_S01.nii.gz",
    "real-fit/specvis/Siemens_S03.nii.gz",
    "philips-press-3t/sub-01_ses-01_PRESS-Inverted_TI-600_raw-act_noID.SDAT",
    "macromolecules/7T_MM_human_STEAM_CMRR.nii.gz",
    "real-nulls/ge-phantom/p01_svs.nii.gz",
    "phantoms/siemens_example.rda",
]


def check(path, cut: int) -> Reference:
    fids, _ = right_way_round(read(path, SITE).fids, lambda text: None)
    fids = combined(fids.with_data(fids.data[..., cut:]), None).fids.mean()
    found = frequency_reference(remove_water(fids)[0])
    check_start(found, fids.frequency_mhz, fids.dwell_s)
    return found


@pytest.mark.parametrize("name", MEASURED)
def test_measured_scans_pass_whole_and_are_refused_without_three_points(shared_data, name):
    assert 0 < check(shared_data / name, 0).roll_deg < 30
    with pytest.raises(DataError, match=r"about [1-4] first points were cut off"):
        check(shared_data / name, 3)


@pytest.mark.parametrize("name", OTHERS)
def test_other_measured_files_pass(shared_data, name):
    """At 7T, of nulled metabolites, of phantoms without NAA."""
    roll = check(shared_data / name, 0).roll_deg
    assert np.isfinite(roll) and abs(roll) <= 180


@pytest.mark.parametrize("snr", [60.0, 15.0])
def test_the_roll_of_a_simulated_brain_is_that_of_the_cut(sim, snr):
    """360 degrees times delay times the distance of NAA and tCr."""
    fid = sim.scan(n=1, snr=snr, seed=2).fids.mean()
    whole = frequency_reference(fid)
    check_start(whole, fid.frequency_mhz, fid.dwell_s)
    for cut in (1, 2):
        late = frequency_reference(fid.with_data(fid.data[..., cut:]))
        expected = -360 * cut * fid.dwell_s * 1.02 * fid.frequency_mhz
        error = (whole.roll_se_deg**2 + late.roll_se_deg**2) ** 0.5
        assert late.roll_deg - whole.roll_deg == pytest.approx(expected, abs=5 + 3 * error)


def test_noise_is_not_judged(sim):
    fid = sim.scan(n=1, snr=1.0, seed=3).fids.mean()
    assert frequency_reference(fid).roll_se_deg > LARGEST_SE_DEG
