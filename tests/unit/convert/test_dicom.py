"""DICOM: the order of transients, what lies in a folder, references, de-identified headers."""

from __future__ import annotations

import json
import shutil
import warnings
from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pydicom
import pytest
from scipy.spatial.transform import Rotation

from fmrsflow.convert import child
from fmrsflow.convert.boxes import box_distance_mm
from fmrsflow.convert.interleaved import water_rows
from fmrsflow.convert.reader import load, read
from fmrsflow.convert.sidecar import sidecar
from fmrsflow.errors import DataError, MachineFault
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.synthetic.writers import write_dicom


def oblique(*sizes_mm) -> np.ndarray:
    affine = np.eye(4)
    affine[:3, :3] = Rotation.from_euler("xyz", [10, 20, 30], degrees=True).as_matrix() * sizes_mm
    affine[:3, 3] = (5, -6, 7)
    return affine


@pytest.fixture
def fids() -> Fids:
    """Twelve transients, each its own."""
    rng = np.random.default_rng(5)
    t = np.arange(256) * 5e-4
    line = np.exp((2j * np.pi * (2.01 - 4.65) * 123.2 - 20) * t)
    data = line * np.linspace(1, 1.2, 12)[:, None] + 0.01 * rng.normal(size=(12, 256))
    return Fids(data[:, None].astype(np.complex64), 5e-4, 123.2, 0.03, 2.0, oblique(20, 25, 30))


def second_route(path) -> Fids:
    """What spec2nii makes of a Siemens DICOM file, written beside it."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # nibabel calls its readers of DICOM experimental
        from spec2nii.Siemens.dicomfunctions import multi_file_dicom

        (made,), _ = multi_file_dicom([path], "svs", None, False)
    made.save(path.with_suffix(".nii.gz"))
    return load(path.with_suffix(".nii.gz"))


@pytest.mark.parametrize("name", ["siemens-press-3t/SVS_30.IMA", "hostile/xa60_blank_weight.dcm"])
def test_both_converters_agree(shared_data, tmp_path, name):
    """spec2nii needs a weight, of which nothing comes along."""
    header = pydicom.dcmread(shared_data / name)
    header.PatientWeight = 70
    header.save_as(tmp_path / "filled.dcm")
    ours, other = read(shared_data / name, None).fids, second_route(tmp_path / "filled.dcm")
    np.testing.assert_allclose(ours.data, other.data, rtol=1e-6)
    np.testing.assert_allclose(ours.affine, other.affine, atol=1e-5)
    for what in ("dwell_s", "frequency_mhz", "te_s", "tr_s"):
        assert getattr(ours, what) == pytest.approx(getattr(other, what), rel=1e-6)


def test_both_converters_read_what_we_write(fids, tmp_path):
    """Sign, axis and an oblique voxel, of which neither converter knows."""
    (path,) = write_dicom(fids.mean(), tmp_path)
    ours = read(path, None).fids
    header = pydicom.dcmread(path)
    header.PatientName = "Nobody"  # without which spec2nii stops
    header.ProtocolName = "synthetic"
    header.save_as(path)
    other = second_route(path)
    for found in (ours, other):
        np.testing.assert_allclose(found.data, fids.mean().data, rtol=1e-6)
        np.testing.assert_allclose(found.affine, fids.affine, atol=1e-4)
        assert (found.te_s, found.tr_s) == (pytest.approx(0.03), pytest.approx(2.0))


def test_coils_that_were_not_combined_are_no_transients(fids, tmp_path):
    for number, path in enumerate(write_dicom(fids, tmp_path)):
        header = pydicom.dcmread(path)
        coil = header.SharedFunctionalGroupsSequence[0].MRReceiveCoilSequence[0]
        coil.ReceiveCoilName = f"HE{number}"
        header.save_as(path)
    with pytest.raises(DataError, match="12 receive coils"):
        read(tmp_path, None)


def test_philips_storage_holds_the_scan_and_then_its_water(shared_data):
    path = shared_data / "hostile/philips_mrs_storage_1.5T_press_te32.dcm"
    header = pydicom.dcmread(path)
    values = np.frombuffer(header.SpectroscopyData, "<c8").reshape(2, 1024)
    found = read(path, None)
    # The standard's sign is that of our FIDs.
    np.testing.assert_array_equal(found.fids.data[0, 0], values[0])
    np.testing.assert_array_equal(found.reference.data[0, 0], values[1])
    assert (found.fids.te_s, found.fids.tr_s) == (pytest.approx(0.0319136, abs=1e-6), 2.0)
    np.testing.assert_allclose(np.linalg.norm(found.fids.affine[:3, :3], axis=0), [25, 25, 15])


def test_files_of_a_mac_beside_a_scan_are_no_part_of_it(shared_data, tmp_path):
    image = read(shared_data / "siemens-press-3t/SVS_30.IMA", None).fids
    assert np.array_equal(read(shared_data / "hostile/dicom_mac", None).fids.data, image.data)
    shutil.copy(shared_data / "siemens-press-3t/SVS_30.IMA", tmp_path / "x.IMA")
    (tmp_path / "._x.IMA").write_bytes(b"\0\5\x16\7" + bytes(200))
    (tmp_path / "notes.txt").write_text("Jane Doe")
    found = read(tmp_path, None)
    assert np.array_equal(found.fids.data, image.data)
    assert len(found.notes) == 1 and "1 file" in found.notes[0] and "Jane" not in found.notes[0]


@pytest.mark.parametrize("key", ["InstanceNumber", "AcquisitionNumber", "AcquisitionDateTime"])
def test_transients_come_in_the_order_in_which_they_were_measured(fids, tmp_path, key):
    """Names of files tell another, as with two digits; dcm2niix and spec2nii take what they see."""
    shuffled = np.random.default_rng(1).permutation(fids.n_transients)
    for number, path in enumerate(write_dicom(fids, tmp_path)):
        header = pydicom.dcmread(path)
        if key != "InstanceNumber":
            header.InstanceNumber = 1
        header.AcquisitionNumber = number + 1 if key == "AcquisitionNumber" else 1
        if key == "AcquisitionDateTime":
            header.AcquisitionDateTime = f"202001011200{2 * number:02d}"
        path.unlink()
        header.save_as(tmp_path / f"MUSTER_{shuffled[number]}.dcm")
    found = read(tmp_path, None)
    np.testing.assert_array_equal(found.fids.data, fids.data)
    np.testing.assert_allclose(found.fids.affine, fids.affine, atol=1e-5)
    assert not found.notes


@pytest.mark.parametrize(
    ("step_s", "averages", "told"),
    [
        (2.0, None, ""),
        (2.0, 12, ""),  # of the protocol: as many as files
        (16.0, 8, ""),
        (16.0, None, "16 s apart, 8 repetition times"),
        (2.0, 8, "2 s apart, 1 repetition time:"),
        (5.0, None, ""),  # of no repetition time: nothing is known
        (0.0, None, ""),  # of the series
    ],
)
def test_files_that_are_means_are_told_by_their_times(fids, tmp_path, step_s, averages, told):
    """Over midnight."""
    start = datetime(2020, 1, 1, 23, 59, 50)
    for number, path in enumerate(write_dicom(fids, tmp_path)):
        header = pydicom.dcmread(path)
        time = start + timedelta(seconds=step_s * number)
        header.AcquisitionDateTime = time.strftime("%Y%m%d%H%M%S.%f+0100")
        if averages:
            header.NumberOfAverages = averages
        header.save_as(path)
    notes = read(tmp_path, None).notes
    assert len(notes) == bool(told) and all(told in one for one in notes)


def test_an_order_that_cannot_be_told_is_refused(fids, tmp_path):
    paths = write_dicom(fids, tmp_path)
    shutil.copy(paths[3], tmp_path / "copy.dcm")
    with pytest.raises(DataError, match="order of the transients cannot be told: are copies"):
        read(tmp_path, None)


def test_numbers_and_times_that_contradict_each_other_are_refused(fids, tmp_path):
    for number, path in enumerate(write_dicom(fids, tmp_path)):
        header = pydicom.dcmread(path)
        header.AcquisitionDateTime = f"202001011200{59 - number:02d}"
        header.save_as(path)
    with pytest.raises(DataError, match="different orders"):
        read(tmp_path, None)


def test_a_missing_transient_is_told(fids, tmp_path):
    write_dicom(fids, tmp_path)[5].unlink()
    assert "jump at 1 place" in read(tmp_path, None).notes[0]


def test_two_series_in_a_folder_are_refused(fids, tmp_path):
    last = write_dicom(fids, tmp_path)[-1]
    header = pydicom.dcmread(last)
    header.SeriesInstanceUID = "1.2.3.5"
    header.save_as(last)
    with pytest.raises(DataError, match=r"2 series of spectroscopy \(11, 1 files\)"):
        read(tmp_path, None)


def test_references_at_the_ends_of_a_series_are_told_apart(fids, tmp_path):
    data = fids.data.copy()
    data[[0, 1, 10, 11]] *= 200
    write_dicom(fids.with_data(data), tmp_path)
    found = water_rows(read(tmp_path, None).fids, "", True)
    assert np.flatnonzero(found).tolist() == [0, 1, 10, 11]


def test_a_movement_within_a_series_is_no_reference(fids, tmp_path):
    data = fids.data.copy()
    data[5] *= 20
    write_dicom(fids.with_data(data), tmp_path)
    np.testing.assert_array_equal(read(tmp_path, None).fids.data, data)


def test_samples_that_the_converter_leaves_out_are_noticed(fids, tmp_path):
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    header.SpectroscopyData = header.SpectroscopyData * 3
    header.NumberOfFrames = 3
    header.save_as(path)
    with pytest.raises(DataError, match="0001.dcm: it holds 768 complex samples, of which 256"):
        read(path, None)


def test_two_averages_in_a_file_are_no_scan_with_its_water(fids, tmp_path):
    """dcm2niix takes the second FID of any file for a reference."""
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    second = (np.frombuffer(header.SpectroscopyData, "<c8") * np.complex64(1.1)).tobytes()
    header.SpectroscopyData = header.SpectroscopyData + second
    header.save_as(path)
    found = read(path, None)
    assert found.reference is None and found.fids.n_transients == 2


def test_cut_samples_are_refused(fids, tmp_path):
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    header.SpectroscopyData = header.SpectroscopyData[:1000]
    header.save_as(path)
    with pytest.raises(DataError, match="0001.dcm"):
        read(path, None)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda header: header.pop("SpectroscopyData"), "it has no samples: truncated"),
        (lambda header: header.pop("DataPointColumns"), "its header lacks DataPointColumns"),
        (lambda header: header.pop("TransmitterFrequency"), "lacks the frequency or the nucleus"),
    ],
)
def test_what_a_header_lacks_is_told(fids, tmp_path, edit, words):
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    edit(header)
    header.save_as(path)
    with pytest.raises(DataError, match=f"0001.dcm: .*{words}"):
        read(path, None)


def test_a_grid_of_voxels_is_refused_as_one(fids, tmp_path):
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    header.Rows, header.Columns = 4, 4
    header.SpectroscopyData = header.SpectroscopyData * 16
    header.save_as(path)
    with pytest.raises(DataError, match=r"several voxels \(4 x 4"):
        read(path, None)


def test_the_voxel_is_that_of_the_localisation_slabs(fids, tmp_path):
    """Spacing of pixels stands in either order; the slabs are the voxel by the standard."""
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    measures = header.SharedFunctionalGroupsSequence[0].PixelMeasuresSequence[0]
    measures.PixelSpacing = measures.PixelSpacing[::-1]
    header.save_as(path)
    found = read(path, None)
    assert box_distance_mm(found.fids.affine, fids.affine) < 1e-4
    assert "slabs" in found.notes[0]


def test_without_slabs_the_order_of_sizes_is_that_of_the_standard_and_told(fids, tmp_path):
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    del header.VolumeLocalizationSequence
    header.save_as(path)
    found = read(path, None)
    assert box_distance_mm(found.fids.affine, fids.affine) < 1e-4
    assert "order of the DICOM standard" in found.notes[0]


def test_an_image_is_no_scan(shared_data, tmp_path, fids):
    (path,) = write_dicom(fids.mean(), tmp_path)
    header = pydicom.dcmread(path)
    del header.SpectroscopyData
    header.SOPClassUID = pydicom.uid.MRImageStorage
    header.save_as(path)
    with pytest.raises(DataError, match="of an image, not of spectroscopy"):
        read(path, None)
    with pytest.raises(DataError, match=r"holds no DICOM file of spectroscopy \(1 of images"):
        read(tmp_path, None)


PERSONAL = {
    "PatientName": "Muster^Erika",
    "PatientID": "ID4711",
    "PatientBirthDate": "19640812",
    "PatientAge": "061Y",
    "StudyDate": "20200229",
    "AcquisitionDateTime": "20200229112233",
    "InstitutionName": "Hospital Musterstadt",
    "DeviceSerialNumber": "S99887",
    "OperatorsName": "Operator^Otto",
    "StudyDescription": "Muster study",
    "SeriesDescription": "Erika press",
    "ProtocolName": "Erika protocol",
    "ImageComments": "Frau Muster",
    "PatientComments": "calls herself Riki",
}


def test_no_personal_detail_of_a_header_comes_along(fids, tmp_path, capfd):
    folder = tmp_path / "scan"
    folder.mkdir()
    for path in write_dicom(fids, folder):
        header = pydicom.dcmread(path)
        for key, value in PERSONAL.items():
            setattr(header, key, value)
        header.AcquisitionDateTime = f"20200229112233.{path.stem}"
        path.unlink()
        header.save_as(folder / f"MUSTER_ERIKA_{path.name}")
    found = read(folder, None)
    written = to_nifti(found.fids).to_bytes() + json.dumps(sidecar(found.fids)).encode()
    for word in ("Muster", "Erika", "4711", "1964", "061Y", "2020", "Otto", "Riki", "99887"):
        assert word.encode().lower() not in written.lower()
    assert not any(capfd.readouterr())


@pytest.mark.parametrize(
    "edit",
    [
        {"PatientName": None, "PatientID": None},
        {"PatientWeight": "", "PatientName": ""},
        {"ProtocolName": None, "SeriesDescription": None, "StudyInstanceUID": None},
        {"AcquisitionNumber": None, "SeriesNumber": None, "SOPInstanceUID": ""},
        # dcm2niix tells by it which sign of frequency the release writes.
        {"SoftwareVersions": None, "ManufacturerModelName": None},
    ],
)
@pytest.mark.parametrize("name", ["siemens-press-3t/SVS_30.IMA", "hostile/xa60_blank_weight.dcm"])
def test_a_deidentified_file_is_read_as_before(shared_data, tmp_path, name, edit):
    header = pydicom.dcmread(shared_data / name)
    for key, value in edit.items():
        if value is None:
            header.pop(key, None)
        else:
            setattr(header, key, value)
    header.save_as(tmp_path / "a.dcm")
    ours, before = read(tmp_path / "a.dcm", None).fids, read(shared_data / name, None).fids
    assert np.array_equal(ours.data, before.data) and (ours.te_s, ours.tr_s) == (0.03, 2.0)
    np.testing.assert_allclose(ours.affine, before.affine)


@pytest.mark.parametrize("seed", range(24))
def test_a_damaged_file_is_read_as_it_was_or_refused(shared_data, tmp_path, seed, monkeypatch):
    monkeypatch.setattr("fmrsflow.convert.reader.TIME_LIMIT_S", 30)
    source = (
        shared_data / ("siemens-press-3t/SVS_30.IMA", "hostile/xa60_blank_weight.dcm")[seed % 2]
    )
    before = read(source, None).fids
    rng = np.random.default_rng(seed)
    content = bytearray(source.read_bytes())
    if seed % 3:
        for place in rng.integers(len(content) - 8192, size=1 if seed % 3 == 1 else 30):
            content[place] ^= 1 << int(rng.integers(8))
    else:
        content = content[: rng.integers(1, len(content))]
    (tmp_path / "a.dcm").write_bytes(content)
    try:
        found = read(tmp_path / "a.dcm", None)
    except DataError as error:
        assert "a.dcm" in str(error)
    else:
        np.testing.assert_array_equal(found.fids.data, before.data)
        assert found.fids.dwell_s == pytest.approx(before.dwell_s)


def test_a_value_that_pydicom_cannot_make_out_stops_nothing(shared_data, tmp_path):
    """The type of an element within the slabs' sequence is none."""
    source = shared_data / "hostile/philips_mrs_storage_1.5T_press_te32.dcm"
    content = source.read_bytes()
    at = content.index(b"\x18\x00\x04\x91FD")  # (0018,9104) SlabThickness
    (tmp_path / "a.dcm").write_bytes(content[: at + 4] + b"FF" + content[at + 6 :])
    try:
        found = read(tmp_path / "a.dcm", None).fids
    except DataError as error:
        assert "a.dcm" in str(error)
    else:
        np.testing.assert_array_equal(found.data, read(source, None).fids.data)


def test_a_program_that_cannot_be_started_is_of_the_machine(fids, tmp_path, monkeypatch):
    (path,) = write_dicom(fids.mean(), tmp_path)
    monkeypatch.setattr("dcm2niix.bin", str(tmp_path / "absent"))
    with pytest.raises(MachineFault, match="dcm2niix cannot be started"):
        read(path, None)


def test_a_program_that_does_not_end_is_stopped(tmp_path, monkeypatch):
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nwhile :; do :; done\n")
    slow.chmod(0o755)
    monkeypatch.setattr("dcm2niix.bin", str(slow))
    ended = child.run_dcm2niix(tmp_path / "a.dcm", tmp_path, tmp_path / "said.txt", 0.2)
    assert ended.limit == "did not end within 0.2 s"


def test_a_program_that_fails_on_every_file_is_of_the_machine(fids, tmp_path, monkeypatch):
    (path,) = write_dicom(replace(fids, data=fids.data[:1]), tmp_path)
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    monkeypatch.setattr("dcm2niix.bin", str(broken))
    with pytest.raises(MachineFault, match="fails on a file known to be good too"):
        read(path, None)
