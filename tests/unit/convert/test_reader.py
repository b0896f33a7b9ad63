"""Vendor files as they are, mended, damaged."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import signal
import sys
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
import pydicom
import pytest

from fmrsflow.convert import child, reader
from fmrsflow.convert.reader import load, read
from fmrsflow.convert.sidecar import sidecar
from fmrsflow.errors import DataError, MachineFault
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.study import Site
from fmrsflow.synthetic.writers import write_dicom, write_sdat

SITE = Site("north", "Siemens", 3.0, "PRESS", 0.03, 2.0, "own", spectral_width_hz=4000.0)


@pytest.fixture
def fids() -> Fids:
    rng = np.random.default_rng(3)
    t = np.arange(256) * 5e-4
    data = np.exp(-t * 20) * (1 + 0.01 * rng.normal(size=(4, 2, 256))).astype(np.complex64)
    return Fids(data, 5e-4, 123.2, 0.03, 2.0, np.diag([20.0, 20, 20, 1]))


def test_siemens_rda_and_dicom_of_one_scan_are_the_same_fid(shared_data):
    folder = shared_data / "siemens-press-3t"
    rda, ima = (read(folder / f"SVS_30.{ending}", SITE).fids for ending in ("rda", "IMA"))
    shared = np.vdot(rda.data, ima.data) / (np.linalg.norm(rda.data) * np.linalg.norm(ima.data))
    assert abs(shared) > 0.9999
    assert (rda.n_points, rda.te_s, rda.tr_s) == (1024, 0.03, 2.0)
    np.testing.assert_allclose(rda.affine, ima.affine, atol=0.01)


def test_lcmodel_raw_is_the_jmrui_file_of_the_same_spectrum(shared_data):
    folder = shared_data / "fitting-challenge"
    raw = read(folder / "lcmodel/dataset1.RAW", SITE).fids
    jmrui = read(folder / "jmrui/dataset1_WS.txt", SITE).fids
    shared = np.vdot(raw.data, jmrui.data)
    shared /= np.linalg.norm(raw.data) * np.linalg.norm(jmrui.data)
    assert abs(shared) > 0.9999
    assert raw.frequency_mhz == pytest.approx(jmrui.frequency_mhz, rel=1e-3)


@pytest.mark.parametrize("end", ["$END", "&END", "$end", "/"])
def test_lcmodel_raw_is_read_in_every_spelling_of_fortran(shared_data, tmp_path, end):
    source = shared_data / "fitting-challenge/lcmodel/dataset1.RAW"
    text = source.read_text()
    right = read(source, SITE).fids
    mended = text.replace("TRAMP=1,", "TRAMP=1.0D+02,").replace("$END", f"\n {end}")
    head, mark, body = mended.partition(f"\n {end}")
    (tmp_path / "a.RAW").write_text(head + mark + body.replace("E+", "D+").replace("E-", "D-"))
    found = read(tmp_path / "a.RAW", SITE).fids
    np.testing.assert_allclose(found.data, 100 * right.data, rtol=1e-12)


def test_exponents_of_three_digits_may_lack_their_letter(shared_data, tmp_path):
    source = shared_data / "fitting-challenge/lcmodel/dataset1.RAW"
    head, mark, body = source.read_text().rpartition("$END")
    whole = read(source, SITE).fids
    numbers = [*body.split()[:-2], "0.1234567-103", "-0.7654321-103"]
    (tmp_path / "a.RAW").write_text(head + mark + "\n" + "\n".join(numbers))
    found = read(tmp_path / "a.RAW", SITE).fids
    np.testing.assert_array_equal(found.data[..., :-1], whole.data[..., :-1])
    assert abs(found.data[0, 0, -1]) < 1e-100


def test_old_spar_without_inversion_time_is_read(shared_data, tmp_path):
    source = shared_data / "phantoms"
    shutil.copy(source / "phillips_svs_30_WS.SDAT", tmp_path / "old.sdat")
    text = (source / "phillips_svs_30_WS_plusTI.SPAR").read_text(errors="replace")
    lines = [line for line in text.splitlines() if "spectrum_inversion_time" not in line]
    assert len(lines) < len(text.splitlines())
    (tmp_path / "old.Spar").write_text("\n".join(lines))
    assert read(tmp_path / "old.sdat", SITE).fids.n_points >= 1024


def test_old_ge_pfile_is_refused_with_what_to_do(shared_data):
    with pytest.raises(DataError, match="Export the scan as NIfTI-MRS"):
        read(shared_data / "phantoms/ge_P1751_1.5T_030_2000_redacted.7", SITE)


@pytest.mark.parametrize(
    ("names", "command"),
    [(["a.data"], "philips_dl"), (["a.LIST"], "philips_dl"), (["5/method", "5/fid"], "bruker")],
)
def test_a_format_that_is_not_read_is_told_with_the_command_that_reads_it(tmp_path, names, command):
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"x" * 200)
    with pytest.raises(DataError, match=f"`spec2nii {command}` and name the NIfTI-MRS"):
        read(tmp_path / names[0].split("/")[0], SITE)


def test_names_and_dates_of_the_source_do_not_come_along(shared_data, tmp_path):
    source = shared_data / "philips-press-3t/sub-01_ses-01_PRESS_raw-act_noID"
    shutil.copy(f"{source}.SDAT", tmp_path / "a.SDAT")
    lines = (source.parent / f"{source.name}.SPAR").read_text(errors="replace").splitlines()
    secret = {"patient_name": "Muster, Erika", "patient_birth_date": "1964.08.12"}
    secret |= {"examination_name": "Muster study", "scan_date": "2020.02.29 11:22:33"}
    lines = [line for line in lines if line.split(":")[0].strip() not in secret]
    lines += [f"{key} : {value}" for key, value in secret.items()]
    (tmp_path / "a.SPAR").write_text("\n".join(lines))
    fids = read(tmp_path / "a.SDAT", SITE).fids
    written = to_nifti(fids).to_bytes() + json.dumps(sidecar(fids)).encode()
    for word in (b"Muster", b"Erika", b"1964", b"2020.02", b"11:22", str(tmp_path).encode()):
        assert word not in written


def test_sidecar_has_what_bids_requires(fids):
    content = sidecar(fids)
    assert content["ResonantNucleus"] == ["1H"]
    assert content["SpectrometerFrequency"] == [123.2]
    assert content["SpectralWidth"] == pytest.approx(2000.0)
    assert content["EchoTime"] == 0.03
    assert content["AcquisitionVoxelSize"] == [20.0, 20.0, 20.0]


def test_truncated_sdat_tells_both_sizes(shared_data, tmp_path):
    source = shared_data / "philips-press-3t/sub-01_ses-01_PRESS_raw-act_noID"
    content = (source.parent / f"{source.name}.SDAT").read_bytes()
    (tmp_path / "a.SDAT").write_bytes(content[:9000])
    shutil.copy(f"{source}.SPAR", tmp_path / "a.SPAR")
    with pytest.raises(DataError, match="9000 bytes where a.SPAR promises"):
        read(tmp_path / "a.SDAT", SITE)


@pytest.mark.parametrize("seed", range(60))
def test_flipped_bit_or_cut_of_nifti_gives_the_same_data_or_a_data_error(fids, tmp_path, seed):
    """A gzip checksum tells every flipped bit of the content."""
    rng = np.random.default_rng(seed)
    content = bytearray(gzip.compress(to_nifti(fids).to_bytes(), mtime=0))
    if seed % 3:
        content[rng.integers(10, len(content))] ^= 1 << int(rng.integers(8))
    else:
        content = content[: rng.integers(1, len(content) - 8)]
    path = tmp_path / "a.nii.gz"
    path.write_bytes(content)
    try:
        found = load(path)
    except DataError as error:
        assert "a.nii.gz" in str(error)
    else:
        np.testing.assert_array_equal(found.data, fids.data)


@pytest.mark.parametrize("seed", range(60))
def test_flipped_header_bit_of_plain_nifti_never_crashes(fids, tmp_path, seed):
    rng = np.random.default_rng(seed)
    content = bytearray(to_nifti(fids).to_bytes())
    for _ in range(3):
        content[rng.integers(900)] ^= 1 << int(rng.integers(8))
    (tmp_path / "a.nii").write_bytes(content)
    try:
        read(tmp_path / "a.nii", SITE)
    except DataError as error:
        assert "a.nii" in str(error)


@pytest.mark.parametrize("kind", ["rda", "SDAT", "SPAR", "RAW"])
@pytest.mark.parametrize("seed", range(4))
def test_damaged_vendor_file_is_read_or_refused(shared_data, tmp_path, kind, seed, monkeypatch):
    monkeypatch.setattr(reader, "TIME_LIMIT_S", 30)
    philips = shared_data / "philips-press-3t/sub-01_ses-01_PRESS_raw-act_noID"
    sources = {
        "rda": shared_data / "siemens-press-3t/SVS_30.rda",
        "SDAT": philips.with_suffix(".SDAT"),
        "SPAR": philips.with_suffix(".SPAR"),
        "RAW": shared_data / "fitting-challenge/lcmodel/dataset1.RAW",
    }
    for ending in {"SDAT", "SPAR"} if kind in ("SDAT", "SPAR") else {kind}:
        shutil.copy(sources[ending], tmp_path / f"a.{ending}")
    path = tmp_path / f"a.{kind}"
    rng = np.random.default_rng(seed)
    content = bytearray(path.read_bytes())
    if seed % 2:
        for place in rng.integers(min(len(content), 6000), size=20):
            content[place] ^= 1 << int(rng.integers(8))
    else:
        content = content[: rng.integers(1, len(content))]
    path.write_bytes(content)
    try:
        fids = read(path.with_suffix(".SDAT") if kind == "SPAR" else path, SITE).fids
    except DataError as error:
        assert "a." in str(error)
    else:
        assert np.isfinite(fids.data).all() and fids.n_points >= 64


def test_real_values_are_no_fids(fids, tmp_path):
    image = to_nifti(fids)
    plain = nib.Nifti2Image(np.abs(np.asarray(image.dataobj)), image.affine, image.header)
    plain.set_data_dtype(np.float32)
    nib.save(plain, tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match="not complex"):
        load(tmp_path / "a.nii.gz")


def test_single_point_far_above_all_others_is_damage(fids, tmp_path):
    data = fids.data.copy()
    data[1, 0, 100] = 1e6
    nib.save(to_nifti(replace(fids, data=data)), tmp_path / "a.nii.gz")
    with pytest.raises(DataError, match="single points"):
        read(tmp_path / "a.nii.gz", SITE)


def test_an_rda_cut_within_its_samples_is_refused(shared_data, tmp_path):
    whole = (shared_data / "siemens-press-3t/SVS_30.rda").read_bytes()
    cut = tmp_path / "cut.rda"
    cut.write_bytes(whole[: len(whole) - 16 * 500])
    with pytest.raises(DataError, match=r"cut\.rda: 8384 bytes of samples, the header says 16384"):
        read(cut, SITE)


def sdat(fids, folder: Path, times: int) -> Path:
    """A good Philips scan of that many times the transients."""
    data = np.repeat(fids.data[:, :1], times, axis=0)
    write_sdat(replace(fids, data=data), folder / "a.SDAT")
    return folder / "a.SDAT"


def test_empty_transients_keep_their_place_and_those_behind_the_last_go(fids, tmp_path):
    """spec2nii takes all empty ones out, and what follows would move in time."""
    path = sdat(fids, tmp_path, 8)
    rows = np.frombuffer(path.read_bytes(), "<u4").reshape(len(fids.data) * 8, -1).copy()
    rows[[3, 4, -2, -1]] = 0
    path.write_bytes(rows.tobytes())
    found = read(path, SITE).fids
    empty = np.flatnonzero(~found.data.any(axis=(1, 2)))
    assert found.n_transients == len(rows) - 2
    np.testing.assert_array_equal(empty, [3, 4])


def stopping(calls: Path, numbers: set[int]):
    """The converter in its child process, which some calls stop, as a machine does that swaps."""
    convert = child._child  # a fork has what stands here: nothing outside is stopped

    def run(arguments, said):
        with calls.open("a") as file:
            file.write(f"{arguments[0]}\n")
        if len(calls.read_text().split()) in numbers:
            os.kill(os.getpid(), signal.SIGSTOP)
        convert(arguments, said)

    return run


@pytest.mark.parametrize(
    ("stopped", "said"),
    [
        ({1}, None),
        ({1, 3}, (DataError, "did not end within 3 s, twice, while another file passes")),
        ({1, 2}, (MachineFault, "did not end within 3 s on a file known to be good too")),
    ],
)
def test_a_time_limit_is_of_the_file_only_where_a_good_file_passes(
    fids, tmp_path, monkeypatch, stopped, said
):
    path = sdat(fids, tmp_path, 1)
    monkeypatch.setattr(reader, "TIME_LIMIT_S", 3)
    calls = tmp_path / "calls.txt"
    monkeypatch.setattr(child, "_child", stopping(calls, stopped))
    if said:
        with pytest.raises(said[0], match=said[1]):
            read(path, SITE)
    else:
        assert read(path, SITE).fids.n_transients == 4
    again = [] if said and said[0] is MachineFault else ["philips"]
    assert calls.read_text().split() == ["philips", "rda", *again]


def test_a_file_that_asks_for_more_memory_than_our_limit_is_damaged(fids, tmp_path, monkeypatch):
    """With the same limit a good file of a few points passes."""
    (path,) = write_dicom(replace(fids, data=fids.data[:1, :1]), tmp_path)
    header = pydicom.dcmread(path)
    header.DataPointColumns = 32000
    header.SpectroscopyData = bytes(8 * 32000 * 1600)  # 410 MB
    header.save_as(path)
    del header
    monkeypatch.setattr(child, "MOST_MEMORY", 300 << 20)
    with pytest.raises(DataError, match="0001.dcm"):
        read(path, SITE)


def test_too_little_memory_to_load_the_converter_is_of_the_machine(tmp_path, monkeypatch):
    """Its readers of some formats load libraries that those of others do without."""
    (tmp_path / "a.dat").write_bytes(bytes(400))
    monkeypatch.setitem(sys.modules, "mapvbvd", None)
    with pytest.raises(MachineFault, match="cannot be loaded"):
        read(tmp_path / "a.dat", SITE)


def test_a_nifti_header_of_a_petabyte_is_damaged(fids, tmp_path):
    content = bytearray(to_nifti(fids).to_bytes())
    at = content.index(np.array([256], "<i8").tobytes(), 16)
    content[at : at + 8] = np.array([1 << 46], "<i8").tobytes()
    (tmp_path / "a.nii").write_bytes(content)
    with pytest.raises(DataError, match="a.nii: its header claims .* damaged"):
        load(tmp_path / "a.nii")
