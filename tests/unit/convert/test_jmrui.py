"""jMRUI's text and binary files."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from fmrsflow.convert.interleaved import water_rows
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError
from fmrsflow.fids import from_nifti


def text(signals: np.ndarray, columns: int = 4, **entries: str) -> str:
    """A jMRUI text file of these signals, (n, points)."""
    header = {
        "PointsInDataset": str(signals.shape[1]),
        "DatasetsInFile": str(len(signals)),
        "SamplingInterval": "5E-1",
        "ZeroOrderPhase": "0E0",
        "BeginTime": "0E0",
        "TransmitterFrequency": "1.277E8",
        "MagneticField": "3E0",
        "TypeOfNucleus": "0E0",
        "NameOfPatient": "",
    } | entries
    lines = ["jMRUI Data Textfile", "", "Filename: a.txt", ""]
    lines += [f"{key}: {value}" for key, value in header.items() if value is not None]
    names = "\t".join(("sig(real)", "sig(imag)", "fft(real)", "fft(imag)")[:columns])
    lines += ["", "Signal and FFT", names]
    for number, signal in enumerate(signals, start=1):
        lines.append(f"Signal {number} out of {len(signals)} in file")
        lines += [
            "\t".join(f"{one:.6E}" for one in (z.real, z.imag, z.imag, z.real)[:columns])
            for z in signal
        ]
    return "\n".join(lines) + "\n"


@pytest.fixture
def signals() -> np.ndarray:
    rng = np.random.default_rng(2)
    decay = np.exp((2j * np.pi * -300 - 20) * np.arange(128) * 5e-4)
    return decay * np.array([[1.0], [1.1]]) + 0.01 * rng.normal(size=(2, 128))


def write(path: Path, content: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(content.encode(encoding))
    return path


@pytest.mark.parametrize(
    "name", ["jmrui/dataset1_WS.txt", "cr-10mM/Cr_10mM_test_water_scaling_WS.txt"]
)
def test_text_agrees_with_spec2nii(shared_data, tmp_path, name):
    from argparse import Namespace

    from spec2nii.jmrui import jmrui_txt

    path = shared_data / "fitting-challenge" / name
    ((made,), _) = jmrui_txt(Namespace(file=path, affine=None, fileout="a"))
    made.save(tmp_path / "a.nii.gz")
    ours, other = read(path, None).fids, from_nifti(nib.load(tmp_path / "a.nii.gz"))
    np.testing.assert_array_equal(ours.data, other.data)
    assert (ours.dwell_s, ours.frequency_mhz) == (
        pytest.approx(other.dwell_s),
        pytest.approx(other.frequency_mhz),
    )
    assert ours.nucleus == other.nucleus == "1H"


def test_an_umlaut_in_a_name_is_no_damage(shared_data):
    path = shared_data / "hostile/jmrui_latin1_name.txt"
    rows = [line.split() for line in path.read_text("latin-1").splitlines()]
    rows = [row for row in rows if len(row) == 2 and row[0][-1].isdigit() and "." in row[0]]
    found = read(path, None).fids
    expected = np.array(rows, float) @ [1, 1j]
    np.testing.assert_allclose(found.data[0, 0], expected)
    assert "rgen" not in str(found.header)


@pytest.mark.parametrize("name", ["a.TXT", "a.txt", "a", "a.jmrui"])
@pytest.mark.parametrize(
    ("edit", "encoding"),
    [
        (lambda one: one, "utf-8"),
        (lambda one: "\ufeff" + one, "utf-8"),
        (lambda one: one.replace("NameOfPatient:", "NameOfPatient: Jürgen Groß"), "latin-1"),
        (lambda one: one.replace("\n", "\r\n"), "utf-8"),
        (lambda one: one.replace(".", ","), "utf-8"),
    ],
)
def test_two_signals_are_transients_whatever_the_ending_and_the_letters(
    signals, tmp_path, name, edit, encoding
):
    found = read(write(tmp_path / name, edit(text(signals)), encoding), None)
    np.testing.assert_allclose(found.fids.data[:, 0], signals, atol=1e-5)
    assert found.fids.dwell_s == pytest.approx(5e-4)
    assert found.fids.frequency_mhz == pytest.approx(127.7)
    assert not found.notes


def test_two_columns_and_no_blank_entries_are_read_too(signals, tmp_path):
    content = text(signals, columns=2, NameOfPatient=None, MagneticField=None, BeginTime=None)
    found = read(write(tmp_path / "a.txt", content), None).fids
    np.testing.assert_allclose(found.data[:, 0], signals, atol=1e-5)


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda one: one[: len(one) // 2], "truncated"),
        (lambda one: one[: len(one) * 3 // 4], "truncated"),
        (lambda one: one.replace("Signal 2 out of 2 in file", ""), "truncated"),
        (lambda one: one.replace("PointsInDataset", "Points"), "lacks a number for PointsInData"),
        (lambda one: one.replace("1.277E8", "many"), "lacks a number for TransmitterFrequency"),
        (lambda one: one.replace("5E-1", "0"), "sampling interval 0 ms"),
        (lambda one: one.replace("jMRUI Data", "My data"), "no jMRUI text"),
    ],
)
def test_what_is_cut_or_lacks_a_number_is_refused_by_its_cause(signals, tmp_path, edit, words):
    with pytest.raises(DataError, match=rf"a\.txt.*{words}"):
        read(write(tmp_path / "a.txt", edit(text(signals))), None)


def test_water_among_the_signals_is_told_apart(signals, tmp_path):
    signals[1] *= 100
    found = read(write(tmp_path / "a.txt", text(signals)), None).fids
    assert water_rows(found, "", True).tolist() == [False, True]


def test_cut_first_points_are_told(signals, tmp_path):
    found = read(write(tmp_path / "a.txt", text(signals, BeginTime="1.5E0")), None)
    assert "begin 1.5 ms after the echo" in found.notes[0]


@pytest.mark.parametrize(("trailer", "frames"), [(b"", 0), ("Jürgen".encode("latin-1"), 2)])
def test_binary_files_hold_the_same(signals, tmp_path, trailer, frames):
    header = np.zeros(64)
    header[[1, 2, 5, 6, 13]] = (128, 0.5, 1.277e8, 3, frames)
    content = header.astype(">f8").tobytes() + signals.astype(">c16").tobytes() + trailer
    (tmp_path / "a.MRUI").write_bytes(content)
    found = read(tmp_path / "a.MRUI", None).fids
    np.testing.assert_array_equal(found.data[:, 0], signals)
    assert (found.dwell_s, found.nucleus) == (pytest.approx(5e-4), "1H")
    (tmp_path / "cut.mrui").write_bytes(content[:1000])
    with pytest.raises(DataError, match=r"cut\.mrui.*truncated"):
        read(tmp_path / "cut.mrui", None)
