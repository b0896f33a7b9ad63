"""One run of many scans, some of whose inputs are bad: each fails alone, with its reason.

Of root, whom no permission stops, the run lacks the two capabilities that overrule permissions
(capabilities(7)), so that these hold for it as for every user.
"""

from __future__ import annotations

import ctypes
import gzip
import os
import shutil
import struct
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import nibabel as nib
import numpy as np
from chain_tools import command, environment, write_config
from counts import Counts, Fault

from fmrsflow.cli import main as fmrsflow
from fmrsflow.tables import read_table, write_table

CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH = 1, 2

PR_CAPBSET_DROP = 24

N_SCANS = 12

PLAN = """
name: bad
description: One site, short scans, for bad inputs
seed: 9
responses:
  Glu: {percent: 4.0}
design: {kind: blocks, task: visual, rest_s: 8, task_s: 8}
participants: {per_site: 12, spacing_mm: 5.0}
sites:
  - {name: alpha, vendor: Philips, field_t: 3.0, sequence: PRESS, te_s: 0.030, tr_s: 2.0,
     transients: 8, points: 512, snr_tcr: {mean: 30, sd: 1}, file_format: sdat,
     reference_format: sdat}
"""

DEEP = 5000
"""Levels, where Python takes a thousand."""


def _unreadable(data: Path, row: dict) -> dict:
    os.chmod(data / row["mrs"], 0)
    return {}


def _unreadable_folder(data: Path, row: dict) -> dict:
    folder = data / "alpha" / "closed"
    folder.mkdir()
    (folder / "1.dcm").write_bytes(b"x" * 200)
    os.chmod(folder, 0)
    return {"mrs": "alpha/closed"}


def _pipe(data: Path, row: dict) -> dict:
    os.mkfifo(data / "alpha" / "pipe.SDAT")
    return {"mrs": "alpha/pipe.SDAT"}


def _deep_header(data: Path, row: dict) -> dict:
    image = nib.Nifti2Image(np.ones((1, 1, 1, 512, 8), np.complex64), np.eye(4))
    image.header["intent_name"] = b"mrs_v0_9"
    text = '{"a":' * DEEP + "1" + "}" * DEEP
    image.header.extensions.append(nib.nifti1.Nifti1Extension(44, text.encode()))
    nib.save(image, data / "alpha" / "deep.nii.gz")
    return {"mrs": "alpha/deep.nii.gz"}


def deep_dicom() -> bytes:
    """A DICOM file of spectroscopy with sequences in each other (PS3.5, 7.5)."""

    def element(group: int, number: int, kind: bytes, value: bytes) -> bytes:
        value += b"\0" * (len(value) % 2)
        return struct.pack("<HH2sH", group, number, kind, len(value)) + value

    uid = b"1.2.840.10008.5.1.4.1.1.4.2"
    head = element(2, 2, b"UI", uid) + element(2, 0x10, b"UI", b"1.2.840.10008.1.2.1")
    head = element(2, 0, b"UL", struct.pack("<I", len(head))) + head
    start = struct.pack("<HH2sHI", 0x18, 0x9126, b"SQ", 0, 0xFFFFFFFF)
    start += struct.pack("<HHI", 0xFFFE, 0xE000, 0xFFFFFFFF)
    end = struct.pack("<HHI", 0xFFFE, 0xE00D, 0) + struct.pack("<HHI", 0xFFFE, 0xE0DD, 0)
    body = element(8, 0x16, b"UI", uid) + start * DEEP + end * DEEP
    return bytes(128) + b"DICM" + head + body


def _deep_dicom(data: Path, row: dict) -> dict:
    (data / "alpha" / "deep.dcm").write_bytes(deep_dicom())
    return {"mrs": "alpha/deep.dcm"}


def _claiming_t1w(data: Path, row: dict) -> dict:
    """3 MB of values under a header of 6 GB."""
    header = nib.Nifti1Header()
    header.set_data_shape((640, 640, 640, 6))
    header.set_data_dtype(np.float32)
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    noise = np.random.default_rng(1).bytes(3 << 20)
    with gzip.open(data / "alpha" / "claims_T1w.nii.gz", "wb", 1) as file:
        file.write(header.binaryblock + bytes(4) + noise)
    return _own_t1w("alpha/claims_T1w.nii.gz")


def _bomb_t1w(data: Path, row: dict) -> dict:
    """400 MB of zeros in 400 kB."""
    header = nib.Nifti1Header()
    header.set_data_shape((640, 640, 1000))
    header.set_data_dtype(np.uint8)
    header.set_sform(np.eye(4), 1)
    header["magic"], header["vox_offset"] = b"n+1", 352
    with gzip.open(data / "alpha" / "bomb_T1w.nii.gz", "wb", 6) as file:
        file.write(header.binaryblock + bytes(4))
        for _ in range(400):
            file.write(bytes(1 << 20))
    return _own_t1w("alpha/bomb_T1w.nii.gz")


def _own_t1w(name: str) -> dict:
    return {"t1w": name, "gm": "", "wm": "", "csf": ""}


def _long_cell(data: Path, row: dict) -> dict:
    text = f"onset\tduration\ttrial_type\n8\t8\t{'x' * 131_073}\n"
    (data / "alpha" / "long_events.tsv").write_text(text)
    return {"events": "alpha/long_events.tsv"}


def _damaged_map(data: Path, row: dict) -> dict:
    content = bytearray((data / row["gm"]).read_bytes())
    place = len(content) // 2
    content[place : place + 34] = np.random.default_rng(2).bytes(34)
    (data / "alpha" / "damaged_GM.nii.gz").write_bytes(content)
    return {"gm": "alpha/damaged_GM.nii.gz"}


KINDS: dict[str, tuple[Callable[[Path, dict], dict], str, str]] = {
    "a file that must not be read": (_unreadable, "convert", "cannot be read now"),
    "a folder that must not be read": (_unreadable_folder, "convert", "cannot be read now"),
    "a pipe": (_pipe, "convert", "neither a file nor a folder"),
    "a header 5,000 levels deep": (_deep_header, "convert", "damaged NIfTI-MRS"),
    "a DICOM file 5,000 levels deep": (_deep_dicom, "convert", "no readable DICOM"),
    "a T1w of 3 MB that claims 6 GB": (_claiming_t1w, "anatomy", "its header claims"),
    "a T1w of 400 kB that unpacks to 400 MB": (_bomb_t1w, "anatomy", "hold no measured image"),
    "a cell of 131,073 letters": (_long_cell, "preprocess", "holds a cell of more than"),
    "a damaged tissue map": (_damaged_map, "anatomy", "or is damaged"),
}
"""Kind of bad input -> what makes it and the changed cells of the row, the stage that fails, words
of its reason."""


LOST = ("failed", "fault", "excluded")
"""Kinds of problems that take a scan out."""


def as_a_user(folder: Path, arguments: list[str]) -> subprocess.CompletedProcess:
    """Run a command in a folder as one whom permissions stop."""
    return subprocess.run(
        arguments,
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=1200,
        preexec_fn=without_privilege,
    )


def without_privilege() -> None:
    """Give up what overrules permissions; holds from the next program on."""
    if os.geteuid() == 0:
        call = ctypes.CDLL(None, use_errno=True).prctl
        for capability in (CAP_DAC_OVERRIDE, CAP_DAC_READ_SEARCH):
            if call(PR_CAPBSET_DROP, capability, 0, 0, 0):
                raise OSError(ctypes.get_errno(), "prctl")


def bad_study(folder: Path) -> dict[str, str]:
    """A study of `N_SCANS` scans, one of each of `KINDS`; kind -> key of its scan."""
    folder.mkdir()
    (folder / "plan.yaml").write_text(PLAN)
    data = folder / "data"
    assert fmrsflow(["demo", "--preset", str(folder / "plan.yaml"), str(data)]) == 0
    sheet = data / "config" / "scans.tsv"
    rows, keys = read_table(sheet), {}
    for row in rows:
        for tissue in ("gm", "wm", "csf"):
            (path,) = (data / "truth").rglob(f"sub-{row['subject']}_*{tissue.upper()}*.nii.gz")
            row[tissue] = str(path.relative_to(data))
    assert len(rows) == N_SCANS
    # Not side by side, so that each batch has good scans.
    for number, (kind, (make, _, _)) in enumerate(KINDS.items()):
        row = rows[number]
        row |= make(data, row)
        keys[kind] = f"alpha/sub-{row['subject']}_task-visual"
    write_table(sheet, rows)
    write_config(folder, batch=4)
    return keys


def bad_inputs(work: Path) -> Counts:
    """The run, and what came of each bad input and of the good scans.

    Returns
    -------
    Counts
        Outcomes: `failed alone, with its reason`, `all in the report`; else what is wrong.
    """
    return Counts.of(_bad_inputs(Path(work)))


def _bad_inputs(work: Path) -> Iterator[Fault]:
    folder = work / "bad"
    keys = bad_study(folder)
    done = as_a_user(folder, command(folder, "--cores", "2"))
    problems, pages = _outcome(folder)
    for kind, key in keys.items():
        _, stage, words = KINDS[kind]
        told = [one for one in problems if one["item"] == key and one["kind"] in LOST]
        if key not in pages:
            yield Fault(kind, "no page", False, done.stderr[-800:])
            continue
        good = len(told) == 1 and told[0]["kind"] == "failed" and words in told[0]["text"]
        good = good and told[0]["stage"] == stage
        outcome = "failed alone, with its reason" if good else "not told"
        yield Fault(kind, outcome, good, "; ".join(one["text"] for one in told) or "no word")
    others = [f"alpha/{path}" for path in _stems(folder) if f"alpha/{path}" not in keys.values()]
    lost = [key for key in others if key not in pages]
    lost += [one["item"] for one in problems if one["item"] in others and one["kind"] in LOST]
    good = not lost and len(others) == N_SCANS - len(KINDS)
    whole = good and (folder / "results" / "main" / "report" / "index.html").exists()
    outcome = "all in the report" if whole and done.returncode == 0 else "good scans lost"
    note = f"{len(others)} good scans; {lost}; {'' if whole else done.stderr[-800:]}"
    yield Fault("the other scans", outcome, outcome == "all in the report", note)
    shutil.rmtree(folder, ignore_errors=True)


def _stems(folder: Path) -> list[str]:
    rows = read_table(folder / "data" / "config" / "scans.tsv")
    return [f"sub-{row['subject']}_task-visual" for row in rows]


def _outcome(folder: Path) -> tuple[list[dict], set[str]]:
    """Rows of problems.tsv, and keys of the scans that have a page."""
    main = folder / "results" / "main"
    table = main / "sites" / "problems.tsv"
    pages = (main / "report" / "scans").rglob("*.html")
    return (
        read_table(table) if table.exists() else [],
        {f"{path.parent.name}/{path.stem}" for path in pages},
    )
