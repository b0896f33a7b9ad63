"""What a BOLD run must bring, and what is said where it does not."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.bold.inputs import confound_matrix, on_grid, smoothed, timing_of
from fmrsflow.errors import DataError


def run_image(shape=(4, 4, 4, 60), tr=2.0, unit="sec", affine=None):
    image = nib.Nifti1Image(np.zeros(shape, np.int16), np.eye(4) if affine is None else affine)
    image.header.set_xyzt_units("mm", unit)
    if len(shape) == 4:
        image.header.set_zooms((1, 1, 1, tr))
    return image


def test_volumes_stand_for_the_middle_of_the_repetition_time_unless_told():
    assert timing_of(run_image()).start_s == 1.0
    assert timing_of(run_image(), {"StartTime": 0.955}).start_s == 0.955


def test_the_sidecar_wins_and_ms_in_the_header_are_read_as_such():
    assert timing_of(run_image(tr=1.0), {"RepetitionTime": 1.6}).tr_s == 1.6
    assert timing_of(run_image(tr=1500.0, unit="msec")).tr_s == pytest.approx(1.5)


def test_a_repetition_time_in_ms_is_refused():
    with pytest.raises(DataError, match="2000 s: it seems to be in ms"):
        timing_of(run_image(tr=2000.0))


def test_no_repetition_time_is_refused():
    with pytest.raises(DataError, match="put RepetitionTime"):
        timing_of(run_image(tr=0.0))


def test_a_single_volume_is_refused():
    with pytest.raises(DataError, match="single volume"):
        timing_of(run_image((4, 4, 4)))


def test_a_run_without_a_place_is_refused():
    image = run_image()
    image.header["qform_code"] = image.header["sform_code"] = 0
    with pytest.raises(DataError, match="no place"):
        timing_of(image)


def test_a_short_run_is_refused():
    with pytest.raises(DataError, match="12 volumes"):
        timing_of(run_image((4, 4, 4, 12)))


def rows(n=5, **columns):
    return [{name: str(one[i]) for name, one in columns.items()} for i in range(n)]


def test_an_empty_first_row_is_the_mean_of_the_others_and_is_told():
    table = rows(5, trans_x=["n/a", 1, 2, 3, 6], trans_y=[0, 1, 0, 1, 0])
    values, used, warnings = confound_matrix(table, [], 5)
    assert used == ["trans_x", "trans_y"]
    assert values[0, 0] == 3.0
    assert "trans_x" in warnings[0]


def test_a_gap_beyond_the_first_row_is_refused():
    with pytest.raises(DataError, match="column csf for volume 3"):
        confound_matrix(rows(5, csf=[1, 2, 3, "n/a", 5]), [], 5)


def test_another_number_of_rows_is_refused():
    with pytest.raises(DataError, match="5 rows and the BOLD run 6 volumes"):
        confound_matrix(rows(5, csf=[1, 2, 3, 4, 5]), [], 6)


def test_an_unknown_confound_is_refused_with_the_known_ones():
    with pytest.raises(DataError, match="no column rmsd; there are csf"):
        confound_matrix(rows(5, csf=[1, 2, 3, 4, 5]), ["rmsd"], 5)


def test_columns_of_an_unknown_tool_are_all_taken():
    _, used, _ = confound_matrix(rows(5, mp1=[1, 2, 3, 4, 5], mp2=[1, 1, 2, 1, 1]), [], 5)
    assert used == ["mp1", "mp2"]


def test_smoothing_has_the_width_asked_for_and_takes_nothing_from_outside():
    mask = np.ones((21, 21, 21), bool)
    point = np.zeros((1, mask.sum()), np.float32)
    point[0, 10 * 441 + 10 * 21 + 10] = 1
    line = smoothed(point, mask, [4.0] * 3).reshape(mask.shape)[:, 10, 10]
    # Half of the maximum at half of the width.
    assert np.interp(2.0, np.arange(11), line[10:] / line[10]) == pytest.approx(0.5, abs=0.02)
    mask[:8] = False
    flat = smoothed(np.ones((1, mask.sum()), np.float32), mask, [4.0] * 3)
    np.testing.assert_allclose(flat, 1.0, atol=1e-5)


def test_labels_land_where_their_affine_says():
    labels = np.zeros((10, 10, 10), int)
    labels[3, 4, 5] = 7
    affine = np.diag([2.0, 2.0, 2.0, 1.0])
    flipped = np.diag([-2.0, 2.0, 2.0, 1.0])
    flipped[0, 3] = 18.0
    found = on_grid(labels, affine, (10, 10, 10), flipped)
    assert np.argwhere(found == 7).tolist() == [[6, 4, 5]]
