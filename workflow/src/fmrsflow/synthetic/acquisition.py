"""From the plan to the protocol of one scan: amplitudes, design, lineshape, artefacts."""

from __future__ import annotations

import math
from dataclasses import replace
from functools import lru_cache

import numpy as np

from fmrsflow.basis import systems
from fmrsflow.basis.files import Basis
from fmrsflow.basis.sequences import sequence
from fmrsflow.basis.simulate import broad_fids, shaped_pulses, simulate, with_macromolecules
from fmrsflow.concentration import PURE_WATER_MMOL_PER_KG, ConstantsSet, Tissue, constants
from fmrsflow.constants import GYROMAGNETIC_MHZ_PER_T, NARROWING_HZ, SIEMENS_MHZ
from fmrsflow.synthetic import ingredients as ing
from fmrsflow.synthetic.foreign import unstated
from fmrsflow.synthetic.foreign_lines import named_lines, tables_of
from fmrsflow.synthetic.normal import (
    LIPIDS,
    MACROMOLECULES,
    MM_RELAXATION,
    OTHER_LINES,
    PYRUVATE,
    natural_widths_hz,
    t2_width_hz,
)
from fmrsflow.synthetic.people import (
    PlannedScan,
    draw,
    generator,
    identity,
    true_changes,
    true_concentrations,
)
from fmrsflow.synthetic.plan import Plan, SitePlan, TaskPlan
from fmrsflow.synthetic.scanner import Protocol, boxcar, haemodynamic

_FREQUENCY_MHZ = {
    "Philips": {3: 127.755, 7: 298.04},
    "Siemens": SIEMENS_MHZ,
    "GE": {3: 127.74, 7: 298.03},
}
"""Of one scanner a vendor and field: magnets differ a little from their nominal field."""

_VENDOR_SCALE = {"Philips": 2e-3, "Siemens": 1e-6, "GE": 1e2}
"""Receiver units per mmol/kg: the vendors' files differ by many orders."""


def frequency_mhz(site: SitePlan) -> float:
    """Spectrometer frequency of a vendor's magnet."""
    known = _FREQUENCY_MHZ.get(site.vendor, {}).get(round(site.field_t))
    return known if known is not None else GYROMAGNETIC_MHZ_PER_T * site.field_t


def basis_of(site: SitePlan) -> Basis:
    """The basis that the site's scanner gives, simulated once for each distinct protocol; its echo
    time is the one that files and sheets state."""
    te_s = site.actual_te_s or site.te_s
    foreign = site.family == "foreign"
    if foreign:
        steps = unstated(site.sequence, te_s, site.te1_s)
    else:
        steps = sequence(site.sequence, te_s, site.te1_s, site.tm_s, vendor=site.vendor)
    basis = _basis(
        steps,
        "shaped" if foreign else site.pulses,
        frequency_mhz(site),
        site.spectral_width_hz,
        site.points,
        tables_of(site.field_t)[0] if foreign else "",
    )
    if site.pyruvate_mmol_per_kg:
        other = broad_fids(PYRUVATE, basis.frequency_mhz, site.points, basis.dwell_s)
        basis = replace(
            basis, names=(*basis.names, *PYRUVATE), fids=np.concatenate([basis.fids, other])
        )
    return replace(basis, te_s=site.te_s)


@lru_cache(maxsize=32)
def _basis(steps, kind, mhz, width_hz, points, table) -> Basis:
    """Basis of a sequence with pulses of that kind, and other lines of brains: those that fits
    leave to their baseline, or all of a table of foreign macromolecules in place of ours."""
    pulses = shaped_pulses(steps, None) if kind == "shaped" else None
    metabolites = simulate(steps, mhz, points, width_hz, pulses=pulses)
    basis = with_macromolecules(metabolites, "separate")
    other = named_lines(table) if table else OTHER_LINES
    if table:
        basis = basis.select([one for one in basis.names if one not in systems.MACROMOLECULES])
    more = broad_fids(other, mhz, points, 1 / width_hz)
    return replace(basis, names=(*basis.names, *other), fids=np.concatenate([basis.fids, more]))


def blocks(design: TaskPlan, length_s: float) -> list[tuple[float, float, str]]:
    """Onset (s), duration (s) and name of each block of a scan of `length_s`, rest first."""
    found, onset = [], 0.0
    while onset < length_s - 1e-6:
        is_task = len(found) % 2 == 1
        duration = min(design.task_s if is_task else design.rest_s, length_s - onset)
        found.append((onset, duration, design.task if is_task else "rest"))
        onset += duration
    return found


def protocol_of(
    plan: Plan, scan: PlannedScan, tissue: Tissue, affine: np.ndarray
) -> tuple[Protocol, dict[str, float]]:
    """Everything that makes a scan, and its true concentrations at rest (mmol/kg).

    Parameters
    ----------
    plan, scan
    tissue : Tissue
        True fractions of the voxel.
    affine : array (4, 4)
        Of the voxel.
    """
    site = scan.visit.site
    te_s = site.actual_te_s or site.te_s
    who = identity(plan, scan)
    rng = generator(plan, "acquisition", *who)
    basis = basis_of(site)
    concentrations = {
        name: value
        for name, value in true_concentrations(plan, scan).items()
        if name in basis.names
    }
    session = generator(plan, "gain", *who[:4])
    gain = _VENDOR_SCALE[site.vendor] * math.exp(0.1 * session.standard_normal())
    relaxation = constants(plan.constants, site.field_t)
    tissue_water = 1 - tissue.water_mole_fraction("csf")
    amplitudes = {
        name: gain
        * value
        * tissue_water
        * relaxation.metabolite_factor(name, tissue, te_s, site.tr_s)
        for name, value in concentrations.items()
    }
    # Macromolecules belong to the voxel: the same at rest and during the task.
    broad = generator(plan, "broad", *who[:4])
    amplitudes.update(_broad(site, te_s, gain * tissue_water, broad))
    if site.pyruvate_mmol_per_kg:
        amplitudes["Pyr"] = gain * tissue_water * site.pyruvate_mmol_per_kg
    reference = ing.WaterReference(
        amplitude=2
        * gain
        * PURE_WATER_MMOL_PER_KG
        * sum(
            tissue.water_mole_fraction(x) * relaxation.water_factor(x, te_s, site.tr_s)
            for x in ("gm", "wm", "csf")
        ),
        te_s=site.te_s,
        tr_s=site.tr_s,
        transients=site.reference_transients,
        width_hz=_water_width(relaxation, tissue, concentrations, site),
    )
    response, bold = _courses(plan.design, scan, site)
    changes = {n: v for n, v in true_changes(plan, scan).items() if n in basis.names}
    protocol = Protocol(
        basis=basis,
        amplitudes=amplitudes,
        n_transients=site.transients,
        tr_s=site.tr_s,
        changes_percent=changes,
        response=response,
        bold=bold,
        natural_widths_hz=_natural_widths(relaxation, site, concentrations),
        shifts_hz=_shifts(plan, site, concentrations, who),
        lineshape=ing.Lineshape(
            lorentz_hz=max(0.5, draw(site.lorentz_hz, rng)),
            gauss_hz=max(0.0, draw(site.gauss_hz, rng)),
            skew_hz=site.skew_hz * float(rng.standard_normal()) + 0.0,
            narrowing_hz=narrowing_hz(site),
        ),
        walk=ing.Walk(
            drift_hz=site.drift_hz * float(rng.standard_normal()) + site.fixed_drift_hz,
            step_hz=site.frequency_step_hz,
            step_deg=site.phase_step_deg,
            jitter_hz=site.frequency_jitter_hz,
            jitter_deg=site.phase_jitter_deg,
            motions=int(rng.poisson(site.motion_rate)),
            motion_hz=site.motion_hz,
            motion_deg=site.motion_deg,
            jump_hz=site.jump_hz,
            offset_deg=site.phase_offset_deg,
        ),
        eddy=ing.EddyCurrent(site.eddy_hz * float(rng.standard_normal())) if site.eddy_hz else None,
        residual_water=ing.WaterResidue(max(1e-5, draw(site.residual_water, rng))),
        baseline=ing.BaselineHumps(site.baseline) if site.baseline else None,
        scalp_lipid=_scalp_lipid(plan, site, who),
        movement=ing.Movement(site.movement_probability, reverse=scan.visit.mirrored)
        if site.movement_probability
        else None,
        lipid_burst=_if(site.lipid_burst_probability, ing.LipidBurst),
        echo=_if(site.echo_probability, ing.Echo),
        noise=ing.Noise(max(1.0, draw(site.snr_tcr, rng)), -1 if scan.visit.mirrored else 1),
        coils=ing.Coils(site.coils, site.coil_correlation) if site.coils > 1 else None,
        adc=ing.Adc(site.adc_full_scale) if site.adc_full_scale else None,
        reference=reference,
        affine=affine,
        header={
            "Manufacturer": site.vendor,
            "ManufacturersModelName": "synthetic",
            "MagneticFieldStrength": site.field_t,
            "SequenceName": site.sequence,
        },
    )
    return protocol, concentrations


def _if(probability: float, kind):
    return kind(probability) if probability else None


def _broad(site: SitePlan, te_s: float, scale: float, rng) -> dict[str, float]:
    """Amplitudes of macromolecules and lipids, each with 10 % of spread between voxels."""
    relaxation = MM_RELAXATION[7 if site.field_t > 5 else 3].factor(te_s, site.tr_s)
    found = {}
    macromolecules = MACROMOLECULES
    if site.family == "foreign":
        lines = named_lines(tables_of(site.field_t)[0])
        macromolecules = dict.fromkeys(lines, MACROMOLECULES["MM09"])
    for names, factor in ((macromolecules, relaxation), (LIPIDS, relaxation * site.lipids)):
        for name, value in names.items():
            spread = math.exp(0.1 * rng.standard_normal())
            share = site.unmodelled_mm if name in OTHER_LINES else 1.0
            found[name] = scale * value * factor * spread * share
    return found


def _courses(design: TaskPlan, scan: PlannedScan, site: SitePlan) -> tuple[np.ndarray, np.ndarray]:
    """Metabolic and haemodynamic response of each transient."""
    n, tr_s = site.transients, site.tr_s
    if scan.condition:
        full = np.full(n, float(scan.condition != "rest"))
        return full, full
    task = [(on, length) for on, length, name in blocks(design, n * tr_s) if name != "rest"]
    onsets, durations = zip(*task) if task else ((), ())
    bold = haemodynamic(onsets, durations, n, tr_s)
    metabolic = bold if design.response == "haemodynamic" else boxcar(onsets, durations, n, tr_s)
    return metabolic, bold


def narrowing_hz(site: SitePlan) -> float:
    """Lorentzian width (Hz) that the BOLD effect takes off at a site."""
    if site.bold_narrowing_hz is not None:
        return site.bold_narrowing_hz
    return NARROWING_HZ[7 if site.field_t > 5 else 3]


def _natural_widths(relaxation: ConstantsSet, site: SitePlan, names) -> dict[str, float]:
    """Widths of their own, where the site's metabolites have them."""
    if not site.natural_widths:
        return {}
    return natural_widths_hz(relaxation, names)


def _water_width(relaxation: ConstantsSet, tissue: Tissue, names, site: SitePlan) -> float:
    """Lorentzian width of tissue water beyond the common one, which is that of creatine, or of the
    longest T2 where metabolites have widths of their own."""
    parenchyma = tissue.gm + tissue.wm
    water = sum(getattr(tissue, x) / (np.pi * relaxation.water[x].t2_s) for x in ("gm", "wm"))
    widths = {name: t2_width_hz(relaxation, name) for name in names}
    common = min(widths.values()) if site.natural_widths else widths.get("Cr", 2.0)
    return max(0.0, water / parenchyma - common)


def _shifts(plan: Plan, site: SitePlan, names, scan) -> dict[str, float]:
    if not site.metabolite_shift_hz:
        return {}
    rng = generator(plan, "shifts", *scan[:4])
    return {name: site.metabolite_shift_hz * float(rng.standard_normal()) for name in names}


def _scalp_lipid(plan: Plan, site: SitePlan, scan) -> ing.ScalpLipid | None:
    if not site.scalp_lipids:
        return None
    rng = generator(plan, "scalp", *scan[:4])
    return ing.ScalpLipid(site.scalp_lipids * float(rng.exponential()))
