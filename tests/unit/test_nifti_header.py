"""NIfTI-MRS headers as others write them, and ours before the standard's own validator."""

from __future__ import annotations

import json

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.errors import DataError
from fmrsflow.fids import KEPT_HEADER_KEYS, Fids, from_nifti, to_nifti


@pytest.fixture
def plain() -> Fids:
    data = np.ones((1, 1, 2048), complex)
    return Fids(data, 5e-4, 123.2, 0.03, 2.0, np.diag([20.0, 20, 20, 1]))


def with_header(fids: Fids, **fields):
    """The NIfTI-MRS image with other fields in its header extension."""
    image = to_nifti(fids)
    header = json.loads(image.header.extensions[0].get_content()) | fields
    image.header.extensions[0] = nib.nifti1.Nifti1Extension(44, json.dumps(header).encode())
    return image


@pytest.mark.parametrize(
    "value", [0.03, "0.03", " 0.03 s", "30 ms", [0.03], [0.03, 0.03], {"Value": 0.03}]
)
@pytest.mark.parametrize("key", ["EchoTime", "RepetitionTime"])
def test_a_time_of_another_type_is_that_time(plain, key, value):
    found = from_nifti(with_header(plain, **{key: value}))
    assert (found.te_s if key == "EchoTime" else found.tr_s) == pytest.approx(0.03)


@pytest.mark.parametrize("value", [None, "", [], 0, -1])
def test_a_time_that_is_none_is_left_to_the_sheet(plain, value):
    assert from_nifti(with_header(plain, EchoTime=value)).te_s is None


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("short", "no number"),
        ("0,03x", "no number"),
        ([0.011, 0.019], "list of several"),
        (True, "no number"),
        ({"TE": 1}, None),
        ([[0.03]], "list of several"),
    ],
)
def test_a_time_that_is_not_clear_is_refused(plain, value, words):
    if words is None:
        assert from_nifti(with_header(plain, EchoTime=value)).te_s is None
    else:
        with pytest.raises(DataError, match=f"EchoTime in its header .*{words}"):
            from_nifti(with_header(plain, EchoTime=value))


@pytest.mark.parametrize(
    "fields",
    [
        {"SpectrometerFrequency": 123.2, "ResonantNucleus": "1H"},
        {"SpectrometerFrequency": "123.2", "ResonantNucleus": ["1H"]},
    ],
)
def test_frequency_and_nucleus_may_stand_without_their_list(plain, fields):
    found = from_nifti(with_header(plain, **fields))
    assert (found.frequency_mhz, found.nucleus) == (123.2, "1H")


@pytest.mark.parametrize(
    "fields",
    [
        {"SpectrometerFrequency": ["many"]},
        {"ResonantNucleus": [1]},
        {"ResonantNucleus": {"Value": "1H"}},
        {"RxOffset": "far"},
    ],
)
def test_a_header_of_another_kind_is_refused_not_a_traceback(plain, fields):
    with pytest.raises(DataError, match=next(iter(fields))):
        from_nifti(with_header(plain, **fields))


def test_fields_of_another_type_stay_behind(plain):
    odd = {"Manufacturer": 5, "WaterSuppressed": "yes", "InversionTime": "none", "TxOffset": [1]}
    assert from_nifti(with_header(plain, **odd)).header == {"TxOffset": 1.0}


@pytest.mark.parametrize(
    ("fields", "away_ppm"),
    [
        ({"SpecFreqChemShift": 4.7}, 0.0),
        ({"SpecFreqChemShift": 3.0}, 3.0 - 4.65),
        ({"RxOffset": -2.3}, -2.3),
        ({"SpecFreqChemShift": 4.65, "RxOffset": -2.3}, -2.3),
        ({"TxOffset": -2.3}, 0.0),
    ],
)
def test_another_centre_of_the_receiver_is_turned_to_water(plain, fields, away_ppm):
    """A line at 2.01 ppm stands there whatever is at frequency zero."""
    time = plain.time_s
    line = np.exp((2j * np.pi * (2.01 - 4.65 - away_ppm) * 123.2 - 20) * time)[None]
    found = from_nifti(with_header(plain.with_data(line), **fields))
    peak = found.ppm[np.argmax(np.abs(found.spectra[0, 0]))]
    assert peak == pytest.approx(2.01, abs=0.05)


def test_without_codes_there_is_no_geometry(plain):
    image = to_nifti(plain)
    image.header["sform_code"] = image.header["qform_code"] = 0
    assert from_nifti(image).affine is None
    assert from_nifti(to_nifti(plain)).affine is not None


@pytest.mark.parametrize(("n_transients", "n_coils"), [(1, 1), (1, 4), (6, 1), (6, 4)])
def test_what_is_written_passes_the_validator_of_the_standard(n_transients, n_coils):
    from nifti_mrs.validator import validate_hdr_ext, validate_nifti_header, validate_spectralwidth

    rng = np.random.default_rng(0)
    data = rng.normal(size=(n_transients, n_coils, 64)) * (1 + 1j)
    header = dict.fromkeys(KEPT_HEADER_KEYS, "text") | {
        "InversionTime": 0.1,
        "MixingTime": 0.02,
        "ExcitationFlipAngle": 90.0,
        "MagneticFieldStrength": 3.0,
        "TxOffset": -2.0,
        "WaterSuppressed": True,
    }
    fids = Fids(data, 5e-4, 123.2, 0.03, 2.0, np.diag([20.0, 20, 20, 1]), header=header)
    image = to_nifti(fids, ProcessingApplied=[])
    image = type(image).from_bytes(image.to_bytes())
    text = image.header.extensions[0].get_content()
    validate_nifti_header(image.header)
    validate_hdr_ext(text, image.shape)
    validate_spectralwidth(text, image.header["pixdim"][4])
    again = from_nifti(image)
    assert again.header == header
    np.testing.assert_allclose(again.data, data, rtol=1e-6)
