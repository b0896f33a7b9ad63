"""Basis files of other tools: LCModel .BASIS and FSL-MRS JSON, in and out.

Whatever a file's conventions, what is read has our names, our sign (NAA at 2.01 ppm), whole first
points and amplitudes per molecule.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import numpy as np

from fmrsflow.basis.files import Basis, read_npz
from fmrsflow.basis.namelists import Group, groups, numbers
from fmrsflow.errors import DataError, Unreachable, reading_failed
from fmrsflow.fids import to_spectrum
from fmrsflow.metabolites import OWN_NAMES

NAMES = {
    "alanine": "Ala",
    "ascorbate": "Asc",
    "aspartate": "Asp",
    "glucose": "Glc",
    "gsh": "GSH",
    "ins": "mI",
    "mins": "mI",
    "myo": "mI",
    "mi": "mI",
    "sins": "sI",
    "scyllo": "sI",
    "si": "sI",
    "pcho": "PCh",
    "pch": "PCh",
    "peth": "PE",
    "pea": "PE",
    "naag": "NAAG",
    "mac": "MM",
    "mm": "MM",
    "mmbase": "MM",
    "mmmeas": "MM",
    "mmexp": "MM",
    "mm_meas": "MM",
    "mm_cmr": "MM",
    "lip13a": "Lip13",
    "lip13b": "Lip13",
    "h2o": "H2O",
    "water": "H2O",
}
"""Other tools' names (lower case) of the substances of `metabolites.OWN_NAMES`."""


def own_name(name: str) -> str:
    """Our name (`metabolites.OWN_NAMES`) for another tool's; unknown names stay as they are."""
    by_case = {own.lower(): own for own in OWN_NAMES}
    return NAMES.get(name.lower(), by_case.get(name.lower(), name))


def read_basis(path: str | Path) -> Basis:
    """Read a basis of any format: LCModel .BASIS, a folder of FSL-MRS JSON files, or our .npz.

    Raises
    ------
    DataError
        No such file, not a basis, or NAA not at 2.01 ppm.
    """
    path = Path(path)
    if path.is_dir():
        return read_fsl(path)
    if not os.path.isfile(path):
        raise Unreachable(f"no basis at {path.name}: neither a file nor a folder is there", path)
    if path.suffix == ".npz":
        return read_npz(path)
    if path.suffix.lower() == ".basis":
        return read_lcmodel(path)
    raise DataError(
        f"{path.name} is no basis that can be read: give an LCModel .BASIS file, a folder of "
        "FSL-MRS .json files or an .npz of this workflow"
    )


def read_lcmodel(path: str | Path) -> Basis:
    """Read an LCModel .BASIS file.

    A file holds for each metabolite FFT(conj(FID), zero-filled to 2N) / sqrt(2N), to be shifted by
    ISHIFT points towards larger ppm and scaled by TRAMP / (VOLUME CONC) (LCModel.f, MYBASI).
    Amplitudes come out per molecule: one factor for all, from a singlet of known protons.

    Raises
    ------
    DataError
        Not a .BASIS file, truncated, or NAA not at 2.01 ppm.
    """
    path = Path(path)
    header: dict[str, Group] = {}
    names, spectra = [], []
    for group in groups(_text(path)):
        header.setdefault(group.name, group)
        if group.name == "BASIS":
            names.append(group.text("METABO") or group.text("ID"))
            spectra.append(_lcmodel_spectrum(group, header.get("BASIS1"), path.name))
    sequence, main = (header.get(name, Group(name, {}, "")) for name in ("SEQPAR", "BASIS1"))
    dwell_s, frequency_mhz = main.number("BADELT"), sequence.number("HZPPPM")
    if not spectra or not dwell_s or not frequency_mhz:
        raise DataError(f"{path.name} is no LCModel .BASIS file (no HZPPPM, BADELT or spectrum)")
    if len({spectrum.size for spectrum in spectra}) != 1:
        raise DataError(f"{path.name}: the spectra differ in length: one basis, one NDATAB")
    n = len(spectra[0])
    fids = np.conj(np.fft.ifft(np.array(spectra), axis=1)) * np.sqrt(n)
    # The second half holds the zeros that LCModel filled in.
    if np.abs(fids[:, n // 2 :]).max() < 1e-3 * np.abs(fids).max():
        fids = fids[:, : n // 2]
    echo_ms = sequence.number("ECHOT", -1.0)
    basis = Basis(
        names=tuple(names),
        fids=fids,
        dwell_s=float(np.float32(dwell_s)),
        frequency_mhz=frequency_mhz,
        te_s=echo_ms / 1000 if echo_ms > 0 else None,
        made={
            "source": "file",
            "file": path.name,
            "format": "LCModel .BASIS",
            "sequence": sequence.text("SEQ"),
            "id": main.text("IDBASI"),
        },
    )
    return _from_other_tool(basis, path.name)


def to_lcmodel(basis: Basis) -> str:
    """A basis as text of an LCModel .BASIS file (no ISHIFT, six digits).

    FIDs are written as they are: a simulated basis has lines without decay and should be
    `broadened` first (LCModel expects FIDs that have decayed at their end).
    """
    n = 2 * basis.n_points
    spectra = np.fft.fft(np.conj(basis.fids), n=n, axis=1) / np.sqrt(n)
    echo = -1.0 if basis.te_s is None else 1000 * basis.te_s
    lines = [
        " $SEQPAR",
        f" FWHMBA = {basis.made.get('linewidth_hz', 0.0) / basis.frequency_mhz:.5f},",
        f" HZPPPM = {basis.frequency_mhz:.6f},",
        f" ECHOT = {echo:.4g},",
        f" SEQ = '{str(basis.made.get('sequence', ' '))[:5]}'",
        " $END",
        " $BASIS1",
        f" IDBASI = '{_short(basis)}',",
        " FMTBAS = '(6E13.5)',",
        f" BADELT = {basis.dwell_s:.9e},",
        f" NDATAB = {n}",
        " $END",
    ]
    for name, spectrum in zip(basis.names, spectra):
        lines += [
            " $NMUSED",
            f" FILRAW = '{name}.RAW',",
            " AUTOPH = F,",
            " AUTOSC = F,",
            " CONSISTENT_SCALING = T",
            " $END",
            " $BASIS",
            f" ID = '{name}',",
            f" METABO = '{name}',",
            " CONC = 1.,",
            " TRAMP = 1.,",
            " VOLUME = 1.,",
            " ISHIFT = 0",
            " $END",
        ]
        numbers = np.stack([spectrum.real, spectrum.imag], axis=1).ravel()
        lines += [
            "".join(f"{number:13.5E}" for number in numbers[start : start + 6])
            for start in range(0, len(numbers), 6)
        ]
    return "\n".join(lines) + "\n"


def read_fsl(folder: str | Path) -> Basis:
    """Read a folder of FSL-MRS basis files, one .json a metabolite.

    Raises
    ------
    DataError
        No or broken files, files of different dwell time, or NAA not at 2.01 ppm.
    """
    folder = Path(folder)
    names, fids, axes = [], [], set()
    meta: dict = {}
    for path in sorted(folder.glob("*.json")):
        text = _text(path)
        try:
            content = json.loads(text)
            one = content["basis"]
            fid = np.array(one["basis_re"], float) + 1j * np.array(one["basis_im"], float)
            axes.add((float(one["basis_dwell"]), float(one["basis_centre"]), fid.size))
            names.append(str(one["basis_name"]))
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise DataError(
                f"{path.name} is no FSL-MRS basis file ({type(error).__name__}: {error})"
            ) from None
        meta = content.get("meta") or meta
        # FSL-MRS holds its FIDs with frequency falling in ppm.
        fids.append(np.conj(fid.ravel()))
    if not fids:
        raise DataError(f"{folder.name} holds no .json file: no FSL-MRS basis")
    if len(axes) != 1:
        raise DataError(f"the files of {folder.name} differ in dwell time, frequency or length")
    (dwell, centre, _) = axes.pop()
    basis = Basis(
        names=tuple(names),
        fids=np.array(fids),
        dwell_s=dwell,
        frequency_mhz=centre if centre < 1e4 else centre / 1e6,
        te_s=meta.get("te_s"),
        made={"source": "file", "file": folder.name, "format": "FSL-MRS JSON", "meta": meta},
    )
    return _from_other_tool(basis, folder.name)


def to_fsl(basis: Basis) -> dict[str, str]:
    """A basis as FSL-MRS JSON files: file name to text."""
    meta = {"te_s": basis.te_s, **basis.made}
    return {
        f"{name}.json": json.dumps(
            {
                "basis": {
                    "basis_re": fid.real.tolist(),
                    "basis_im": (-fid.imag).tolist(),
                    "basis_dwell": basis.dwell_s,
                    "basis_centre": basis.frequency_mhz,
                    "basis_width": basis.made.get("linewidth_hz", 0.0),
                    "basis_name": name,
                    "basis_nucleus": "1H",
                },
                "meta": meta,
            }
        )
        for name, fid in zip(basis.names, basis.fids)
    }


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError as error:
        raise reading_failed(path, error, f"{path.name} cannot be read: {error}") from None


def _lcmodel_spectrum(entry: Group, main: Group | None, file: str) -> np.ndarray:
    """Spectrum (complex) of a $BASIS group, scaled and shifted as it says."""
    values = numbers(entry.body)
    n = int((main and main.number("NDATAB")) or len(values) // 2)
    if len(values) != 2 * n or n == 0:
        raise DataError(
            f"{file}: {entry.text('METABO')} has {len(values)} numbers where NDATAB asks for "
            f"{2 * n}: the file is truncated or of another format"
        )
    over = entry.number("VOLUME", 1.0) * entry.number("CONC", 1.0)
    if not over:
        raise DataError(f"{file}: VOLUME or CONC of {entry.text('METABO')} is 0, which scales it")
    scale = entry.number("TRAMP", 1.0) / over
    return scale * np.roll(values[::2] + 1j * values[1::2], -int(entry.number("ISHIFT", 0.0)))


def _from_other_tool(basis: Basis, file: str) -> Basis:
    """Our names, our sign and amplitudes per molecule; entries of one name are added."""
    finite = np.isfinite(basis.fids).all(axis=1)
    if not finite.all():
        bad = [name for name, good in zip(basis.names, finite) if not good]
        raise DataError(f"{file}: values of {', '.join(bad)} are not finite")
    rows: dict[str, np.ndarray] = {}
    for name, fid in zip(basis.names, basis.fids):
        own = own_name(name)
        rows[own] = rows[own] + fid if own in rows else fid
    basis = replace(basis, names=tuple(rows), fids=np.array(list(rows.values())))
    basis = _with_whole_first_point(_with_naa_in_place(basis, file))
    scale, of = _molecule_scale(basis, file)
    made = {**basis.made, "scale": scale, "scale_from": of}
    return replace(basis, fids=basis.fids / scale, made=made)


def _with_naa_in_place(basis: Basis, file: str) -> Basis:
    """The basis, conjugated where that brings the acetyl line of NAA to 2.01 ppm."""
    basis.index("NAA")
    found = np.nan
    for conjugated in (False, True):
        one = replace(basis, fids=np.conj(basis.fids)) if conjugated else basis
        naa = one.fids[one.index("NAA")]
        spectrum = np.abs(to_spectrum(np.pad(naa, (0, 3 * one.n_points))))
        hz = np.fft.fftshift(np.fft.fftfreq(4 * one.n_points, one.dwell_s))
        peak = one.carrier_ppm + hz[np.argmax(spectrum)] / one.frequency_mhz
        if abs(peak - 2.01) < 0.05:
            made = {**one.made, "conjugated": conjugated}
            return replace(one, made=made)
        found = found if conjugated else peak
    raise DataError(
        f"{file}: the largest line of NAA stands at {found:.2f} ppm instead of 2.01; "
        "the file's ISHIFT, frequency or dwell time is wrong"
    )


def _with_whole_first_point(basis: Basis) -> Basis:
    """The basis, first points doubled where its maker halved them (fsl_mrs_sim does)."""
    from scipy.interpolate import make_interp_spline

    time = np.arange(1, 13)
    middle = 2j * np.pi * (2.8 - basis.carrier_ppm) * basis.frequency_mhz * basis.dwell_s
    turned = basis.fids[:, 1:13] * np.exp(-middle * time)
    before = make_interp_spline(time, turned, k=5, axis=1)(0.0)
    halved = bool(abs(np.median(np.abs(basis.fids[:, 0]) / np.abs(before)) - 0.5) < 0.05)
    fids = basis.fids.copy()
    fids[:, 0] *= 2.0 if halved else 1.0
    return replace(basis, fids=fids, made={**basis.made, "first_point_was_halved": halved})


SINGLETS = {"Cr": (3.027, 3), "NAA": (2.008, 3), "PCr": (3.029, 3)}
"""Singlets (ppm, protons) that set the scale of a basis of another tool, in this order."""


def _molecule_scale(basis: Basis, file: str) -> tuple[float, str]:
    """Amplitude per proton of a basis, from a Voigt fit of a singlet's line.

    The line, not the first point, since other lines, a reference line at 0 ppm among them, and
    the phase of a shaped pulse all add to the first point.
    """
    from scipy.optimize import least_squares

    name = next((name for name in SINGLETS if name in basis.names), None)
    if name is None:
        raise DataError(f"{file}: no Cr, NAA or PCr, whose singlet sets the scale per molecule")
    ppm, protons = SINGLETS[name]
    time = np.arange(basis.n_points) * basis.dwell_s
    near = np.abs(basis.ppm - ppm) < 0.35
    target = to_spectrum(basis.fids[basis.index(name)])[near]
    offset = 2 * np.pi * (ppm - basis.carrier_ppm) * basis.frequency_mhz
    size = np.abs(target).max()

    def linear(parameters):
        """Amplitudes of the line, a constant and a slope, and what they leave."""
        shift_hz, lorentz, gauss = parameters
        decay = lorentz**2 * time + (gauss * time) ** 2
        line = np.exp(1j * (offset + 2 * np.pi * shift_hz) * time - decay)
        # A complex constant and slope stand for the feet of the other lines.
        design = np.stack([to_spectrum(line)[near], *_slope(near.sum())], axis=1)
        weights = np.linalg.lstsq(design, target, rcond=None)[0]
        return weights, design @ weights - target

    def residual(parameters):
        """What is left, relative to the data, as real numbers."""
        rest = linear(parameters)[1] / size
        return np.concatenate([rest.real, rest.imag])

    start = min(
        ([0.0, lorentz, 0.1] for lorentz in (0.3, 1.5, 3.0, 5.0)),
        key=lambda guess: np.sum(residual(guess) ** 2),
    )
    best = least_squares(residual, start, x_scale=(0.5, 0.5, 0.5))
    scale = float(np.abs(linear(best.x)[0][0])) / protons
    if not scale > 0:
        raise DataError(f"{file}: the line of {name} at {ppm} ppm is empty")
    return scale, f"{name} {ppm} ppm"


def _slope(n: int) -> tuple[np.ndarray, np.ndarray]:
    return np.ones(n), np.linspace(-1, 1, n)


def _short(basis: Basis) -> str:
    made = basis.made
    parts = ["fmrsflow", made.get("sequence"), made.get("pulses"), str(made.get("digest", ""))[:12]]
    return " ".join(str(part) for part in parts if part)[:70].replace("'", "")
