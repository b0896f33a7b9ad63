"""Scans against their site's row, and the direction of the frequency axis."""

from __future__ import annotations

from dataclasses import replace

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.convert.checks import (
    against_site,
    check_axes,
    distrusted,
    reference_against_scan,
    right_way_round,
    voxel_centre_mm,
)
from fmrsflow.convert.reader import load, read
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.headers import Told
from fmrsflow.study import Site

SITE = Site("north", "Philips", 3.0, "PRESS", 0.03, 2.0, "standardised")
VOXEL = np.diag([25.0, 25.0, 25.0, 1.0])


def scan(lines, noise=0.0, **others) -> Fids:
    """A scan of Lorentzian lines {ppm: amplitude}, 6 Hz wide."""
    given = {"dwell_s": 5e-4, "frequency_mhz": 127.7, "te_s": 0.03, "tr_s": 2.0, "affine": VOXEL}
    given |= others
    t = np.arange(1024) * given["dwell_s"]
    rng = np.random.default_rng(1)
    data = sum(
        size * np.exp(2j * np.pi * (ppm - 4.65) * given["frequency_mhz"] * t - 6 * np.pi * t)
        for ppm, size in lines.items()
    )
    data = data + noise * (rng.normal(size=(8, 1, 1024)) + 1j * rng.normal(size=(8, 1, 1024)))
    return Fids(data, **given)


BRAIN = {2.01: 30.0, 3.03: 20.0, 3.22: 10.0, 4.70: 2000.0}


@pytest.mark.parametrize("frequency_mhz", [63.9, 127.7, 297.2])
def test_reversed_scan_is_turned_round_and_a_right_one_left_alone(frequency_mhz):
    fids = scan(BRAIN, noise=3.0, frequency_mhz=frequency_mhz)
    told = []
    same, turned = right_way_round(fids, told.append)
    assert same is fids and not turned and not told
    back, turned = right_way_round(fids.with_data(np.conj(fids.data)), told.append)
    assert turned and "reversed" in told[0]
    np.testing.assert_array_equal(back.data, fids.data)


def test_the_sheet_fixes_the_direction_where_the_format_does_not():
    """Whatever the pattern says; a contradiction is told. Other formats need no column."""
    fids, told = scan(BRAIN, noise=3.0), []
    mirrored = fids.with_data(np.conj(fids.data))
    assert right_way_round(fids, told.append, asked="stored") == (fids, False)
    back, turned = right_way_round(mirrored, told.append, asked="reversed")
    assert turned and not told
    np.testing.assert_array_equal(back.data, fids.data)
    assert right_way_round(mirrored, told.append, asked="stored") == (mirrored, False)
    assert right_way_round(fids, told.append, asked="reversed")[1]
    assert ["look at the spectrum" in one for one in told] == [True, True]
    assert right_way_round(fids, told.append, True, asked="reversed") == (fids, False)
    phantom = scan({4.65: 1e4}, noise=3.0)
    assert right_way_round(phantom, told.append, asked="reversed")[1] and len(told) == 2


@pytest.mark.parametrize(
    ("te_s", "tolerance_s", "passes"),
    [(0.0303, None, True), (0.0304, None, False), (0.0315, 0.002, True), (0.0301, 5e-5, False)],
)
def test_the_tolerance_of_the_echo_time_is_the_sites(te_s, tolerance_s, passes):
    site = replace(SITE, te_tolerance_s=tolerance_s)
    fids = scan(BRAIN, te_s=te_s)
    if passes:
        assert against_site(fids, site, lambda text: None).te_s == te_s
    else:
        with pytest.raises(DataError, match="te_tolerance_s"):
            against_site(fids, site, lambda text: None)


@pytest.mark.parametrize("lines", [{4.65: 1e4}, {}])
def test_direction_is_left_open_where_no_metabolite_tells_it(lines):
    fids = scan(lines, noise=3.0)
    told = []
    same, turned = right_way_round(fids, told.append)
    assert same is fids and not turned and "not checked" in told[0]


@pytest.mark.parametrize(
    "name",
    [
        "philips-press-3t/sub-01_ses-01_PRESS_raw-act_noID.SDAT",
        "philips-press-3t/sub-01_PRESS_35_act.sdat",
        "siemens-press-3t/SVS_30.rda",
        "siemens-press-3t/SVS_30.IMA",
        "fitting-challenge/jmrui/dataset1_WS.txt",
        "fitting-challenge/lcmodel/dataset1.RAW",
        "drift-series/spant_mpress_drift.nii.gz",
        "phantoms/ge_P1751_svs.nii.gz",
    ],
)
def test_real_scans_have_naa_where_it_belongs_and_their_conjugates_are_found(shared_data, name):
    fids = read(shared_data / name, replace(SITE, spectral_width_hz=4000.0)).fids
    assert not right_way_round(fids, lambda text: None)[1]
    back, turned = right_way_round(fids.with_data(np.conj(fids.data)), lambda text: None)
    assert turned
    np.testing.assert_array_equal(back.data, fids.data)


@pytest.mark.parametrize("frequency_mhz", [63.9, 127.7, 297.2])
@pytest.mark.parametrize("water_ppm", [4.5, 4.7, 5.2])
def test_residual_water_that_outweighs_naa_does_not_turn_a_scan(frequency_mhz, water_ppm):
    """Downfield of the carrier it lies on the side of the mirror images; its tail is no pattern."""
    rng = np.random.default_rng(int(frequency_mhz + 10 * water_ppm))
    for width_hz in (3.0, 20.0, 40.0):
        fids = scan(BRAIN, noise=3.0, frequency_mhz=frequency_mhz)
        line = (2j * np.pi * (water_ppm - 4.65) * frequency_mhz - np.pi * width_hz) * fids.time_s
        water = 5e3 * np.exp(line + 2j * np.pi * rng.random())
        assert not right_way_round(fids.with_data(fids.data + water), lambda text: None)[1]


def test_a_format_that_fixes_the_sign_is_not_turned():
    fids = scan(BRAIN, noise=3.0)
    told = []
    assert right_way_round(fids, told.append, sign_known=True) == (fids, False)
    with pytest.raises(DataError, match="other sign of frequency than its format"):
        right_way_round(fids.with_data(np.conj(fids.data)), told.append, sign_known=True)
    empty = scan({4.65: 1e4}, noise=3.0)
    assert right_way_round(empty, told.append, sign_known=True)[0] is empty
    assert not told


def test_implausible_echo_time_gives_way_to_the_sheet_with_a_warning():
    told = []
    fids = against_site(scan(BRAIN, te_s=4.2), SITE, told.append)
    assert fids.te_s == 0.03
    assert "4.2 s" in told[0]


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"te_s": 0.068}, "echo time 68 ms; sites.tsv says 30 ms"),
        ({"te_s": 0.0315}, "echo time 31.5 ms; sites.tsv says 30 ms"),
        ({"told": Told(vendor="Siemens")}, "Siemens wrote it; sites.tsv says Philips"),
        ({"told": Told(family="STEAM")}, "sequence is STEAM; sites.tsv says PRESS"),
        ({"tr_s": 3.0}, "repetition time 3000 ms"),
    ],
)
def test_another_protocol_than_the_sites_is_refused_with_both_values(others, words):
    with pytest.raises(DataError, match=words):
        against_site(scan(BRAIN, **others), SITE, lambda text: None)


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"frequency_mhz": 297.2}, "6.98 T"),
        ({"nucleus": "31P"}, "31P"),
        ({"dwell_s": 0.5}, "spectral width 2 Hz is outside 500-200000 Hz"),
    ],
)
def test_an_axis_of_another_nucleus_field_or_unit_is_refused(others, words):
    with pytest.raises(DataError, match=words):
        check_axes(replace(scan(BRAIN), **others), SITE)


def test_the_centre_of_the_voxel_is_where_its_affine_puts_it():
    """A turned box: the centre is not turned with it."""
    turned = np.array([[0, -25.0, 0, 4.04], [25.0, 0, 0, -60.0], [0, 0, 25.0, 30.96], [0, 0, 0, 1]])
    assert voxel_centre_mm(scan(BRAIN, affine=turned)) == [4.0, -60.0, 31.0]
    assert voxel_centre_mm(scan(BRAIN, affine=None)) is None


def test_scan_without_geometry_goes_on_with_a_warning():
    told = []
    assert against_site(scan(BRAIN, affine=None), SITE, told.append).affine is None
    assert "geometry" in told[0]


@pytest.mark.parametrize(
    "turn",
    [
        np.diag([-1.0, 1, 1, 1]),
        np.diag([-1.0, -1, 1, 1]),
        np.eye(4)[[1, 0, 2, 3]],
        np.eye(4)[[2, 0, 1, 3]] @ np.diag([1.0, -1, 1, 1]),
    ],
)
def test_a_reference_of_the_same_box_with_its_axes_turned_is_of_the_scan(turn):
    """Vendors and exports list the axes of a box in any order and sense."""
    affine = np.diag([20.0, 25.0, 30.0, 1.0])
    affine[:3, 3] = (5, -6, 7)
    box = affine[:3, :3] @ turn[:3, :3]
    other = affine.copy()
    other[:3, :3] = box
    fids, reference = scan(BRAIN, affine=affine), scan({4.65: 1e4}, affine=other)
    found = reference_against_scan(reference, fids, lambda text: None)
    np.testing.assert_array_equal(found.affine, affine)


def test_a_reference_of_another_shape_in_the_same_place_is_refused():
    affine = np.diag([20.0, 25.0, 30.0, 1.0])
    other = np.diag([25.0, 20.0, 30.0, 1.0])
    with pytest.raises(DataError, match="3.5 mm"):
        reference_against_scan(
            scan({4.65: 1e4}, affine=other), scan(BRAIN, affine=affine), lambda text: None
        )


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ({"dwell_s": 4e-4}, "400 us, the scan 500 us"),
        ({"affine": np.array(VOXEL) + np.eye(4, k=3) * 12}, "12.0 mm"),
    ],
)
def test_reference_of_another_dwell_time_or_voxel_is_refused(others, words):
    with pytest.raises(DataError, match=words):
        reference_against_scan(scan({4.65: 1e4}, **others), scan(BRAIN), lambda text: None)


def test_what_the_header_says_alike_or_not_at_all_passes_in_silence():
    told = []
    for said in (Told(), Told("Philips", "PRESS"), Told("Philips", named_family="PRESS")):
        against_site(scan(BRAIN, te_s=0.0302, told=said), SITE, told.append)
    assert told == []


def test_a_reference_of_another_preparation_or_gain_is_not_trusted():
    water, brain = scan({4.65: 1e4}, header={"InversionTime": 0.6}), scan(BRAIN)
    (told,) = distrusted(water, brain)
    assert "inversion time of 0.6 s, the scan's of 0 s" in told and "not to be used" in told
    assert distrusted(water, scan(BRAIN, header={"InversionTime": 0.6})) == []
    low, high = (scan({4.65: 1e4}, told=Told(gain=(gain,))) for gain in (64.0, 128.0))
    (told,) = distrusted(low, replace(brain, told=Told(gain=(128.0,))))
    assert "receiver gain of 64, the scan's of 128" in told
    assert distrusted(high, replace(brain, told=Told(gain=(128.0,)))) == []
    assert distrusted(low, brain) == []  # the scan's header says nothing


def test_samples_scaled_in_one_of_two_files_are_told(tmp_path):
    """A slope of NIfTI, which complex FIDs need none of."""
    found = []
    for slope in (1.0, 1.03125):
        image = to_nifti(scan(BRAIN))
        image.header.set_slope_inter(slope, 0.0)
        nib.save(image, tmp_path / "a.nii.gz")
        found.append(load(tmp_path / "a.nii.gz"))
    plain, scaled = found
    (words,) = distrusted(plain, scaled)
    assert "multiplies its samples by 1 (scl_slope), that of the scan by 1.03125" in words
    assert distrusted(plain, plain) == distrusted(scaled, scaled) == []
