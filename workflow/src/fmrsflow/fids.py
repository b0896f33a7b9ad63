"""Free induction decays with their axes: the one data type of the chain.

Convention, fixed here and nowhere else: ``Fids.data`` is such that ``numpy.fft.fft``
puts a resonance of chemical shift d at the frequency (d - carrier_ppm) * frequency_mhz,
so that the frequency axis rises with ppm. NIfTI-MRS stores the complex conjugate of it
(Clarke et al. 2022, doi:10.1002/mrm.29418, section "FID sign convention"); `from_nifti`
and `to_nifti` are the doors. N-acetylaspartate stands at 2.01 ppm.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, field, replace

import numpy as np

from fmrsflow.errors import DataError
from fmrsflow.exponentials import exponentials
from fmrsflow.headers import REPETITION, Told, dimension_tags, told

CARRIER_PPM = 4.65
"""Chemical shift (ppm) of water at body temperature: the carrier of every vendor's default."""

KEPT_HEADER_KEYS = (
    "InversionTime",
    "MixingTime",
    "ExcitationFlipAngle",
    "Manufacturer",
    "ManufacturersModelName",
    "SoftwareVersions",
    "MagneticFieldStrength",
    "RxCoil",
    "TxCoil",
    "TxOffset",
    "WaterSuppressed",
    "WaterSuppressionType",
    "ConversionMethod",
)
"""NIfTI-MRS header fields that describe the measurement; all others stay behind at the door: in the
name of a sequence people write what they like."""

_NUMBERS = (
    "InversionTime",
    "MixingTime",
    "ExcitationFlipAngle",
    "MagneticFieldStrength",
    "TxOffset",
)
_TRUTHS = ("WaterSuppressed",)
"""Kinds of the fields kept; the others are text."""

_OWN_FIELDS = {"MagneticFieldStrength": "Nominal field of the magnet, T (DICOM (0018,0087))"}
"""Fields that the standard does not define: it asks for an object of value and description."""

_WIDTH_TOLERANCE = 0.01
"""Relative difference up to which SpectralWidth, which is rounded, is that of the dwell time."""

_LONGEST_HEADER = 1 << 24
"""Bytes of a header extension above which it is not parsed; those of vendors' files have 1e5."""

_WATER_PPM = 0.15
"""Largest distance from `CARRIER_PPM` at which a stated centre still means water: files put it at
4.65, 4.68 or 4.7 ppm."""


_SPLIT = "split the file (mrs_tools split) and name the part of the protocol's times"
_GATED = (
    "of a scan gated by heart or breath neither saturation nor times in the task are known from "
    "one repetition time: name one that was not gated"
)

EDITED_UNSUPPORTED = (
    "edited spectra are not supported yet (a basis without editing pulses would read their states "
    "wrongly); name an unedited scan, or leave this one out"
)
"""Why a series of edited spectra is refused, and what to do."""


@dataclass(frozen=True)
class Fids:
    """FIDs of one scan.

    Attributes
    ----------
    data : complex array, shape (n_transients, n_coils, n_points)
        Always three axes; ``n_coils`` is 1 after coil combination.
    dwell_s : float
        Time between points, s.
    frequency_mhz : float
        Spectrometer frequency, MHz.
    te_s, tr_s : float or None
        Echo and repetition time, s.
    affine : array (4, 4) or None
        Voxel to scanner space in mm (NIfTI, RAS+); None where the file holds no geometry.
    nucleus : str
    carrier_ppm : float
        Chemical shift at frequency zero.
    header : dict
        Further NIfTI-MRS header fields (a subset of `KEPT_HEADER_KEYS`).
    told : Told
        What the whole header said of the measurement; it is not written.
    """

    data: np.ndarray
    dwell_s: float
    frequency_mhz: float
    te_s: float | None = None
    tr_s: float | None = None
    affine: np.ndarray | None = None
    nucleus: str = "1H"
    carrier_ppm: float = CARRIER_PPM
    header: dict = field(default_factory=dict)
    told: Told = Told()

    def __post_init__(self):
        if self.data.ndim != 3:
            raise ValueError(
                f"Fids.data has axes (transient, coil, point); got shape {self.data.shape}"
            )
        if not (self.dwell_s > 0 and self.frequency_mhz > 0):
            raise ValueError(
                f"dwell time {self.dwell_s} s and frequency {self.frequency_mhz} MHz "
                "must be positive"
            )

    @property
    def n_transients(self) -> int:
        """Number of transients."""
        return self.data.shape[0]

    @property
    def n_coils(self) -> int:
        """Number of receive coils; 1 once combined."""
        return self.data.shape[1]

    @property
    def n_points(self) -> int:
        """Number of points of each FID."""
        return self.data.shape[2]

    @property
    def transients(self) -> np.ndarray:
        """The FIDs as (n_transients, n_points); needs combined coils (ValueError otherwise)."""
        if self.n_coils != 1:
            raise ValueError(f"{self.n_coils} coils: combine them first")
        return self.data[:, 0, :]

    @property
    def time_s(self) -> np.ndarray:
        """Time of each point, s, shape (n_points,)."""
        return np.arange(self.n_points) * self.dwell_s

    @property
    def frequency_hz(self) -> np.ndarray:
        """Rising frequency axis of `spectra`, Hz relative to the carrier, shape (n_points,)."""
        return frequency_axis(self.n_points, self.dwell_s)

    @property
    def ppm(self) -> np.ndarray:
        """Rising chemical-shift axis of `spectra`, ppm, shape (n_points,)."""
        return self.carrier_ppm + self.frequency_hz / self.frequency_mhz

    @property
    def spectra(self) -> np.ndarray:
        """Spectra on `ppm`, complex, shape of `data`."""
        return to_spectrum(self.data)

    def hz_at(self, ppm: float) -> float:
        """Frequency (Hz, relative to the carrier) of a chemical shift in ppm."""
        return (ppm - self.carrier_ppm) * self.frequency_mhz

    def with_data(self, data: np.ndarray) -> Fids:
        """The same axes and header round other FIDs: (n_transients, n_points) or all three axes."""
        data = np.asarray(data)
        return replace(self, data=data[:, None, :] if data.ndim == 2 else data)

    def shifted(self, shift_hz) -> Fids:
        """Move every resonance up by `shift_hz` (scalar or one value a transient, Hz)."""
        shift = np.broadcast_to(np.asarray(shift_hz, float), (self.n_transients,))
        turn = exponentials(2j * np.pi * shift * self.dwell_s, self.n_points)
        return self.with_data(self.data * turn[:, None, :])

    def rotated(self, phase_deg) -> Fids:
        """Multiply by exp(i phase) (scalar or one value a transient, degrees)."""
        phase = np.deg2rad(np.broadcast_to(np.asarray(phase_deg, float), (self.n_transients,)))
        return self.with_data(self.data * np.exp(1j * phase)[:, None, None])

    def broadened(self, lorentz_hz=0.0, gauss_hz=0.0) -> Fids:
        """Add Lorentzian and Gaussian width (FWHM in Hz; scalar or one value a transient)."""
        lorentz = np.broadcast_to(np.asarray(lorentz_hz, float), (self.n_transients,))
        gauss = np.broadcast_to(np.asarray(gauss_hz, float), (self.n_transients,))
        shape = exponentials(-np.pi * lorentz * self.dwell_s, self.n_points)
        if gauss.any():
            shape = shape * np.exp(-((np.pi * gauss[:, None] * self.time_s) ** 2) / (4 * np.log(2)))
        return self.with_data(self.data * shape[:, None, :])

    def select(self, index) -> Fids:
        """The transients that a mask, slice or list of indices names."""
        return self.with_data(self.data[index])

    def mean(self, weights=None) -> Fids:
        """Average over transients, as one transient.

        Parameters
        ----------
        weights : array (n_transients,), optional
            Normalised here to sum 1; equal weights by default.

        Raises
        ------
        DataError
            Where nothing is left to average.
        """
        if self.n_transients == 0 or (weights is not None and not np.sum(weights) > 0):
            raise DataError("no transient left to average")
        if weights is None:
            return self.with_data(self.data.mean(axis=0, keepdims=True))
        weights = np.asarray(weights, float) / np.sum(weights)
        return self.with_data(np.einsum("t,tcp->cp", weights, self.data)[None])


def frequency_axis(n_points: int, dwell_s: float) -> np.ndarray:
    """Rising frequency axis (Hz) that goes with `to_spectrum`, shape (n_points,)."""
    return np.fft.fftshift(np.fft.fftfreq(n_points, dwell_s))


def to_spectrum(fid: np.ndarray) -> np.ndarray:
    """FID to spectrum along the last axis, on the axis of `frequency_axis`.

    The first point is halved (a causal signal sampled at its jump), so that the baseline
    of a sum of exponentials is flat.
    """
    half = fid.copy()
    half[..., 0] *= 0.5
    return np.fft.fftshift(np.fft.fft(half, axis=-1), axes=-1)


def to_fid(spectrum: np.ndarray) -> np.ndarray:
    """Inverse of `to_spectrum`."""
    fid = np.fft.ifft(np.fft.ifftshift(spectrum, axes=-1), axis=-1)
    fid[..., 0] *= 2.0
    return fid


def from_nifti(image) -> Fids:
    """FIDs of a NIfTI-MRS image (a nibabel image with header extension 44).

    Dimensions DIM_DYN become transients and DIM_COIL coils, whatever their order; a
    dimension of length 1 is dropped.

    Raises
    ------
    DataError
        Not a NIfTI-MRS single-voxel image, edited spectra, or a dimension (phase cycle) that this
        workflow does not process.
    """
    header = header_extension(image)
    slope = getattr(image.dataobj, "slope", 1.0)  # an image in memory has none
    said = replace(told(header), slope=float(slope))
    if said.edited:
        raise DataError(f"{said.edited}: {EDITED_UNSUPPORTED}")
    if said.series:
        raise DataError(
            f"{said.series}: its transients are different measurements, and have no common mean; "
            f"{_GATED if REPETITION in said.series else _SPLIT}, or mend the header where it is "
            "wrong"
        )
    shape = image.shape + (1,) * (7 - len(image.shape))
    if shape[:3] != (1, 1, 1):
        raise DataError(multi_voxel(shape[:3]))
    data = np.conj(np.asarray(image.dataobj)).reshape(shape[3:])  # (point, dim_5, dim_6, dim_7)
    tags = dimension_tags(header)
    for tag, length in zip(tags, shape[4:]):
        if length > 1 and tag not in ("DIM_DYN", "DIM_COIL"):
            raise DataError(
                f"dimension {tag or 'without tag'} of length {length}: only DIM_COIL and DIM_DYN "
                "are processed; split the file (mrs_tools split) or tag the dimension"
            )
    dynamics = [n for tag, n in zip(tags, shape[4:]) if n > 1 and tag == "DIM_DYN"]
    if len(dynamics) > 1:
        lengths = " and ".join(map(str, dynamics))
        raise DataError(
            f"two dimensions of transients (DIM_DYN of {lengths}): nothing tells which of them ran "
            "faster, and events need the order of acquisition; write one DIM_DYN in that order"
        )
    coil = tags.index("DIM_COIL") if "DIM_COIL" in tags else None
    data = np.moveaxis(data, 0, -1)
    if coil is not None:
        data = np.moveaxis(data, coil, -2)
        data = data.reshape(-1, data.shape[-2], data.shape[-1])
    else:
        data = data.reshape(-1, 1, data.shape[-1])
    dwell = float(image.header["pixdim"][4])
    dwell *= {"msec": 1e-3, "usec": 1e-6}.get(image.header.get_xyzt_units()[1], 1.0)
    _check_dwell(dwell, header)
    frequency, nucleus = (
        value[0] if isinstance(value := header[key], list) and value else value
        for key in ("SpectrometerFrequency", "ResonantNucleus")
    )
    if not isinstance(nucleus, str):
        raise DataError("ResonantNucleus in its header is no text, such as 1H: mend the header")
    nucleus = plain_nucleus(nucleus)
    frequency_mhz = _number({"SpectrometerFrequency": frequency}, "SpectrometerFrequency")
    if frequency_mhz is None or frequency_mhz <= 0:
        raise DataError(
            "SpectrometerFrequency in its header is no positive number (MHz): mend the header, "
            "for example with mrs_tools"
        )
    fids = Fids(
        data=np.ascontiguousarray(data),
        dwell_s=dwell,
        frequency_mhz=frequency_mhz,
        te_s=_time(header, "EchoTime"),
        tr_s=_time(header, "RepetitionTime"),
        affine=voxel_affine(image),
        nucleus=nucleus,
        header=_kept(header),
        told=said,
    )
    return _centred(fids, header)


def _check_dwell(dwell_s: float, header: dict) -> None:
    """Refuse a dwell time that is none, or that another field of the header contradicts."""
    if not (np.isfinite(dwell_s) and dwell_s > 0):
        raise DataError(
            f"the dwell time in its header (pixdim[4]) is {dwell_s:g}, and a positive number is "
            "needed: a program that knows no NIfTI-MRS may have lost it; convert the scan again"
        )
    width_hz = _number(header, "SpectralWidth")
    if width_hz is not None and abs(dwell_s * width_hz - 1) > _WIDTH_TOLERANCE:
        raise DataError(
            f"the dwell time in its header (pixdim[4], {dwell_s:g} s) is that of a width of "
            f"{1 / dwell_s:g} Hz, and SpectralWidth says {width_hz:g} Hz: mend the one that is "
            "wrong, or convert the scan again"
        )


def _centred(fids: Fids, header: dict) -> Fids:
    """The FIDs turned so that frequency zero is water, where the header has another centre.

    The shift at zero is SpecFreqChemShift, that of water by default, plus RxOffset.
    """
    stated = _number(header, "SpecFreqChemShift")
    centre = (CARRIER_PPM if stated is None else stated) + (_number(header, "RxOffset") or 0.0)
    away = centre - CARRIER_PPM
    return fids.shifted(away * fids.frequency_mhz) if abs(away) > _WATER_PPM else fids


def _kept(header: dict) -> dict:
    """The fields of `KEPT_HEADER_KEYS`, each of its kind; others are left out."""
    kept = {}
    for key in KEPT_HEADER_KEYS:
        value = _plain(header.get(key))
        if key in _NUMBERS:
            try:
                value = _number(header, key)
            except DataError:
                continue
        if isinstance(value, bool) if key in _TRUTHS else isinstance(value, str | float):
            kept[key] = value
    return kept


def _plain(value):
    """A value without the object or the list of equal values that it may stand in."""
    if isinstance(value, dict):
        value = value.get("Value")
    if isinstance(value, list) and value and all(one == value[0] for one in value):
        value = value[0]
    return value


def _time(header: dict, key: str) -> float | None:
    """A time (s); None where it is absent or not positive, as some exports write an unknown one."""
    value = _number(header, key)
    return value if value is not None and value > 0 else None


def _number(header: dict, key: str) -> float | None:
    """A number of a header, also as text ("0.03", "30 ms") or in a list of equal ones.

    Raises
    ------
    DataError
        Anything else.
    """
    value = _plain(header.get(key))
    if value is None or value == "" or value == []:
        return None
    scale = 1.0
    if isinstance(value, str):
        text = value.strip()
        if text.endswith("s"):
            scale = 1e-3 if text.endswith("ms") else 1.0
            text = text.removesuffix("s").removesuffix("m")
        text = re.sub(r"^(\s*[-+]?\d*),(\d+\s*)$", r"\1.\2", text)
        try:
            value = float(text)
        except ValueError:
            value = None
    if isinstance(value, int | float) and not isinstance(value, bool) and np.isfinite(value):
        return float(value) * scale
    several = isinstance(value, list)
    if several and key == "RepetitionTime":
        raise DataError(f"{key} in its header is a list of several values; {_GATED}")
    raise DataError(
        f"{key} in its header is {'a list of several values' if several else 'no number'}; "
        "one number is needed (times in s, shifts in ppm): mend the header, for example with "
        "mrs_tools"
    )


def plain_nucleus(text: str) -> str:
    """A nucleus as the standard writes it: 1H for `1h`, `H1`, `H-1`, `proton`."""
    text = text.strip().strip('"').upper()
    if text == "PROTON":
        return "1H"
    found = re.fullmatch(r"([A-Z]{1,2})[ ^-]?(\d+)|(\d+)[ ^-]?([A-Z]{1,2})", text)
    return f"{found[2] or found[3]}{(found[1] or found[4]).capitalize()}" if found else text


def multi_voxel(grid) -> str:
    """Why a grid of voxels is refused, and what to do."""
    return (
        f"multi-voxel data ({' x '.join(str(int(n)) for n in grid)} voxels, spectroscopic imaging);"
        " only single-voxel scans are processed: export the spectrum of one voxel, or name a "
        "single-voxel scan"
    )


def voxel_affine(image) -> np.ndarray | None:
    """Voxel of a NIfTI-MRS image in scanner space, (4, 4), mm; None where it has no geometry."""
    if not (int(image.header["sform_code"]) or int(image.header["qform_code"])):
        return None  # nibabel then makes one up of the sizes, about the origin
    # spec2nii writes a 10 m voxel where the vendor file holds no position.
    sizes = np.sqrt((image.affine[:3, :3] ** 2).sum(axis=0))
    return np.array(image.affine) if np.all(sizes < 1000) else None


def to_nifti(fids: Fids, **fields):
    """NIfTI-MRS image of FIDs: (1, 1, 1, point), then coil (where several), transient; tagged.

    Parameters
    ----------
    fields
        Further header fields, for example ``ProcessingApplied``.

    Returns
    -------
    nibabel.Nifti2Image
    """
    import nibabel as nib

    header = {
        "SpectrometerFrequency": [fids.frequency_mhz],
        "ResonantNucleus": [fids.nucleus],
        "SpectralWidth": 1.0 / fids.dwell_s,
        **{
            key: {"Value": value, "Description": _OWN_FIELDS[key]} if key in _OWN_FIELDS else value
            for key, value in fids.header.items()
        },
        **fields,
    }
    if fids.te_s is not None:
        header["EchoTime"] = fids.te_s
    if fids.tr_s is not None:
        header["RepetitionTime"] = fids.tr_s
    data = np.conj(np.moveaxis(fids.data, (2, 1, 0), (0, 1, 2)))[None, None, None]
    if fids.n_coils == 1:
        data = data[:, :, :, :, 0, :]
        header["dim_5"] = "DIM_DYN"
    else:
        header["dim_5"], header["dim_6"] = "DIM_COIL", "DIM_DYN"
    affine = np.diag([1e4, 1e4, 1e4, 1.0]) if fids.affine is None else fids.affine
    image = nib.Nifti2Image(data.astype(np.complex64), affine)
    image.header.set_xyzt_units("mm", "sec")
    image.header["pixdim"][4] = fids.dwell_s
    image.header["intent_name"] = b"mrs_v0_11"
    extension = json.dumps(header, sort_keys=True).encode()
    image.header.extensions.append(nib.nifti1.Nifti1Extension(44, extension))
    return image


def _fields(content) -> dict:
    """Fields of a header extension in whatever encoding; DataError where it holds none."""
    if isinstance(content, bytes):
        content = content.rstrip(b"\0 ")
        try:
            content = content.decode("utf-8-sig")
        except UnicodeDecodeError:
            content = content.decode("latin-1")
    try:
        fields = json.loads(content)
    except ValueError:
        fields = None
    if not isinstance(fields, dict):
        raise DataError(
            "the NIfTI-MRS header extension (code 44) holds no JSON fields: cut or damaged; copy "
            "or convert the scan again"
        )
    return fields


def header_extension(image) -> dict:
    """Header of a NIfTI-MRS image (extension 44).

    Raises
    ------
    DataError
        There is none, or it lacks what the standard asks for.
    """
    for extension in image.header.extensions:
        if extension.get_code() == 44:
            content = extension.get_content()
            if len(content) > _LONGEST_HEADER:
                raise DataError(
                    f"a NIfTI-MRS header of {len(content) / 1e6:.0f} MB: damaged; copy or convert "
                    "the scan again"
                )
            header = _fields(content)
            for key in ("SpectrometerFrequency", "ResonantNucleus"):
                if not header.get(key):
                    raise DataError(
                        f"the NIfTI-MRS header lacks {key}: convert the scan again, or mend the "
                        "header, for example with mrs_tools"
                    )
            return header
    raise DataError(
        "no NIfTI-MRS header extension (code 44): this is not a NIfTI-MRS file; "
        "convert it with spec2nii"
    )
