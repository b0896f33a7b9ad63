"""Scans as files of every format that can be written here, with a person in each header.

SDAT/SPAR, RDA, NIfTI-MRS and DICOM by the synthetic scanner's writers; text of jMRUI and LCModel
after the manuals of these programs. What a header holds of a person must reach no output.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import nibabel as nib
import numpy as np
import p_files
import twix_files

from fmrsflow.fids import Fids, to_nifti
from fmrsflow.synthetic import writers

PERSON = {
    "name": "Zwetschkenbaum^Erika",
    "born": "19701231",
    "id": "PAT4711",
    "comment": "fiel beim Einsteigen um",
}
"""Name, birth date, number and remark in every header; none of it may come along."""


@dataclass(frozen=True)
class Format:
    """A format of files.

    Attributes
    ----------
    suffix : str
        Ending of the name; "" for a folder.
    write : callable
        Writes FIDs to a path.
    vendor : str
        Whose scanners write it; Siemens where any may.
    single : bool
        Whether a file holds one FID: the scan is its average then.
    own : bool
        Whether the water reference is in the scan's file: it is written with it.
    """

    suffix: str
    write: Callable[..., None]
    vendor: str = "Siemens"
    single: bool = False
    own: bool = False


def nifti_image(fids: Fids, **fields):
    """NIfTI-MRS of FIDs with a person in its header; a field of None is left out."""
    person = {
        "PatientName": PERSON["name"],
        "PatientDoB": PERSON["born"],
        "PatientID": PERSON["id"],
        "SeriesDescription": f"{PERSON['name']} {PERSON['comment']}",
        "OriginalFile": [f"/home/{PERSON['id']}/scan.dat"],
        "Manufacturer": "Siemens",
    }
    return to_nifti(fids, **(person | fields))


def _nifti(fids: Fids, path: Path) -> None:
    nib.save(nifti_image(fids), path)


def _sdat(fids: Fids, path: Path) -> None:
    writers.write_sdat(fids, path)
    spar = path.with_suffix(".SPAR")
    text = spar.read_text()
    for key, value in (
        ("examination_name", PERSON["name"]),
        ("patient_name", PERSON["name"]),
        ("patient_birth_date", PERSON["born"]),
    ):
        lines = text.splitlines()
        lines = [f"{key} : {value}" if line.startswith(f"{key} :") else line for line in lines]
        text = "\n".join(lines) + "\n"
    spar.write_text(f"! {PERSON['comment']}\n{text}")


def _rda(fids: Fids, path: Path) -> None:
    writers.write_rda(fids, path)
    header, end, samples = path.read_bytes().partition(b">>> End of header <<<")
    text = header.decode()
    if fids.told.averages:
        text = re.sub("NumberOfAverages: .*", f"NumberOfAverages: {fids.told.averages:f}\r", text)
    for key, value in (("Name", "name"), ("ID", "id"), ("BirthDate", "born")):
        old = next(line for line in text.splitlines() if line.startswith(f"Patient{key}:"))
        text = text.replace(old, f"Patient{key}: {PERSON[value]}")
    text = text.replace("StudyDescription", "") + f"StudyDescription: {PERSON['comment']}\r\n"
    path.write_bytes(text.encode() + end + samples)


def _dicom(fids: Fids, path: Path) -> None:
    import pydicom

    path.mkdir()
    for file in writers.write_dicom(fids, path):
        header = pydicom.dcmread(file)
        header.PatientName, header.PatientBirthDate = PERSON["name"], PERSON["born"]
        header.PatientID, header.ImageComments = PERSON["id"], PERSON["comment"]
        header.save_as(file)


def jmrui_text(fids: Fids, **entries: str | None) -> str:
    """Text as jMRUI exports it: a header, then each signal and its spectrum in four columns.

    An entry of None is left out.
    """
    header = {
        "PointsInDataset": str(fids.n_points),
        "DatasetsInFile": str(fids.n_transients),
        "SamplingInterval": f"{1e3 * fids.dwell_s:.6E}",
        "ZeroOrderPhase": "0E0",
        "BeginTime": "0E0",
        "TransmitterFrequency": f"{1e6 * fids.frequency_mhz:.8E}",
        "MagneticField": "3E0",
        "TypeOfNucleus": "0E0",
        "NameOfPatient": PERSON["name"],
        "DateOfExperiment": PERSON["born"],
        "Spectrometer": "synthetic",
        "AdditionalInfo": PERSON["comment"],
        "SignalNames": "scan",
    } | entries
    lines = ["jMRUI Data Textfile", "", "Filename: scan.txt", ""]
    lines += [f"{key}: {value}" for key, value in header.items() if value is not None]
    lines += ["", "", "Signal and FFT", "sig(real)\tsig(imag)\tfft(real)\tfft(imag)"]
    for number, signal in enumerate(fids.transients, start=1):
        lines.append(f"Signal {number} out of {fids.n_transients} in file")
        spectrum = np.fft.fft(signal)
        lines += [
            f"{a.real:.8E}\t{a.imag:.8E}\t{b.real:.4E}\t{b.imag:.4E}"
            for a, b in zip(signal, spectrum)
        ]
    return "\n".join(lines) + "\n"


def _jmrui(fids: Fids, path: Path) -> None:
    path.write_text(jmrui_text(fids))


def _mrui(fids: Fids, path: Path) -> None:
    """jMRUI's binary: 64 numbers, then the signals, all big-endian float64."""
    head = np.zeros(64)
    head[1], head[2] = fids.n_points, 1e3 * fids.dwell_s
    head[5], head[6] = 1e6 * fids.frequency_mhz, 3.0
    head[13] = fids.n_transients
    samples = np.ascontiguousarray(fids.transients, ">c16").tobytes()
    path.write_bytes(head.astype(">f8").tobytes() + samples + PERSON["name"].encode())


def raw_text(fids: Fids) -> str:
    """Text for LCModel, of the average; the sign is that of NIfTI-MRS."""
    fid = np.conj(fids.transients.mean(axis=0))
    header = [
        " $SEQPAR",
        f" HZPPPM={fids.frequency_mhz:.6E}",
        f" ECHOT={1e3 * (fids.te_s or 0):.2f}",
        " SEQ='PRESS'",
        " $END",
        " $NMID",
        f" ID='{PERSON['name']} {PERSON['born']}'",
        " FMTDAT='(2E16.8)'",
        " VOLUME=1.0",
        " TRAMP=1.0",
        " $END",
    ]
    return "\n".join(header + [f"{z.real:16.8E}{z.imag:16.8E}" for z in fid]) + "\n"


def _raw(fids: Fids, path: Path) -> None:
    path.write_text(raw_text(fids))


def _twix(fids: Fids, path: Path) -> None:
    twix_files.write_twix(fids, path, twix_files.Written(person=PERSON))


def _p_file(fids: Fids, path: Path, water: Fids) -> None:
    p_files.write_p_file(fids, path, water, p_files.Written(person=PERSON))


FORMATS = {
    "nifti": Format(".nii.gz", _nifti),
    "nii": Format(".nii", _nifti),
    "sdat": Format(".SDAT", _sdat, vendor="Philips"),
    "dicom": Format("", _dicom),
    "jmrui": Format(".txt", _jmrui),
    "mrui": Format(".mrui", _mrui),
    "rda": Format(".rda", _rda, single=True),
    "raw": Format(".RAW", _raw, single=True),
    "twix": Format(".dat", _twix),
    "pfile": Format(".7", _p_file, vendor="GE", own=True),
}


def averaged(fids: Fids) -> Fids:
    """The plain mean of all transients as one; formats with a count of them say how many."""
    data = fids.data.mean(axis=0, keepdims=True, dtype=complex)
    return replace(fids, data=data, told=replace(fids.told, averages=float(fids.n_transients)))
