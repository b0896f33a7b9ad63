"""FSL-MRS and LCModel as external commands: files out, results back in the same form.

Both are the user's own installation, found on the PATH or named by the setting `command`; neither
is imported or shipped. FSL-MRS may be used for non-commercial purposes only. Each runs with one
thread: default threading makes FSL-MRS three times slower.
"""

from __future__ import annotations

import csv
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path

import numpy as np

from fmrsflow.arithmetic import ONE_THREAD
from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import to_fsl, to_lcmodel
from fmrsflow.errors import DataError, MachineFault, Unreachable, machine_fault
from fmrsflow.fids import Fids, to_nifti
from fmrsflow.fit.broad import CREATINE_CH2, is_broad
from fmrsflow.fit.model import Kind, make_model
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult, failed_result
from fmrsflow.scratch import scratch

COMMANDS = {"fsl_mrs": "fsl_mrs", "lcmodel": "lcmodel"}

HINTS = {
    "fsl_mrs": "install it from its conda channel (envs/fsl_mrs.yaml; non-commercial use only)",
    "fsl_dynmrs": "it comes with FSL-MRS (envs/fsl_mrs.yaml; non-commercial use only)",
    "lcmodel": "build it from its public source (LCModel.f, gfortran) and put it on the PATH",
}

TIMEOUT_S = 1800

LCMODEL_KEY = 210387309
"""The key that its author published when LCModel became free."""

SIGNAL = 100.0
"""Largest |FID| that engines get: FSL-MRS ends far from the minimum on data of 1e-5."""

CHECK_WIDTH_HZ = 2.0
"""Half the linewidth of the spectrum that an engine is checked with."""

LINEWIDTH_HZ = 1.0
"""Width given to the basis for LCModel, which expects FIDs that decay."""


def find_command(engine: str, command: str = "") -> str:
    """Path of an engine's command.

    Raises
    ------
    Unreachable
        It is not there; the message says how to get it.
    """
    name = command or COMMANDS.get(engine, engine)
    found = shutil.which(name)
    if found is None:
        raise Unreachable(
            f"engine {engine}: the command {name} is not on this machine's PATH; {HINTS[engine]}",
            *(os.path.join(folder, name) for folder in os.get_exec_path()),
        )
    return found


def fit_with_engine(fids: Fids, basis: Basis, options: FitOptions) -> list[FitResult]:
    """Fit each transient of `fids` as a spectrum of its own with `options.engine`.

    Results hold amplitudes per molecule on the scale of the FID, the engine's own errors (on the
    diagonal of the covariance) and the data; curves and quality figures are NaN.

    Raises
    ------
    DataError
        The command is absent, or fails or writes no result on this spectrum while it fits one
        made of the basis.
    MachineFault
        The command was killed, or fails on the spectrum made of the basis too.
    """
    run = {"fsl_mrs": run_fsl_mrs, "lcmodel": run_lcmodel}[options.engine]
    command = find_command(options.engine, options.command)
    basis = engine_basis(basis, options)
    # Names of the basis alone: corrections and lines that our model adds are none of an engine's.
    own = replace(options, macromolecules="basis", exclude=(*options.exclude, CREATINE_CH2))
    model = make_model(fids, Kind(basis), own)
    scale = SIGNAL / (np.abs(fids.data).max() or 1.0)
    with scratch() as folder:
        try:
            found = run(command, fids.with_data(scale * fids.data), basis, options, folder)
        except DataError as failure:
            _check_machine(run, command, fids, basis, options, failure)
            raise
    spectra = model.band.spectra(fids)
    return [
        replace(
            failed_result(model, "", spectrum),
            status="ok",
            reason=None,
            amplitudes=amplitudes / scale,
            covariance=np.diag((errors / scale) ** 2),
            model_covariance=np.zeros((len(errors), len(errors))),
            stop_reason=f"by {options.engine}",
        )
        for spectrum, (amplitudes, errors) in zip(spectra, found)
    ]


def engine_basis(basis: Basis, options: FitOptions) -> Basis:
    """The part of a basis that an engine fits with."""
    keep = [name for name in basis.names if name not in options.exclude and name != "H2O"]
    if options.macromolecules == "none":
        keep = [name for name in keep if not is_broad(name)]
    return basis.select(keep)


def _check_machine(
    run, command: str, fids: Fids, basis: Basis, options: FitOptions, failure: DataError
) -> None:
    """Fit a spectrum made of the basis itself, where the engine failed on another.

    Raises
    ------
    MachineFault
        The engine fails on it too: out of disk or memory, or badly installed.
    """
    time_s = np.arange(fids.n_points) * fids.dwell_s
    own = basis.resampled(fids.dwell_s, fids.n_points, fids.frequency_mhz).fids.sum(axis=0)
    own = own * np.exp(-2 * np.pi * CHECK_WIDTH_HZ * time_s)
    # LCModel wants noise; a thousandth of the signal is far below any scan's.
    parts = np.random.default_rng(0).normal(size=(2, fids.n_points))
    own = SIGNAL * (own / np.abs(own).max() + 1e-3 * (parts[0] + 1j * parts[1]))
    try:
        with scratch() as folder:
            run(command, fids.with_data(own[None, None]), basis, options, folder)
    except DataError as again:
        raise MachineFault(
            f"{failure}; and on a spectrum made of the basis itself: {again}. Look after memory, "
            "disk and the engine's installation, then run the same command again"
        ) from None


def run_fsl_mrs(
    command: str, fids: Fids, basis: Basis, options: FitOptions, folder: Path
) -> list[tuple[np.ndarray, np.ndarray]]:
    """`fsl_mrs` once a spectrum; amplitudes unscaled, macromolecules in a group of their own."""
    write_fsl_basis(basis, folder / "basis")
    found = []
    for j in range(fids.n_transients):
        data, out = folder / f"{j}.nii.gz", folder / f"{j}"
        to_nifti(fids.select([j])).to_filename(data)
        arguments = ["--data", data, "--basis", folder / "basis", "--output", out, "--overwrite"]
        arguments += ["--no_rescale", *fsl_choices(basis, options)]
        _run("fsl_mrs", [command, *arguments], folder)
        found.append(_read_fsl(out / "all_parameters.csv", basis.names))
    return found


def fsl_choices(basis: Basis, options: FitOptions) -> list:
    """Arguments of `fsl_mrs` for a fit of these options: range, baseline, groups of one width."""
    limits = [options.range_low_ppm, options.range_high_ppm]
    arguments = ["--baseline", _fsl_baseline(options), "--ppmlim", *limits]
    broad = [name for name in basis.names if is_broad(name)]
    return [*arguments, "--metab_groups", "+".join(broad)] if broad else arguments


def run_fsl_dynmrs(
    command: str, fids: Fids, basis: Basis, design: np.ndarray, widths: np.ndarray, folder: Path
) -> dict[str, float]:
    """`fsl_dynmrs` on all transients: amplitudes follow `design`, the Lorentzian width `widths`.

    Parameters
    ----------
    design : array (n_transients, n_columns)
        First column constant.
    widths : array (n_transients,)
        Course of the Lorentzian width.

    Returns
    -------
    dict
        Free parameters of the dynamic model by FSL-MRS's names (`conc_Glu_beta0`, ...).
    """
    write_fsl_basis(basis, folder / "basis")
    to_nifti(fids).to_filename(folder / "data.nii.gz")
    n = design.shape[1]
    np.savetxt(folder / "design.csv", np.column_stack([design, widths]), delimiter=",")
    (folder / "config.py").write_text(_DYNAMIC.format(n=n))
    _run(
        "fsl_dynmrs",
        [command, "--data", folder / "data.nii.gz", "--basis", folder / "basis", "--output",
         folder / "out", "--dyn_config", folder / "config.py", "--time_variables",
         folder / "design.csv", "--baseline", "poly, 0", "--overwrite", "--no_rescale"],
        folder,
    )  # fmt: skip
    path = folder / "out" / "free_parameters.csv"
    if not path.is_file():
        raise DataError("fsl_dynmrs wrote no free_parameters.csv")
    with path.open() as file:
        rows = list(csv.reader(file))
    return {row[0]: float(row[1]) for row in rows[1:] if len(row) > 1 and _is_number(row[1])}


def run_lcmodel(
    command: str, fids: Fids, basis: Basis, options: FitOptions, folder: Path
) -> list[tuple[np.ndarray, np.ndarray]]:
    """LCModel once a spectrum, with the basis' own macromolecules instead of simulated ones."""
    (folder / "set.basis").write_text(to_lcmodel(basis.broadened(LINEWIDTH_HZ)))
    found = []
    for j, fid in enumerate(fids.transients):
        (folder / "data.raw").write_text(to_raw(fid))
        names = {"filbas": "set.basis", "filraw": "data.raw", "filps": "out.ps"}
        text = lcmodel_control(fids, basis, options, names | {"filtab": "out.table"})
        table = folder / "out.table"
        table.unlink(missing_ok=True)
        _run("lcmodel", [command], folder, text)
        if not table.is_file():
            raise DataError(f"lcmodel wrote no table for spectrum {j}: is the basis readable?")
        found.append(_read_lcmodel(table.read_text(), basis.names))
    return found


def lcmodel_control(fids: Fids, basis: Basis, options: FitOptions, names: dict[str, str]) -> str:
    """A control file of LCModel for a fit of these options.

    Parameters
    ----------
    names : dict
        Its parameters that name a file. LCModel keeps at most 80 characters of a line: names are
        relative to the folder that it runs in. Water is scaled by where one is of water.
    """
    own = any(is_broad(name) for name in basis.names)
    control = [
        f"key={LCMODEL_KEY}",
        f"nunfil={fids.n_points}, deltat={fids.dwell_s:.9e}, hzpppm={fids.frequency_mhz:.6f}",
        *(f"{key}='{name}'" for key, name in names.items()),
        "ltable=7",
        f"ppmst={options.range_high_ppm}, ppmend={options.range_low_ppm}",
        f"dows={'T' if 'filh2o' in names else 'F'}, doecc=F, neach=0{', nsimul=0' if own else ''}",
    ]
    return " $LCMODL\n " + "\n ".join(control) + "\n $END\n"


def write_fsl_basis(basis: Basis, folder: Path) -> None:
    """A basis as a folder of FSL-MRS JSON files."""
    folder.mkdir(exist_ok=True)
    for name, text in to_fsl(basis).items():
        (folder / name).write_text(text)


def _run(engine: str, command: list, folder: Path, text: str = "") -> None:
    # An engine may be a script that takes modules from beside itself.
    own = {key: one for key, one in os.environ.items() if key != "PYTHONSAFEPATH"}
    try:
        done = subprocess.run(
            [str(part) for part in command],
            cwd=folder,
            env={**own, **ONE_THREAD, "MPLBACKEND": "Agg"},
            input=text,
            capture_output=True,
            text=True,
            timeout=TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"{engine} did not end within {TIMEOUT_S} s") from None
    except OSError as error:
        raise machine_fault(error, engine) or MachineFault(
            f"{engine} cannot be started ({error.strerror}); mend its installation, then run the "
            "same command again"
        ) from None
    # A shell that started the engine reports the signal that ended it as 128 + its number.
    number = -done.returncode if done.returncode < 0 else done.returncode - 128
    if number in set(signal.Signals):
        raise MachineFault(
            f"{engine} was killed ({signal.Signals(number).name}): by a limit of time or memory, "
            "or by hand; give the job more, then run the same command again"
        )
    if done.returncode:
        last = (done.stderr or done.stdout).strip().splitlines()
        raise DataError(
            f"{engine} ended with code {done.returncode}: {last[-1] if last else 'no message'}"
        )


def _fsl_baseline(options: FitOptions) -> str:
    # `--baseline_order 0` is ignored by FSL-MRS 2.4.11; this form is not.
    if options.baseline == "spline":
        return "spline, moderate"
    return "off" if options.baseline == "none" else f"poly, {options.baseline_order}"


def _read_fsl(path: Path, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    if not path.is_file():
        raise DataError("fsl_mrs wrote no all_parameters.csv")
    with path.open() as file:
        rows = {row["parameter"]: row for row in csv.DictReader(file)}
    return (
        np.array([float(rows[name]["mean"]) for name in names]),
        np.array([float(rows[name]["std"]) for name in names]),
    )


def to_raw(fid: np.ndarray, sequence: str = "") -> str:
    """An FID as LCModel's .RAW; its sign is the conjugate of `Fids`. `sequence`: a namelist SEQPAR
    in front, where there is one."""
    lines = (f"{value.real:16.7E}{-value.imag:16.7E}\n" for value in fid)
    head = " $NMID ID='fmrsflow', FMTDAT='(2E16.7)', VOLUME=1., TRAMP=1. $END\n"
    return sequence + head + "".join(lines)


def _read_lcmodel(text: str, names: tuple[str, ...]) -> tuple[np.ndarray, np.ndarray]:
    """Amplitudes and CRLBs of LCModel's concentration table; absent metabolites are zero."""
    rows = {}
    for line in text.splitlines():
        match = re.match(r"\s*(\S+)\s+(\d+)%\s+\S+\s+(\S+)\s*$", line)
        if match:
            rows[match[3]] = (float(match[1]), float(match[2]))
    if not rows:
        raise DataError("lcmodel's table holds no concentrations")
    values = [rows.get(name, (0.0, 999.0)) for name in names]
    amplitudes = np.array([value for value, _ in values])
    percent = np.array([one for _, one in values])
    # 999 % stands for "larger than can be stated".
    se = np.where(percent < 999, amplitudes * percent / 100, np.nan)
    return amplitudes, se


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


_DYNAMIC = """from numpy import ones_like, stack

Parameters = {{
    "conc": {{"dynamic": "model_glm", "params": [f"beta{{i}}" for i in range({n})]}},
    "gamma": {{"dynamic": "model_width", "params": ["base", "bold"]}},
    "Phi_0": "fixed",
    "Phi_1": "fixed",
    "eps": "fixed",
    "sigma": "fixed",
    "baseline": "fixed",
}}
Bounds = {{"base": (0, None), "sigma": (0, None), "beta0": (0, None)}}


def model_glm(p, t):
    return t[:, :{n}] @ p


def model_width(p, t):
    return p[0] + p[1] * t[:, {n}]


def model_glm_grad(p, t):
    return t[:, :{n}].T


def model_width_grad(p, t):
    return stack([ones_like(t[:, 0]), t[:, {n}]])
"""
