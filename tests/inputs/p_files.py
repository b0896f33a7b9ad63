"""GE P-files of FIDs, made after the layout of the header that spec2nii's reader has.

No public description of the format is complete: what that reader does not look at is zero.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from fmrsflow.fids import Fids

OFFSETS = {20.006: 149788, 26.002: 213684, 28.003: 228020, 30.0: 228020, 31.0: 228324}
"""Where samples begin, by revision."""

TOP = 2.0**28
"""Largest whole number that the samples of four bytes are scaled to."""

WATER_FRAMES = 16
"""Without water suppression before the scan, over the number of excitations a frame (PROBE-P)."""


@dataclass(frozen=True)
class Written:
    """How a P-file is written.

    Attributes
    ----------
    revision : float
    psd : str
        Name of the sequence; with one of sLASER `user19` counts the frames of water.
    nex : int
        Excitations of a frame.
    count : int or None
        Excitations of the scan by the header; None: as many as there are.
    gains : tuple of int
        R1 and R2.
    person : dict
        Of `written.PERSON`.
    """

    revision: float = 26.002
    psd: str = "PROBE-P"
    nex: int = 1
    count: int | None = None
    gains: tuple[int, int] = (11, 15)
    person: dict | None = None


def p_file(fids: Fids, water: Fids, how: Written = Written()) -> bytes:
    """Bytes of a P-file of a scan and its water reference, one coil each.

    The water's mean stands in every frame of it. Frames of one excitation change their sign in
    turn (chop), and a blank frame comes first.
    """
    slaser = "slaser" in how.psd.lower()
    n_water = 8 if slaser else WATER_FRAMES // how.nex
    frames = np.concatenate([np.repeat(water.mean().transients, n_water, 0), fids.transients])
    if how.nex == 1:
        frames = frames * (-1.0) ** np.arange(len(frames))[:, None]
    frames = np.concatenate([0 * frames[:1], np.conj(frames)])
    parts = np.stack([frames.real, frames.imag], axis=-1)
    samples = np.round(parts * (TOP / np.abs(parts).max())).astype("<i4").tobytes()
    count = how.nex * fids.n_transients if how.count is None else how.count
    header = _header(fids, how, len(samples), count, n_water)
    return header + bytes(OFFSETS[how.revision] - len(header)) + samples


def write_p_file(fids: Fids, path: Path, water: Fids, how: Written = Written()) -> None:
    """Write `p_file` to a path."""
    path.write_bytes(p_file(fids, water, how))


def _header(fids: Fids, how: Written, size: int, count: int, n_water: int) -> bytes:
    from spec2nii.GE.ge_hdr_fields import get_pfile_hdr_fields

    layout = {"_pack_": 1, "_fields_": get_pfile_hdr_fields(how.revision)}
    header = type("Header", (ctypes.LittleEndianStructure,), layout)()
    person = how.person or {}
    sizes = np.sqrt((fids.affine[:3, :3] ** 2).sum(axis=0))
    axes, centre = fids.affine[:3, :3] / sizes, fids.affine[:3, 3]
    values = {
        "rhr_rdb_hdr_off_data": OFFSETS[how.revision],
        "rhr_rh_frame_size": fids.n_points,
        "rhr_rh_point_size": 4,
        "rhr_rh_raw_pass_size": size,
        "rhr_rh_user4": count,
        "rhi_user4": count,
        "rhr_rh_user19": n_water,
        "rhr_spectral_width": 1 / fids.dwell_s,
        "rhr_rh_ps_mps_freq": round(fids.frequency_mhz * 1e7),
        "rhe_magstrength": 30000,
        "rhe_patname": person.get("name", "").encode(),
        "rhe_dateofbirth": person.get("born", "").encode(),
        "rhs_se_desc": person.get("comment", "").encode()[:60],
        "rhi_psdname": how.psd.encode(),
        "rhi_nex": how.nex,
        "rhi_numecho": 1,
        "rhi_te": round(1e6 * fids.te_s),
        "rhi_tr": round(1e6 * fids.tr_s),
        "rhi_freq_dir": 1,
    }
    values |= {f"rhi_user{8 + n}": size for n, size in enumerate(sizes)}
    values |= {f"rhi_user{11 + n}": place for n, place in enumerate(centre)}
    # Corners of the picture: rows and columns along the first two axes of the voxel.
    corners = {"tlhc": 0 * axes[:, 0], "trhc": axes[:, 0], "brhc": axes[:, 0] + axes[:, 1]}
    for corner, place in corners.items():
        values |= {f"rhi_{corner}_{axis}": one for axis, one in zip("RAS", place)}
    for name, value in values.items():
        kind = dict(layout["_fields_"])[name]
        setattr(header, name, int(value) if issubclass(kind, INTEGERS) else value)
    content, place = bytearray(bytes(header)), type(header).rhr_rh_ps_mps_freq.offset
    content[:4] = np.float32(how.revision).tobytes()
    content[place - 12 : place - 4] = np.array(how.gains, "<i4").tobytes()
    return bytes(content)


INTEGERS = (ctypes.c_int, ctypes.c_uint, ctypes.c_short, ctypes.c_ushort)
