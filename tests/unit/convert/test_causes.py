"""Causes of refusals: from a converter's own words, without anything of a header."""

from __future__ import annotations

import struct

import pytest

from fmrsflow.convert.causes import cause, last_line, refusal
from fmrsflow.convert.reader import read
from fmrsflow.errors import DataError

TRACEBACK = """Single file conversion.
Traceback (most recent call last):
  File "x.py", line 3, in convert
    value = header['PatientName: Doe^Jane']
            ^^^^^^^^^^^^^^
{}
"""


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ("KeyError: 'TM'", "its header lacks TM"),
        ("KeyError: 'SoftwareVersion[0]'", "its header lacks SoftwareVersion[0]"),
        ("KeyError: 'image'", "it holds no measured signal"),
        ("AttributeError: 'FileDataset' object has no attribute 'ProtocolName'", "ProtocolName"),
        ("UnicodeDecodeError: 'utf-8' codec can't decode byte 0xfc", "encoding"),
        ("spec2nii.GE.ge_pfile.Unsupported: Unrecognised sequence doe_jane.", "pulse sequence"),
        ("ValueError: cannot reshape array of size 7 into shape (2,4)", "truncated"),
        ("IndexError: list index out of range", "ends before"),
        ("MemoryError: Unable to allocate 9 TiB", "more memory"),
        ("Error: MRS: DICOM 0 has FID size 5000, expected 8192", "number of samples"),
        ("KeyError: 'Doe^Jane 1980-01-01'", "truncated, damaged, or of a release"),
        ("SomethingNew: Doe^Jane", "truncated, damaged, or of a release"),
        ("", "truncated, damaged, or of a release"),
    ],
)
def test_a_cause_in_clean_words(said, words):
    found = cause(TRACEBACK.format(said), "spec2nii")
    assert words in found
    assert "jane" not in found.lower() and "{" not in found
    assert refusal("a.dat", "twix", said, "spec2nii").startswith("a.dat: spec2nii cannot read it")


def test_the_line_that_tells_of_the_error_is_the_one_for_the_log():
    assert last_line(TRACEBACK.format("KeyError: 'TM'")) == "KeyError: 'TM'"
    said = "dcm2niix v1\nError: MRS: short read\nConversion required 0.1 seconds\n"
    assert last_line(said) == "Error: MRS: short read"
    assert last_line("") == "nothing"


@pytest.mark.parametrize(
    ("start", "words"),
    [
        (struct.pack("<f", 9.0), "revision 9, and spec2nii reads 14 to 31"),
        (struct.pack(">f", 8.0), "revision 8, and spec2nii reads 14 to 31"),
        (b"GIF8", "no GE P-file"),
        (b"", "is empty"),
        (b"ab", "no GE P-file"),
    ],
)
def test_a_p_file_is_refused_by_its_revision(tmp_path, start, words):
    (tmp_path / "P1.7").write_bytes(start + bytes(200 if len(start) == 4 else 0))
    with pytest.raises(DataError, match=rf"P1\.7.*{words}"):
        read(tmp_path / "P1.7", None)


def test_the_last_line_goes_to_the_log_and_the_cause_to_the_record(tmp_path, capsys):
    (tmp_path / "scan.dat").write_bytes(bytes(4000))
    with pytest.raises(
        DataError, match="cannot read it as Siemens twix: it ends before what"
    ) as refused:
        read(tmp_path / "scan.dat", None)
    assert "IndexError" not in str(refused.value)
    assert "spec2nii ended with: IndexError" in capsys.readouterr().err
