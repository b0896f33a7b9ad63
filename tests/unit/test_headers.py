"""What headers say, by names that vendors and their guests give sequences."""

from __future__ import annotations

import pytest

from fmrsflow.headers import dimension_tags, told


@pytest.mark.parametrize(
    ("field", "name", "family"),
    [
        ("SequenceName", "*svs_se", "PRESS"),
        ("SequenceName", "svs_st", "STEAM"),
        ("SequenceName", "*eja_svs_slaser", "sLASER"),
        ("SequenceName", "svs_slaser_dkd", "sLASER"),
        ("SequenceName", "PROBE-P", "PRESS"),
        ("SequenceName", "probe-s", "STEAM"),
        ("SequenceName", "dw_special", "SPECIAL"),
        ("PulseSequenceFile", {"Value": "%CustomerSeq%\\uzay_steam_gui"}, "STEAM"),
        ("SequenceName", "fid", ""),
        ("SequenceName", "water_suppression_on", ""),
        ("SequenceName", None, ""),
        ("SequenceName", 7, ""),
    ],
)
def test_the_localisation_is_read_from_the_scanners_own_names(field, name, family):
    assert told({field: name}).family == family


def test_a_name_that_a_user_gave_is_another_thing():
    said = told({"ProtocolName": "SV_PRESS_30"})
    assert (said.family, said.named_family) == ("", "PRESS")
    assert told({"ProtocolName": "PRESS", "SeriesDescription": "STEAM"}).named_family == ""


@pytest.mark.parametrize(
    ("name", "vendor"),
    [
        ("SIEMENS", "Siemens"),
        ("Siemens Healthineers", "Siemens"),
        ("Philips Medical Systems", "Philips"),
        ("GE MEDICAL SYSTEMS", "GE"),
        ("UIH", ""),
        ("Bridge", ""),
    ],
)
def test_vendors_are_those_of_the_sheet(name, vendor):
    assert told({"Manufacturer": name}).vendor == vendor


@pytest.mark.parametrize(
    "header",
    [
        {"EditPulse": {"ON": {"PulseOffset": 1.9}, "OFF": {"PulseOffset": 7.5}}},
        {"dim_5": "DIM_EDIT"},
        {"dim_6": "DIM_DYN", "dim_6_header": {"EditCondition": ["ON", "OFF"]}},
        {"SequenceName": "MEGA-PRESS"},
        {"SequenceName": "eja_svs_mpress"},
        {"PulseSequenceFile": {"Value": "%CustomerSeq%\\svs_edit_859f"}},
        {"ProtocolName": "HERMES_GABA_GSH"},
        {"ProtocolName": "mega_semi-laser 68"},
        {"ProtocolName": "GABA PAR 68", "EchoTime": 0.068},
        {"ProtocolName": "svs_GSH_120", "EchoTime": 0.12},
        {"ProtocolName": "MEGA_GSH"},
        {"ProtocolName": "mega-naa 70"},
        {"SequenceName": "eja_svs_mslaser"},
        {"SeriesDescription": "megagaba acc"},
        {"ProtocolName": "PRESS EDIT_OFF"},
        {"ProtocolName": "lac-edit 288"},
        {"SequenceName": "jpress j-difference"},
        {"SeriesDescription": "HERCULES_ISTHMUS"},
        {"EditTarget": ["GABA"]},
        {"dim_6": "DIM_EDIT_0"},
        {"dim_6": "DIM_USER_0", "dim_6_info": "Editing on, off"},
        {"dim_7": "DIM_DYN", "dim_7_header": {"EditPulse": ["A", "B"]}},
    ],
)
def test_edited_spectra_are_told(header):
    assert told(header).edited


@pytest.mark.parametrize(
    "header",
    [
        {"ProtocolName": "STEAM_GABA_short", "EchoTime": 0.006},
        {"ProtocolName": "PRESS omega", "EchoTime": 0.068},
        {"SequenceName": "svs_se", "dim_5": "DIM_DYN"},
        {"ProtocolName": "svs_slaser_Megan"},
        {"ProtocolName": "meditation PRESS", "EchoTime": 0.03},
        {"SequenceName": "semi_laser", "ProtocolName": "sm slaser credits"},
        {"ProtocolName": "GSH STEAM", "EchoTime": 0.006},
        {"dim_6": "DIM_DYN", "dim_6_info": "averages, meditation", "dim_6_header": {"p": [1, 2]}},
        {},
    ],
)
def test_others_are_not(header):
    assert not told(header).edited


def test_metabolite_cycling_keeps_the_water():
    assert told({"WaterSuppressionType": "Metabolite cycling"}).water_suppressed is False
    assert told({"WaterSuppressed": True}).water_suppressed is True
    assert told({"WaterSuppressed": "maybe"}).water_suppressed is None


@pytest.mark.parametrize(
    ("fields", "told_of"),
    [
        ({"EchoTime": [0.03, 0.05, 0.07]}, "echo time"),
        ({"EchoTime": {"start": 0.03, "increment": 0.01}}, "echo time"),
        ({"EchoTime": {"Value": [0.03, 0.05], "Description": "s"}}, "echo time"),
        ({"EchoTime": ["0.03", "0.05"]}, "echo time"),
        ({"EchoTime": ["30 ms", "50 ms"]}, "echo time"),
        ({"EchoTime": [0.08, 0.08]}, "echo time"),  # the whole header says 30 ms
        ({"RepetitionTime": [1.5, 3.0]}, "repetition time"),
        ({"InversionTime": [0.0, 0.6]}, "inversion time"),
        ({"TI": {"Value": [0.05, 0.6]}}, "inversion time"),
        ({"MixingTime": [0.01, 0.1]}, "mixing time"),
        ({"ExcitationFlipAngle": [20, 90]}, "flip angle"),
        ({"b_value": {"Value": [0, 3000], "Description": "s/mm2"}}, "diffusion"),
        ({"EchoTime": [0.03, 0.03], "RepetitionTime": {"start": 2.0, "increment": 0}}, ""),
        ({"EchoTime": [0.03, 0.0300001]}, ""),
        ({"EchoTime": {"start": 0.03, "increment": 0.0002}}, "echo time"),  # 50 ms at last
        ({"TxOffset": [-2.3, 0.0]}, "frequency of excitation"),
        ({"TxOffset": [0.0, 0.02, -0.03]}, ""),  # a drift that the scanner followed
        ({"TxOffset": {"start": 0.0, "increment": 0.001}}, ""),
        ({"WaterSuppressed": [True, False]}, ""),
        ({"p": [1, 2], "EchoTime": []}, ""),
        ([0.03, 0.05], ""),
    ],
)
@pytest.mark.parametrize("tag", ["DIM_DYN", "dim_dyn"])
def test_a_series_of_several_measurements_is_told(fields, told_of, tag):
    found = told({"EchoTime": 0.03, "dim_6": tag, "dim_6_header": fields}).series
    assert told_of in found and bool(found) == bool(told_of)


def test_tags_in_other_letters_are_told_and_taken():
    values = [True, False, True]
    header = {"dim_5": "Dim_Dyn ", "dim_5_header": {"WaterSuppressed": values}}
    said = told(header)
    assert said.water == (False, True, False)
    assert said.notes == ("a dimension is tagged DIM_DYN, in other letters: taken as such",)
    assert dimension_tags(header) == ["DIM_DYN", None, None]
    assert told({"dim_5": "DIM_DYN"}).notes == ()


@pytest.mark.parametrize(
    ("steps", "corrected"),
    [
        (
            [{"Method": "Frequency and phase correction"}, {"Method": "Eddy current correction"}],
            True,
        ),
        ({"Method": "ECC"}, True),
        ([{"Method": "Signal averaging"}], False),
        ([{"Method": ["Eddy current correction"]}, "eddy", None], False),
        (None, False),
    ],
)
def test_a_correction_of_eddy_currents_before_the_export_is_told(steps, corrected):
    assert told({"ProcessingApplied": steps}).eddies_corrected == corrected
