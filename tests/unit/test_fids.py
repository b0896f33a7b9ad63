"""FIDs: sign convention, axes, the doors to and from NIfTI-MRS."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fids import Fids, from_nifti, to_fid, to_nifti, to_spectrum


def singlet(ppm=2.01, n_transients=1, n_coils=1, n_points=2048, width_hz=4.0, f0=123.2):
    """A Lorentzian line of known place and width."""
    t = np.arange(n_points) / 2000.0
    fid = np.exp(2j * np.pi * (ppm - 4.65) * f0 * t - np.pi * width_hz * t)
    data = np.broadcast_to(fid, (n_transients, n_coils, n_points)).copy()
    return Fids(data, dwell_s=1 / 2000.0, frequency_mhz=f0, te_s=0.03, tr_s=2.0)


def peak_ppm(fids):
    return fids.ppm[np.argmax(np.abs(fids.spectra[0, 0]))]


def test_naa_stands_at_2_01_ppm():
    fids = singlet()
    resolution = 2000.0 / 2048 / 123.2
    assert abs(peak_ppm(fids) - 2.01) < resolution


def test_disk_holds_the_conjugate_and_the_door_turns_it_back():
    fids = singlet()
    image = to_nifti(fids)
    stored = np.asarray(image.dataobj)[0, 0, 0, :, 0]
    np.testing.assert_allclose(stored, np.conj(fids.data[0, 0]), rtol=1e-6)
    np.testing.assert_allclose(from_nifti(image).data, fids.data, rtol=1e-6)


def test_our_file_is_read_with_the_same_sign_by_nifti_mrs(tmp_path):
    """nifti-mrs, a peer, conjugates on access: its array is our convention."""
    from nifti_mrs.nifti_mrs import NIFTI_MRS

    fids = singlet(n_transients=3)
    path = tmp_path / "svs.nii.gz"
    nib.save(to_nifti(fids), path)
    peer = NIFTI_MRS(str(path))
    assert peer.dim_tags[0] == "DIM_DYN"
    np.testing.assert_allclose(peer[:][0, 0, 0].T, fids.data[:, 0], rtol=1e-6)
    assert peer.spectrometer_frequency[0] == pytest.approx(123.2)


@pytest.mark.parametrize("n_coils", [1, 4])
def test_round_trip_keeps_transients_coils_and_axes(n_coils):
    rng = np.random.default_rng(1)
    data = rng.normal(size=(5, n_coils, 64)) + 1j * rng.normal(size=(5, n_coils, 64))
    affine = np.diag([20.0, 30.0, 40.0, 1.0])
    fids = Fids(data, 5e-4, 297.2, te_s=0.03, tr_s=1.5, affine=affine)
    again = from_nifti(to_nifti(fids))
    np.testing.assert_allclose(again.data, data, atol=1e-6)
    assert (again.dwell_s, again.te_s, again.tr_s) == (pytest.approx(5e-4), 0.03, 1.5)
    np.testing.assert_allclose(again.affine, affine)


def test_free_text_and_names_stay_at_the_door():
    image = to_nifti(singlet(), PatientName="Doe^Jane", PatientDoB="19700101")
    assert not {"PatientName", "PatientDoB"} & set(from_nifti(image).header)


def test_a_shift_moves_the_line_up_by_that_many_hz():
    moved = singlet().shifted(20.0)
    assert peak_ppm(moved) == pytest.approx(2.01 + 20.0 / 123.2, abs=2000 / 2048 / 123.2)


@pytest.mark.parametrize(("lorentz", "gauss"), [(6.0, 0.0), (0.0, 6.0)])
def test_broadening_a_sharp_line_gives_that_width(lorentz, gauss):
    fids = singlet(width_hz=0.0, n_points=16384).broadened(lorentz, gauss)
    real = fids.spectra[0, 0].real
    above = fids.frequency_hz[real > real.max() / 2]
    assert np.ptp(above) == pytest.approx(6.0, abs=2 * 2000 / 16384)


def test_spectrum_and_fid_are_inverse():
    fid = singlet().data
    np.testing.assert_allclose(to_fid(to_spectrum(fid)), fid, atol=1e-12)


def test_a_decaying_exponential_has_no_baseline_offset():
    """Half the first point: the real spectrum falls to zero far from the line."""
    spectrum = to_spectrum(singlet(n_points=4096, width_hz=10).data)[0, 0].real
    assert abs(spectrum[:50].mean()) < 1e-3 * spectrum.max()


def test_weighted_mean_uses_normalised_weights():
    fids = singlet(n_transients=2)
    fids = fids.with_data(fids.data * np.array([1.0, 3.0])[:, None, None])
    np.testing.assert_allclose(fids.mean([1, 3]).data[0, 0, 0], 2.5)
    with pytest.raises(DataError, match="no transient"):
        fids.mean([0, 0])


def test_a_plain_nifti_is_told_apart():
    image = nib.Nifti1Image(np.zeros((2, 2, 2)), np.eye(4))
    with pytest.raises(DataError, match="not a NIfTI-MRS"):
        from_nifti(image)


def test_two_dimensions_of_transients_are_refused():
    """8 inner and 12 outer, or the reverse: nothing tells."""
    image = to_nifti(singlet(n_transients=96))
    data = np.asarray(image.dataobj).reshape(1, 1, 1, -1, 8, 12)
    header = json.loads(image.header.extensions[0].get_content()) | {"dim_6": "DIM_DYN"}
    made = nib.Nifti2Image(data, image.affine, image.header)
    made.header.extensions[:] = [nib.nifti1.Nifti1Extension(44, json.dumps(header).encode())]
    with pytest.raises(DataError, match="DIM_DYN of 8 and 12.*order of acquisition"):
        from_nifti(made)


@pytest.mark.parametrize("tag", ["dim_dyn", "Dim_Dyn", " DIM_DYN"])
def test_a_tag_in_other_letters_keeps_the_order_of_transients_and_coils(tag):
    scan = singlet(n_transients=6)
    data = scan.data * np.arange(1, 7)[:, None, None] * np.array([1, 10j, -100])[:, None]
    image = to_nifti(scan.with_data(data))
    header = json.loads(image.header.extensions[0].get_content())
    header |= {"dim_5": "Dim_Coil", "dim_6": tag}
    image.header.extensions[:] = [nib.nifti1.Nifti1Extension(44, json.dumps(header).encode())]
    np.testing.assert_array_equal(from_nifti(image).data, data.astype(np.complex64))


def test_a_series_of_echo_times_is_refused():
    image = to_nifti(singlet(n_transients=2), dim_5_header={"EchoTime": [0.03, 0.08]})
    with pytest.raises(DataError, match="another echo time.*no common mean; split"):
        from_nifti(image)


def test_edited_data_are_refused_with_the_dimension_named():
    image = to_nifti(singlet(n_transients=4))
    header = json.loads(image.header.extensions[0].get_content())
    header["dim_5"] = "DIM_EDIT"
    image.header.extensions[:] = [
        nib.nifti1.Nifti1Extension(44, json.dumps(header).encode()),
    ]
    with pytest.raises(DataError, match="DIM_EDIT"):
        from_nifti(image)


def test_real_drift_series_has_40_transients_and_naa_at_2_01(shared_data):
    fids = from_nifti(nib.load(shared_data / "drift-series" / "spant_mpress_drift.nii.gz"))
    assert fids.data.shape == (40, 1, 1024)
    assert fids.affine is None
    # Every second transient is edited, which removes NAA; the scan drifts by 13 Hz (0.1 ppm).
    mean = fids.select(slice(1, 5, 2)).mean()
    inside = (mean.ppm > 1.7) & (mean.ppm < 2.4)
    assert abs(mean.ppm[inside][np.argmax(np.abs(mean.spectra[0, 0, inside]))] - 2.01) < 0.12
