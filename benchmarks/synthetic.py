"""Figures of the synthetic scanner: speed, memory, truth, and likeness to measured spectra."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np

from figure import Figure

SHARED = Path(__file__).resolve().parents[2] / "shared" / "data"
PICTURES = Path(__file__).resolve().parents[1] / "scratch" / "synthetic"

PLAN = """\
name: scale
description: many short scans
participants: {{per_site: {people}}}
site_defaults: {{transients: 64, coils: 1, field_t: 3, te_s: 0.03, tr_s: 2, sequence: PRESS}}
sites:
  - {{name: philips, copies: 5, vendor: Philips, file_format: sdat, reference_format: sdat}}
  - {{name: siemens, copies: 5, vendor: Siemens}}
"""

# Prints wall and CPU seconds, and the largest memory of this process and of its children, MB.
RUN = """\
import json, resource, sys, time
from fmrsflow.synthetic.consortium import make
from fmrsflow.synthetic.plan import load_plan
start = time.perf_counter()
count = sum(1 for _ in make(load_plan(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
usage = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
print(json.dumps({
    "count": count,
    "wall_s": time.perf_counter() - start,
    "cpu_s": sum(one.ru_utime + one.ru_stime for one in usage),
    "memory_mb": max(one.ru_maxrss for one in usage) / 1024,
}))
"""


def figures(quick: bool) -> Iterator[Figure]:
    """Measure; `quick` makes 40 scans in place of 1,000 and extrapolates."""
    yield from _scan()
    yield _truth()
    yield _demo()
    yield from _scale(quick)
    yield from _agreement(quick)
    if SHARED.is_dir():
        yield _likeness()


def _scan() -> Iterator[Figure]:
    from fmrsflow.synthetic import ingredients as ing
    from fmrsflow.synthetic.scanner import simulate

    one = replace(
        _protocol(),
        coils=ing.Coils(32),
        lipid_burst=ing.LipidBurst(0.05),
        echo=ing.Echo(0.05),
        adc=ing.Adc(1.2),
    )
    one = replace(one, n_transients=320, response=None, bold=None)
    start = time.process_time()
    scan = simulate(one, 1)
    cpu_s = time.process_time() - start
    assert scan.fids.data.shape == (320, 32, 2048)
    yield Figure(
        "320 transients x 32 coils x 2048 points, CPU s", cpu_s, "<= 3", cpu_s <= 3,
        "every ingredient on",
    )  # fmt: skip
    scan = simulate(_protocol(), 1)
    noise = scan.fids.transients - scan.truth.fids
    error = abs(noise.real.var() / scan.truth.noise_sd**2 - 1)
    limit = 4 * np.sqrt(2 / noise.size)
    yield Figure("noise variance against closed form", float(error), f"<= {limit:.2g} (4 SE)",
                 bool(error <= limit))  # fmt: skip


def _truth() -> Figure:
    """Linear fit of noise-free FIDs by the basis itself: largest relative error of an amplitude."""
    from fmrsflow.synthetic.scanner import simulate

    bare = replace(_protocol(), noise=None, residual_water=None, baseline=None, reference=None,
                   eddy=None)  # fmt: skip
    scan = simulate(bare, 1)
    truth, shape = scan.truth, bare.lineshape
    time_s = scan.fids.time_s
    present = truth.amplitudes[0] > 0
    worst = 0.0
    for j in range(len(truth.fids)):
        phase = 2 * np.pi * truth.shift_hz[j] * time_s + np.deg2rad(truth.phase_deg[j])
        width = np.pi * truth.lorentz_hz[j] * time_s
        width = width + (np.pi * shape.gauss_hz * time_s) ** 2 / (4 * np.log(2))
        columns = (bare.basis.fids[present] * np.exp(1j * phase - width)).T
        found = np.linalg.lstsq(columns, truth.fids[j], rcond=None)[0]
        worst = max(worst, float(abs(found / truth.amplitudes[j, present] - 1).max()))
    return Figure("true amplitudes from noise-free FIDs, relative error", worst, "<= 1e-6",
                  worst <= 1e-6, f"{present.sum()} components")  # fmt: skip


def _demo() -> Figure:
    with tempfile.TemporaryDirectory() as folder:
        used = _run("demo", folder, 1)
    return Figure("demo study, CPU s", used["cpu_s"], "<= 60", used["cpu_s"] <= 60,
                  f"{used['count']} people")  # fmt: skip


def _scale(quick: bool) -> Iterator[Figure]:
    sizes = (1, 4) if quick else (25, 100)
    used = []
    for people in sizes:
        with tempfile.TemporaryDirectory() as folder:
            plan = Path(folder) / "plan.yaml"
            plan.write_text(PLAN.format(people=people))
            used.append(_run(plan, f"{folder}/data", 2))
    # CPU seconds over cores: what an idle machine's clock shows.
    minutes = used[-1]["cpu_s"] / 2 / used[-1]["count"] * 1000 / 60
    yield Figure(
        "1,000 scans with T1w, 64 transients, CPU minutes on each of 2 cores",
        minutes,
        "<= 20",
        minutes <= 20,
        f"from {used[-1]['count']} scans; clock {used[-1]['wall_s']:.0f} s on this machine's load",
    )  # fmt: skip
    growth = used[1]["memory_mb"] / used[0]["memory_mb"]
    yield Figure(
        f"peak memory, {used[1]['count']} over {used[0]['count']} scans", growth, "<= 1.1",
        growth <= 1.1, f"{used[1]['memory_mb']:.0f} MB a process",
    )  # fmt: skip


def _agreement(quick: bool) -> Iterator[Figure]:
    """Simulated bases against other people's, of a benchmark of its own."""
    try:
        import basis_agreement
    except ModuleNotFoundError:
        return
    yield from basis_agreement.figures(quick)


def _likeness() -> Figure:
    """A simulated and the measured Philips PRESS TE 30 spectrum, processed alike, on one axis."""
    names = [f"sub-01_ses-01_PRESS_raw-{kind}_noID" for kind in ("act", "ref")]
    folder = SHARED / "philips-press-3t"
    measured, water = (_converted(folder / f"{name}.SDAT") for name in names)
    from fmrsflow.synthetic.scanner import simulate

    one = replace(_protocol(), response=None, bold=None)
    scan = simulate(one, 3)
    truth = scan.truth
    aligned = scan.fids.shifted(-truth.shift_hz).rotated(-truth.phase_deg).mean()
    lines = {}
    for label, fids, reference in (
        ("measured", measured, water), ("simulated", aligned, scan.reference.mean()),
    ):  # fmt: skip
        lines[label] = _processed(fids, reference)
    axis, target = lines["measured"]
    ppm, spectrum = lines["simulated"]
    inside = (axis > 0.5) & (axis < 4.1)
    spectrum = np.interp(axis, ppm, spectrum)
    correlation = float(np.corrcoef(target[inside], spectrum[inside])[0, 1])
    _picture(axis, target, spectrum)
    return Figure(
        "simulated with measured Philips PRESS TE 30, correlation", correlation, ">= 0.95",
        correlation >= 0.95, "picture in scratch/synthetic",
    )  # fmt: skip


def _picture(ppm, measured, simulated) -> None:
    from matplotlib.figure import Figure as Picture

    picture = Picture(figsize=(9, 4.5), layout="constrained")
    axes = picture.subplots()
    axes.plot(ppm, measured, color="#0072B2", linewidth=0.9, label="measured, 48 transients")
    axes.plot(ppm, simulated, color="#D55E00", linewidth=0.9, label="simulated, 48 transients")
    axes.set_xlim(4.2, 0.2)
    inside = (ppm > 0.2) & (ppm < 4.2)
    axes.set_ylim(-0.1, 1.1 * max(measured[inside].max(), simulated[inside].max()))
    axes.set_xlabel("chemical shift (ppm)")
    axes.set_ylabel("real spectrum, tCr = 1")
    axes.set_title("Philips 3T PRESS TE 30 ms, TR 2 s", fontsize=10)
    axes.legend(frameon=False, loc="upper left")
    PICTURES.mkdir(parents=True, exist_ok=True)
    picture.savefig(PICTURES / "philips-press-30.png", dpi=120)


def _processed(fids, reference):
    """Axis and real spectrum with tCr at 1: eddy currents, residual water, frequency and phase."""
    from fmrsflow.preprocess.eddy import correct_eddy, eddy_phase
    from fmrsflow.preprocess.reference import apply_reference, frequency_reference
    from fmrsflow.preprocess.water import remove_water

    fids = correct_eddy(fids, eddy_phase(reference))
    fids, _ = remove_water(fids)
    fids = apply_reference(fids, frequency_reference(fids))
    spectrum = fids.spectra[0, 0].real
    return fids.ppm, spectrum / spectrum[(fids.ppm > 2.9) & (fids.ppm < 3.1)].max()


def _converted(sdat: Path):
    import nibabel as nib

    from fmrsflow.fids import from_nifti

    with tempfile.TemporaryDirectory() as folder:
        command = ["spec2nii", "philips", str(sdat), str(sdat.with_suffix(".SPAR")), "-o", folder]
        subprocess.run(command, check=True)
        return from_nifti(nib.load(next(Path(folder).glob("*.nii.gz"))))


def _protocol():
    """The first site of the demo, one average person, lines as the measured Philips scan has."""
    from fmrsflow.concentration import Tissue
    from fmrsflow.synthetic.acquisition import protocol_of
    from fmrsflow.synthetic.people import scans, visits
    from fmrsflow.synthetic.plan import Concentrations, Distribution, load_plan

    plan = load_plan("demo")
    site = replace(
        plan.sites[0],
        transients=48,
        lorentz_hz=Distribution(2.4),
        gauss_hz=Distribution(3.0),
        points=2048,
    )
    plan = replace(plan, sites=(site,), concentrations=Concentrations(participant_cv=0.0))
    scan = next(scans(plan, next(visits(plan))))
    affine = np.diag([26.0, 26.0, 30.0, 1.0])
    return protocol_of(plan, scan, Tissue(0.58, 0.33, 0.09), affine)[0]


def _run(plan, folder, cores: int) -> dict:
    command = [sys.executable, "-c", RUN, str(plan), str(folder), str(cores)]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return json.loads(done.stdout)
