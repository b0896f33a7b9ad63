"""Siemens twix files (.dat) of FIDs, of VB and VD lines, made after what mapVBVD reads of them.

No public description of the format is complete: what that reader does not look at is zero.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from fmrsflow.fids import Fids

MDH_BYTES = {"VB": 128, "VD": 192}
"""Header of a readout: of each channel in VB, of all channels in VD, which has others of 32."""

ACQEND = 1
"""First bit of the evaluation mask: the measurement ends here."""

RAID_BYTES = 10240
"""Header of a VD file before its first measurement."""


@dataclass(frozen=True)
class Written:
    """How a twix file is written.

    Attributes
    ----------
    line : str
        VB or VD.
    sequence, file : str
        Name of the sequence and of its binary.
    gain : int
        High (1) or low (0) gain of the receiver.
    counter : str
        Loop that counts the transients: Ave, Rep or Set.
    person : dict or None
        Of `written.PERSON`.
    """

    line: str = "VD"
    sequence: str = "svs_se"
    file: str = "%SiemensSeq%\\svs_se"
    gain: int = 1
    counter: str = "Ave"
    person: dict | None = None


_LOOPS = ("Lin", "Ave", "Sli", "Par", "Eco", "Phs", "Rep", "Set", "Seg")


def twix_file(fids: Fids, how: Written = Written()) -> bytes:
    """Bytes of a twix file of FIDs with all their coils."""
    made = measurement(fids, how)
    return made + bytes(-len(made) % 512) if how.line == "VB" else raid(made)


def raid(*measurements: bytes) -> bytes:
    """Bytes of a VD file of several measurements, of which the last is the scan."""
    first, place = struct.pack("<II", 0, len(measurements)), RAID_BYTES
    for number, one in enumerate(measurements, start=1):
        first += struct.pack("<IIQQ", number, number, place, len(one)) + bytes(128)
        place += len(one)
    return first + bytes(RAID_BYTES - len(first)) + b"".join(measurements)


def adjusted(fids: Fids, before: int, how: Written = Written()) -> bytes:
    """Bytes of a VD file with adjustments before the scan: of half the signal, and low gain."""
    other = measurement(fids.with_data(0.5 * fids.data), replace(how, gain=0))
    return raid(*[other] * before, measurement(fids, how))


def measurement(fids: Fids, how: Written) -> bytes:
    """One measurement with its end."""
    header = _header(fids, how)
    # The converter conjugates what it reads, and so does NIfTI-MRS of ours.
    samples = np.ascontiguousarray(fids.data, np.complex64)
    scans = b"".join(_readout(one, number, how) for number, one in enumerate(samples))
    made = header + scans + _mdh(how, ACQEND, 0, 0, 0)
    return made if how.line == "VB" else made + bytes(-len(made) % 512)


def write_twix(fids: Fids, path: Path, how: Written = Written()) -> None:
    """Write `twix_file` to a path."""
    path.write_bytes(twix_file(fids, how))


def _readout(coils: np.ndarray, number: int, how: Written) -> bytes:
    """One transient: a header, then each channel with one of its own."""
    head = _mdh(how, 0, number, coils.shape[1], coils.shape[0])
    if how.line == "VB":
        return b"".join(head + one.tobytes() for one in coils)
    return head + b"".join(bytes(32) + one.tobytes() for one in coils)


def _mdh(how: Written, mask: int, number: int, points: int, channels: int) -> bytes:
    size, late = MDH_BYTES[how.line], 20 if how.line == "VD" else 0
    made = bytearray(size)
    # A length of zero ends the file too; any other is what readers jump over.
    struct.pack_into("<I", made, 0, size + channels * (8 * points + 32))
    struct.pack_into("<II", made, 4, 1, number + 1)
    struct.pack_into("<IIHH", made, 20 + late, mask, 0, points, channels)
    loops = [number if one == how.counter else 0 for one in _LOOPS]
    struct.pack_into(f"<{len(loops)}H", made, 32 + late, *loops)
    return bytes(made)


def _header(fids: Fids, how: Written) -> bytes:
    """The protocol in its buffers."""
    person = how.person or {}
    software = "syngo MR E11" if how.line == "VD" else "syngo MR B17"
    meas = {
        "Frequency": f"{1e6 * fids.frequency_mhz:.0f}",
        "ResonantNucleus": '"1H"',
        "TR": f"{1e6 * fids.tr_s:.0f}",
        "FlipAngle": "90.0",
        "tSequenceString": f'"{how.sequence}"',
        "tSequenceFileName": f'"{how.file}"',
        "PatientPosition": '"HFS"',
        "PatientName": f'"{person.get("name", "")}"',
        "flUsedPatientWeight": "70.0",
        "PatientBirthDay": f'"{person.get("born", "")}"',
        "PatientSex": "2",
        "tICEProgramName": '"%SiemensIceProgs%\\IceProgramSpec"',
        "lFinalMatrixSizePhase": "1",
        "lFinalMatrixSizeRead": "1",
        "lFinalMatrixSizeSlice": "1",
    }
    dicom = {
        "Manufacturer": '"SIEMENS"',
        "ManufacturersModelName": '"synthetic"',
        "DeviceSerialNumber": '"0"',
        "SoftwareVersions": f'"{software}"',
        "InstitutionName": f'"{person.get("comment", "")}"',
        "InstitutionAddress": f'"{person.get("id", "")}"',
        "tProtocolName": f'"{person.get("name", "scan")}"',
    }
    protocol = _protocol(fids, how)
    buffers = {
        "Config": _xprotocol({"SequenceFileName": f'"{how.file}"'}),
        "Dicom": _xprotocol(dicom),
        "Meas": _xprotocol(meas),
        "MeasYaps": protocol,
        "Phoenix": protocol,
    }
    made = struct.pack("<I", len(buffers))
    for name, text in buffers.items():
        content = text.encode("latin-1", "replace")
        made += name.encode() + b"\0" + struct.pack("<I", len(content)) + content
    # In VB the first number is taken for that of VD's file where it is small.
    length = max(-(-(len(made) + 4) // 32) * 32, 10016)
    return struct.pack("<I", length) + made + bytes(length - 4 - len(made))


def _xprotocol(values: dict[str, str]) -> str:
    kinds = {name: "String" if one.startswith('"') else "Double" for name, one in values.items()}
    return "".join(f'<Param{kinds[name]}."{name}"> {{ {one} }}\n' for name, one in values.items())


def _protocol(fids: Fids, how: Written) -> str:
    size = np.sqrt((fids.affine[:3, :3] ** 2).sum(axis=0))
    normal, row = (fids.affine[:3, n] / size[n] * (-1, -1, 1) for n in (2, 0))
    centre = fids.affine[:3, 3] * (-1, -1, 1)
    values = {
        "alTE[0]": f"{1e6 * fids.te_s:.0f}",
        "sRXSPEC.alDwellTime[0]": f"{1e9 * fids.dwell_s:.0f}",
        "sRXSPEC.bGainValid": "1",
        "sSpecPara.sVoI.dThickness": size[2],
        "sSpecPara.sVoI.dPhaseFOV": size[1],
        "sSpecPara.sVoI.dReadoutFOV": size[0],
        "sSpecPara.sVoI.dInPlaneRot": _rotation(normal, row),
    }
    if how.gain:  # what is 0 is left out
        values["sRXSPEC.lGain"] = how.gain
    for name, place in (("sNormal", normal), ("sPosition", centre)):
        values |= {f"sSpecPara.sVoI.{name}.d{axis}": one for axis, one in zip(_AXES, place)}
    lines = "".join(f"{name} = {value}\n" for name, value in values.items())
    return f"### ASCCONV BEGIN ###\n{lines}### ASCCONV END ###\n"


_AXES = ("Sag", "Cor", "Tra")


def _rotation(normal: np.ndarray, row: np.ndarray) -> float:
    """Angle (rad) in its plane of the axes that the converter makes of a normal without one."""
    from spec2nii.GSL.gslfunctions import calc_prs

    phase, readout = calc_prs(normal, 0.0, False)
    return float(np.arctan2(row @ phase, row @ readout))
