"""Oddities of NIfTI-MRS and DICOM: header fields, dimensions, affines, tags, names of files."""

from __future__ import annotations

import gzip
import json
import shutil
import struct
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import nibabel as nib
import numpy as np
from given import Given
from signals import Oddity


def fields(reference: bool = True, **values) -> Callable[[Given], None]:
    """Fields of the header; None leaves one out."""

    def change(given: Given) -> None:
        given.fields |= values
        if reference:
            given.reference_fields |= values

    return change


def shaped(function) -> Callable[[Given], None]:
    """A change of the image of scan and reference before it is written."""
    return lambda given: setattr(given, "shape", function)


def unpromised(change: Callable[[Given], None]) -> Callable[[Given], None]:
    """A change where the sheet promises no spectral width, so that the file's is believed."""

    def both(given: Given) -> None:
        given.site["spectral_width_hz"] = None
        change(given)

    return both


def _header(function) -> Callable[[Given], None]:
    """A change of the extension's fields, taken out or put in."""

    def shape(image):
        extension = image.header.extensions[0]
        content = function(json.loads(extension.get_content()))
        image.header.extensions.clear()
        text = content if isinstance(content, bytes) else json.dumps(content).encode()
        image.header.extensions.append(nib.nifti1.Nifti1Extension(44, text))
        return image

    return shaped(shape)


def lacking(*names: str) -> Callable[[Given], None]:
    """Fields taken out."""
    return _header(lambda header: {k: v for k, v in header.items() if k not in names})


def put(**values) -> Callable[[Given], None]:
    """Fields put in, whatever their type."""
    return _header(lambda header: header | values)


def _pixdim(dwell: float, units: str = "sec") -> Callable[[Given], None]:
    def shape(image):
        image.header["pixdim"][4] = dwell
        image.header.set_xyzt_units("mm", units)
        return image

    return unpromised(shaped(shape))


def _codes(qform: int, sform: int) -> Callable[[Given], None]:
    """Codes of both forms in the written files: a program that saves an image sets them itself."""

    def change(content: bytes) -> bytes:
        plain = bytearray(gzip.decompress(content))
        plain[344:352] = struct.pack("<ii", qform, sform)  # of a NIfTI-2 header
        return gzip.compress(bytes(plain), 1, mtime=0)

    def edit(given: Given) -> None:
        given.edit("mrs", change)
        given.edit("ref", change)

    return edit


def remade(function, cls=nib.Nifti2Image) -> Callable[[Given], None]:
    """The image made again of other data: function of samples and header fields."""

    def shape(image):
        content = json.loads(image.header.extensions[0].get_content())
        data, content = function(np.asarray(image.dataobj), content)
        made = cls(data, image.affine)
        made.header.set_xyzt_units("mm", "sec")
        made.header["pixdim"][4] = image.header["pixdim"][4]
        made.header["intent_name"] = b"mrs_v0_11"
        text = json.dumps(content).encode()
        made.header.extensions.append(nib.nifti1.Nifti1Extension(44, text))
        return made

    return shaped(shape)


def _two_dims(data, header):
    if data.shape[-1] == 1:
        return data, header
    n = data.shape[-1]
    header = header | {"dim_5": "DIM_DYN", "dim_6": "DIM_DYN"}
    return data.reshape(*data.shape[:4], 4, n // 4), header


def _dim_6(data, header):
    header = header | {"dim_5": "DIM_COIL", "dim_6": "DIM_DYN"}
    return data[:, :, :, :, None, :], header


def _dim_7(data, header):
    header = header | {"dim_5": "DIM_DYN", "dim_6": "DIM_COIL"}
    return data[..., None], header


def _user_dim(data, header):
    return data, header | {"dim_5": "DIM_USER_0"}


def _affine(function) -> Callable[[Given], None]:
    def change(given: Given) -> None:
        given.fids = replace(given.fids, affine=function(np.array(given.fids.affine)))
        given.reference = replace(
            given.reference, affine=function(np.array(given.reference.affine))
        )

    return change


def _reference_affine(function) -> Callable[[Given], None]:
    def change(given: Given) -> None:
        given.reference = replace(
            given.reference, affine=function(np.array(given.reference.affine))
        )

    return change


def _flipped(affine):
    return affine @ np.diag([-1, 1, 1, 1.0])


def _swapped_axes(affine):
    return affine[:, [1, 0, 2, 3]]


def _moved(mm: float):
    def move(affine):
        affine[2, 3] += mm
        return affine

    return move


def _sheared(affine):
    affine[0, 1] += 12.0
    return affine


def _scaled(factor: float):
    return lambda affine: np.diag([factor, factor, factor, 1.0]) @ affine


def _bytes(function) -> Callable[[Given], None]:
    return lambda given: given.edit("mrs", function)


def _no_gzip(content: bytes) -> bytes:
    return gzip.decompress(content)


def _gzip_as_nii(given: Given) -> None:
    given.format = "nii"
    given.name_files()
    given.edit("mrs", gzip.compress)


def _ending_in_capitals(given: Given) -> None:
    def rename(data: Path) -> None:
        path = data / given.row["mrs"]
        path.rename(path.with_name(path.name.replace(".nii.gz", ".NII.GZ")))

    given.edits.append(rename)
    given.edits.append(
        lambda data: given.row.update(mrs=given.row["mrs"].replace(".nii.gz", ".NII.GZ"))
    )


TYPES: dict[str, tuple[Callable, bool]] = {
    "EchoTime as text": (put(EchoTime="0.03"), True),
    "EchoTime as '30 ms'": (put(EchoTime="30 ms"), True),
    "EchoTime as '30ms'": (put(EchoTime="30ms"), True),
    "EchoTime in a list": (put(EchoTime=[0.03]), True),
    "EchoTime in ms": (put(EchoTime=30), True),
    "EchoTime in us": (put(EchoTime=30000), True),
    "EchoTime blank": (put(EchoTime=""), True),
    "EchoTime null": (put(EchoTime=None), True),
    "EchoTime absent": (lacking("EchoTime"), True),
    "EchoTime NaN": (put(EchoTime=float("nan")), False),
    "EchoTime in words": (put(EchoTime="short"), False),
    "EchoTime true": (put(EchoTime=True), False),
    "EchoTime with a comma": (put(EchoTime="0,03"), True),
    "EchoTime of 31.5 ms": (put(EchoTime=0.0315), False),
    "EchoTime of two": (put(EchoTime=[0.03, 0.08]), False),
    "EchoTime as an object": (put(EchoTime={"Value": 0.03, "Description": "s"}), True),
    "RepetitionTime in ms": (put(RepetitionTime=2000), True),
    "RepetitionTime as '2 s'": (put(RepetitionTime="2 s"), True),
    "RepetitionTime in a list": (put(RepetitionTime=[2.0] * 32), True),
    "RepetitionTime jittered": (put(RepetitionTime=[2.0, 2.5] * 16), False),
    "RepetitionTime absent": (lacking("RepetitionTime"), True),
    "RepetitionTime of 3 s": (put(RepetitionTime=3.0), False),
    "frequency plain": (put(SpectrometerFrequency=123.25), True),
    "frequency as text": (put(SpectrometerFrequency="123.25"), True),
    "frequency in Hz": (put(SpectrometerFrequency=[123.25e6]), True),
    "frequency absent": (lacking("SpectrometerFrequency"), False),
    "frequency 0": (put(SpectrometerFrequency=[0]), False),
    "frequency negative": (put(SpectrometerFrequency=[-123.25]), False),
    "frequency of 7 T": (put(SpectrometerFrequency=[297.2]), False),
    "frequency 2 percent off": (put(SpectrometerFrequency=[125.7]), False),
    "two frequencies": (put(SpectrometerFrequency=[123.25, 49.9]), True),
    "nucleus plain": (put(ResonantNucleus="1H"), True),
    "nucleus 1h": (put(ResonantNucleus=["1h"]), True),
    "nucleus H1": (put(ResonantNucleus=["H1"]), True),
    "nucleus 31P": (put(ResonantNucleus=["31P"]), False),
    "nucleus blank": (put(ResonantNucleus=[""]), False),
    "nucleus absent": (lacking("ResonantNucleus"), False),
    "SpectralWidth contradicts": (put(SpectralWidth=4000.0), False),
    "SpectralWidth absent": (lacking("SpectralWidth"), True),
    "SpectralWidth as text": (put(SpectralWidth="2000"), True),
    "SpecFreqChemShift as text": (put(SpecFreqChemShift="4.65"), True),
    "SpecFreqChemShift in words": (put(SpecFreqChemShift="water"), False),
    "SpecFreqChemShift of 3 ppm, untrue": (put(SpecFreqChemShift=3.0), False),
    "Manufacturer in capitals": (put(Manufacturer="SIEMENS"), True),
    "Manufacturer Healthineers": (put(Manufacturer="Siemens Healthineers"), True),
    "Manufacturer blank": (put(Manufacturer=""), True),
    "Manufacturer a list": (put(Manufacturer=["Siemens"]), True),
    "Manufacturer Philips": (put(Manufacturer="Philips Medical Systems"), False),
    "Manufacturer GE": (put(Manufacturer="GE MEDICAL SYSTEMS"), False),
    "Manufacturer United Imaging": (put(Manufacturer="UIH"), True),
    "SequenceName svs_st": (put(SequenceName="*svs_st"), False),
    "SequenceName slaser": (put(SequenceName="%CustomerSeq%\\svs_slaser_dkd"), False),
    "SequenceName svs_se": (put(SequenceName="%SiemensSeq%\\svs_se"), True),
    "SequenceName a number": (put(SequenceName=7), True),
    "ProtocolName STEAM": (put(ProtocolName="svs_steam_30"), False),
    "ProtocolName with an umlaut": (put(ProtocolName="Übersicht"), True),
    "EditPulse": (put(EditPulse={"ON": {"PulseOffset": 1.9}}), False),
    "MEGA in the name": (put(SequenceName="svs_mega_press"), False),
    "WaterSuppressed as text": (put(WaterSuppressed="yes"), True),
    "WaterSuppressed false": (put(WaterSuppressed=False), True),
    "MagneticFieldStrength of 1.5": (put(MagneticFieldStrength=1.5), True),
    "InversionTime in a list": (put(InversionTime=[0.0]), True),
    "TxOffset in words": (put(TxOffset="-2.3 ppm"), True),
    "kSpace true": (put(kSpace=[True, False, False]), False),
    "a header of a list": (_header(lambda header: [header]), False),
    "a header cut": (_header(lambda header: json.dumps(header).encode()[:60]), False),
    "a header of nothing": (_header(lambda header: {}), False),
    "a header of text": (_header(lambda header: b"TE=30"), False),
    "a header in latin-1": (
        _header(
            lambda header: json.dumps(
                header | {"ProtocolName": "Übersicht"}, ensure_ascii=False
            ).encode("latin-1")
        ),
        True,
    ),
    "a header with a mark": (
        _header(lambda header: b"\xef\xbb\xbf" + json.dumps(header).encode()),
        True,
    ),
    "a header with NUL behind": (
        _header(lambda header: json.dumps(header).encode() + bytes(24)),
        True,
    ),
}

NIFTI = [
    *(Oddity(name, change, good) for name, (change, good) in TYPES.items()),
    Oddity("fields of the scan alone inverted", fields(reference=False, InversionTime=0.6), False),
    Oddity("dwell time in ms", _pixdim(0.5, "msec"), True),
    Oddity("dwell time in us", _pixdim(500, "usec"), True),
    Oddity("dwell time in ms, said s", _pixdim(0.5), False),
    Oddity("dwell time lost (1)", _pixdim(1.0), False),
    Oddity("dwell time 0", _pixdim(0.0), False),
    Oddity("dwell time negative", _pixdim(-5e-4), False),
    Oddity("dwell time of half", _pixdim(2.5e-4), False),
    Oddity("dwell time 5 percent less", _pixdim(4.76e-4), False),
    Oddity("units unknown", _pixdim(5e-4, "unknown"), True),
    Oddity("form codes 0", _codes(0, 0), True),
    Oddity("sform alone", _codes(0, 2), True),
    Oddity("qform alone", _codes(1, 0), True),
    Oddity("series in dimension 6", remade(_dim_6), True),
    Oddity("series in dimension 5 of 6", remade(_dim_7), True),
    Oddity("two dimensions of transients", remade(_two_dims), False),
    Oddity("series without a tag", lacking("dim_5"), False),
    Oddity("tag in small letters", put(dim_5="dim_dyn"), True),
    Oddity("series as DIM_USER_0", remade(_user_dim), False),
    Oddity("series as DIM_EDIT", put(dim_5="DIM_EDIT"), False),
    Oddity("series as DIM_PHASE_CYCLE", put(dim_5="DIM_PHASE_CYCLE"), False),
    Oddity("series as coils", put(dim_5="DIM_COIL"), False),
    Oddity("series as DIM_MEAS", put(dim_5="DIM_MEAS"), False),
    Oddity(
        "double precision", remade(lambda data, header: (data.astype(np.complex128), header)), True
    ),
    Oddity(
        "real values", remade(lambda data, header: (data.real.astype(np.float32), header)), False
    ),
    Oddity("NIfTI-1", remade(lambda data, header: (data, header), nib.Nifti1Image), True),
    Oddity("no transient", remade(lambda data, header: (data[..., :0], header)), False),
    Oddity(
        "transients before points",
        remade(lambda data, header: (np.moveaxis(data, 3, -1), header)),
        False,
    ),
    Oddity(
        "no extension", shaped(lambda image: (image.header.extensions.clear(), image)[1]), False
    ),
    Oddity("two voxels", remade(lambda data, header: (np.concatenate([data] * 2), header)), False),
    Oddity("flipped affine of the reference", _reference_affine(_flipped), True),
    Oddity("axes of the reference swapped", _reference_affine(_swapped_axes), True),
    Oddity("flipped affines", _affine(_flipped), True),
    Oddity("reference 0.4 mm away", _reference_affine(_moved(0.4)), True),
    Oddity("reference 4 mm away", _reference_affine(_moved(4.0)), False),
    Oddity("voxel 300 mm away", _affine(_moved(300.0)), False),
    Oddity("voxel 15 mm away", _affine(_moved(15.0)), False),
    Oddity("voxel in m", _affine(_scaled(1e-3)), True),
    Oddity("voxel twice as large", _affine(_scaled(2.0)), False),
    Oddity("sheared voxel", _affine(_sheared), False),
    Oddity("plain under .nii.gz", _bytes(_no_gzip), True),
    Oddity("gzip under .nii", _gzip_as_nii, True),
    Oddity("gzip twice", _bytes(gzip.compress), False),
    Oddity("ending in capitals", _ending_in_capitals, True),
    Oddity("cut", _bytes(lambda content: content[: len(content) // 2]), False),
    Oddity("last bytes cut", _bytes(lambda content: content[:-9]), False),
    Oddity("empty", _bytes(lambda content: b""), False),
    Oddity("an HTML page of a login", _bytes(lambda content: b"<html>log in</html>"), False),
    Oddity(
        "a pointer of Git LFS",
        _bytes(
            lambda content: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 9\n"
        ),
        False,
    ),
    Oddity("T1w in place of the scan", lambda given: given.row.update(mrs=given.row["gm"]), False),
]


def tags(function, one: int | None = None) -> Callable[[Given], None]:
    """A change of each DICOM header (or of the file of that number) of scan and reference."""

    def edited(data: Path) -> None:
        import pydicom

        for folder in (own for own in data.rglob("*") if own.is_dir()):
            for number, file in enumerate(sorted(folder.glob("*.dcm"))):
                if one is None or number == one:
                    header = pydicom.dcmread(file)
                    function(header)
                    header.save_as(file)

    return lambda given: given.edits.append(edited)


def _without(name: str):
    def take(header) -> None:
        if name in header:
            delattr(header, name)

    return tags(take)


def _set(**values):
    def put_in(header) -> None:
        for name, value in values.items():
            setattr(header, name, value)

    return tags(put_in)


def _shared(sequence: str, **values):
    def put_in(header) -> None:
        item = getattr(header.SharedFunctionalGroupsSequence[0], sequence)[0]
        for name, value in values.items():
            if value is None:
                delattr(item, name)
            else:
                setattr(item, name, value)

    return tags(put_in)


def files(function) -> Callable[[Given], None]:
    """A change of the scan's folder."""
    return lambda given: given.edits.append(lambda data: function(data / given.row["mrs"]))


def _junk(name: str, content: bytes = b"\0\1\2"):
    return files(lambda folder: (folder / name).write_bytes(content))


def _renamed(function):
    def rename(folder: Path) -> None:
        for number, path in enumerate(sorted(folder.glob("*.dcm"))):
            path.rename(folder / function(number, path))

    return files(rename)


def _copy(folder: Path) -> None:
    first = sorted(folder.glob("*.dcm"))[3]
    shutil.copy(first, folder / f"{first.stem} copy.dcm")


def _sub(folder: Path) -> None:
    inner = folder / "series 1"
    inner.mkdir()
    for path in folder.glob("*.dcm"):
        path.rename(inner / path.name)


def _lost(folder: Path) -> None:
    sorted(folder.glob("*.dcm"))[5].unlink()


def _cut_one(folder: Path) -> None:
    path = sorted(folder.glob("*.dcm"))[5]
    path.write_bytes(path.read_bytes()[:-4000])


def _one_file(given: Given) -> None:
    """The name of one file of the series in the sheet."""
    given.edits.append(
        lambda data: given.row.update(
            mrs=str(sorted((data / given.row["mrs"]).glob("*.dcm"))[0].relative_to(data))
        )
    )


def _reference_in(given: Given) -> None:
    """Files of the reference in the folder of the scan."""

    def copy(data: Path) -> None:
        for path in (data / given.row["ref"]).glob("*.dcm"):
            shutil.copy(path, data / given.row["mrs"] / f"ref_{path.name}")

    given.edits.append(copy)


DICOM = [
    *(
        Oddity(f"without {name}", _without(name), True)
        for name in (
            *("PatientName", "PatientBirthDate", "PatientID", "SoftwareVersions"),
            *("ManufacturerModelName", "AcquisitionNumber", "Modality", "SeriesNumber"),
            *("MagneticFieldStrength", "ProtocolName", "VolumeLocalizationTechnique"),
            *("StudyInstanceUID", "NumberOfFrames", "ImageType"),
        )
    ),
    *(
        Oddity(f"without {name}", _without(name), False)
        for name in (
            *("InstanceNumber", "SpectralWidth", "TransmitterFrequency", "ResonantNucleus"),
            *("Manufacturer", "SharedFunctionalGroupsSequence", "SpectroscopyData"),
            *("DataPointColumns", "SOPClassUID", "PerFrameFunctionalGroupsSequence"),
        )
    ),
    Oddity("blank PatientWeight", _set(PatientWeight=None), True),
    Oddity(
        "a name in two alphabets",
        _set(PatientName="Zwetschkenbaum^Jürgen", SpecificCharacterSet="ISO_IR 192"),
        True,
    ),
    Oddity("width of twice", unpromised(_set(SpectralWidth=4000.0)), False),
    Oddity("width 5 percent more", unpromised(_set(SpectralWidth=2100.0)), False),
    Oddity("frequency in Hz", _set(TransmitterFrequency=123.25e6), True),
    Oddity("frequency of 7 T", _set(TransmitterFrequency=297.2), False),
    Oddity("nucleus 31P", _set(ResonantNucleus="31P"), False),
    Oddity("echo time of 0", _shared("MREchoSequence", EffectiveEchoTime=0.0), True),
    Oddity("echo time in s", _shared("MREchoSequence", EffectiveEchoTime=0.03), True),
    Oddity("echo time of 31.5 ms", _shared("MREchoSequence", EffectiveEchoTime=31.5), False),
    Oddity("echo time absent", _shared("MREchoSequence", EffectiveEchoTime=None), True),
    Oddity(
        "repetition time of 3 s",
        _shared("MRTimingAndRelatedParametersSequence", RepetitionTime=3000.0),
        False,
    ),
    Oddity(
        "repetition time absent",
        _shared("MRTimingAndRelatedParametersSequence", RepetitionTime=None),
        True,
    ),
    Oddity(
        "named STEAM", _set(VolumeLocalizationTechnique="STEAM", PulseSequenceName="svs_st"), False
    ),
    Oddity("of Philips", _set(Manufacturer="Philips"), False),
    Oddity("of United Imaging", _set(Manufacturer="UIH"), False),
    Oddity("instance numbers all 1", _set(InstanceNumber=1), False),
    Oddity("an instance number twice", tags(lambda h: setattr(h, "InstanceNumber", 5), 9), False),
    Oddity(
        "another series among them",
        tags(lambda h: setattr(h, "SeriesInstanceUID", "1.2.9"), 9),
        False,
    ),
    Oddity(".DS_Store", _junk(".DS_Store"), True),
    Oddity("._ file of a Mac", _junk("._0001.dcm"), True),
    Oddity("Thumbs.db", _junk("Thumbs.db"), True),
    Oddity("a text beside them", _junk("notes.txt", b"patient moved"), True),
    Oddity("names without endings", _renamed(lambda n, path: f"IM_{n:04d}"), True),
    Oddity("endings .IMA", _renamed(lambda n, path: f"{n}.IMA"), True),
    Oddity("names backwards", _renamed(lambda n, path: f"z{99 - n}.dcm"), True),
    Oddity("names of the person", _renamed(lambda n, path: f"Huber^Anna.{n:03d}.dcm"), True),
    Oddity("a copy of a file", files(_copy), False),
    Oddity("in a folder within", files(_sub), True),
    Oddity("a file lost", files(_lost), False),
    Oddity("a file cut", files(_cut_one), False),
    Oddity("one file of the series named", _one_file, False),
    Oddity("reference among them", _reference_in, False),
]

IMAGES = {"nifti": NIFTI, "dicom": DICOM}
