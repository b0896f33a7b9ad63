"""Water between the transients of a scan: found, named, told by the header, and told apart from a
movement."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from convert_tools import converted
from fmrsflow.convert.interleaved import water_rows
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids, from_nifti, to_nifti
from fmrsflow.headers import Told
from fmrsflow.study import Site

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.035, 2.0, "own")
PLACES = [0, 17, 34]


def series(water=PLACES, n=51, size=3000.0, each=None) -> Fids:
    """Singlets and residual water in each transient; water of that size at some places."""
    rng = np.random.default_rng(7)
    t = np.arange(1024) * 5e-4
    lines = sum(np.exp(2j * np.pi * (ppm - 4.65) * 123.2 * t) for ppm in (2.01, 3.03, 3.22))
    data = np.tile((lines + 5) * np.exp(-15 * t), (n, 1)) + 0.05 * rng.normal(size=(n, 1024))
    sizes = [size] * len(water) if each is None else each
    for place, one in zip(water, sizes):
        data[place] += one * np.exp(-20 * t)
    affine = np.diag([20.0, 25.0, 30.0, 1.0])
    return Fids(data[:, None].astype(np.complex64), 5e-4, 123.2, 0.035, 2.0, affine)


def test_water_before_each_block_is_found():
    assert np.flatnonzero(water_rows(series(), "", True)).tolist() == PLACES
    groups = [0, 1, 2, 25, 26, 27]
    assert np.flatnonzero(water_rows(series(groups), "", True)).tolist() == groups


def test_water_at_either_end_is_found():
    assert np.flatnonzero(water_rows(series([0, 1, 50]), "", True)).tolist() == [0, 1, 50]


@pytest.mark.parametrize(
    "fids",
    [
        series([20]),  # one of them: a movement lets water through
        series([10, 30], each=[3000.0, 300.0]),  # two of other sizes
        series([], n=16),
        series(size=10.0),  # residual water that breathes
    ],
)
def test_what_is_no_water_stays(fids):
    assert not water_rows(fids, "", True).any()


def test_a_scan_without_suppression_is_not_searched():
    assert not water_rows(series(), "", False).any()


@pytest.mark.parametrize(
    ("named", "places"),
    [("0;17;34", PLACES), ("0/17", PLACES), ("3/24", [3, 27]), (" 5 ; 6", [5, 6])],
)
def test_the_sheet_names_places(named, places):
    assert np.flatnonzero(water_rows(series([]), named, True)).tolist() == places


@pytest.mark.parametrize("named", ["60", "0/0", "0/1", "every 17", "1;-2", "99/2", "0,17"])
def test_a_column_that_names_none_is_refused(named):
    with pytest.raises(DataError, match="column water_transients"):
        water_rows(series(), named, True)


def with_header(fids: Fids, path, values) -> None:
    image = to_nifti(fids)
    header = json.loads(image.header.extensions[0].get_content())
    place = next(key for key in ("dim_5", "dim_6") if header.get(key) == "DIM_DYN")
    header[f"{place}_header"] = {"WaterSuppressed": values}
    image.header.extensions.clear()
    image.header.extensions.append(nib.nifti1.Nifti1Extension(44, json.dumps(header).encode()))
    nib.save(image, path)


@pytest.mark.parametrize("wrap", [lambda one: one, lambda one: {"Value": one, "Description": "x"}])
def test_the_header_of_the_dimension_tells(tmp_path, wrap):
    suppressed = [place not in PLACES for place in range(51)]
    with_header(series([]), tmp_path / "a.nii.gz", wrap(suppressed))
    fids = from_nifti(nib.load(tmp_path / "a.nii.gz"))
    assert np.flatnonzero(water_rows(fids, "", True)).tolist() == PLACES


def test_a_header_of_another_length_is_refused():
    fids = series()
    told = Told(water=(True, False))
    with pytest.raises(DataError, match="2 transients .* holds 51"):
        water_rows(Fids(fids.data, 5e-4, 123.2, told=told), "", True)


def test_the_water_of_a_scan_becomes_its_reference(tmp_path):
    nib.save(to_nifti(series()), tmp_path / "a.nii.gz")
    record, folder = converted(SITE, tmp_path, tmp_path / "out", "a.nii.gz")
    assert record["status"] == "ok"
    assert record["water_transients"] == PLACES and record["n_transients"] == 48
    assert record["reference"]["over_time"] and record["reference"]["n_transients"] == 3
    assert any("the scan's water reference" in one for one in record["warnings"])
    (scan,) = folder.glob("*_svs.nii.gz")
    (water,) = folder.glob("*_mrsref.nii.gz")
    truth = series()
    rest = np.delete(np.arange(51), PLACES)
    assert np.allclose(from_nifti(nib.load(scan)).data, truth.data[rest], atol=1e-3)
    assert np.allclose(from_nifti(nib.load(water)).data, truth.data[PLACES], rtol=1e-5)


def test_water_at_the_ends_is_no_part_of_the_series(tmp_path):
    nib.save(to_nifti(series([0, 1, 49, 50])), tmp_path / "a.nii.gz")
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "a.nii.gz")
    assert record["water_transients"] == [] and record["n_transients"] == 47
    assert record["reference"]["n_transients"] == 4 and not record["reference"]["over_time"]
    assert any("first transient of the others" in one for one in record["warnings"])


def test_a_named_reference_comes_first(tmp_path):
    nib.save(to_nifti(series()), tmp_path / "a.nii.gz")
    nib.save(to_nifti(series([0], n=2, size=3000.0).select([0])), tmp_path / "w.nii.gz")
    record, _ = converted(SITE, tmp_path, tmp_path / "out", "a.nii.gz", "w.nii.gz")
    assert record["status"] == "ok" and not record["reference"]["over_time"]
    assert record["water_transients"] == PLACES and record["n_transients"] == 48
    assert any("left out, as there is another" in one for one in record["warnings"])


@pytest.mark.parametrize(("n", "status"), [(12, "ok"), (3, "failed")])
def test_a_reference_before_each_transient(tmp_path, n, status):
    nib.save(to_nifti(series([], n=12)), tmp_path / "a.nii.gz")
    water = series(range(n), n=n)
    nib.save(to_nifti(water), tmp_path / "w.nii.gz")
    record, _ = converted(
        SITE, tmp_path, tmp_path / "out", "a.nii.gz", "w.nii.gz", water_transients="each"
    )
    assert record["status"] == status
    if status == "ok":
        assert record["reference"]["over_time"] and record["water_before_each"]
    else:
        assert "each of 12 transients, and the reference holds 3" in record["reason"]
