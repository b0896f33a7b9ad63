"""The record that a synthetic set carries (docs/science.md#synthetic), and its methods paragraph.

Its schema is `workflow/schemas/record.json`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from importlib.metadata import version

from fmrsflow.basis.files import Basis
from fmrsflow.synthetic.acquisition import frequency_mhz, narrowing_hz
from fmrsflow.synthetic.foreign_lines import SOURCES, tables_of
from fmrsflow.synthetic.normal import CONCENTRATIONS, LIPIDS, MACROMOLECULES, OTHER_LINES
from fmrsflow.synthetic.plan import Plan, SitePlan
from fmrsflow.words import count

RECORD_VERSION = "1"

SNR_DEFINITION = (
    "height of the noise-free real spectrum in 2.9-3.1 ppm over the SD of the real noise, "
    "one transient, coils combined, one SD"
)

TRUTH_FILES = {
    "scans": "truth/scans.tsv",
    "concentrations": "truth/concentrations.tsv",
    "response": "truth/response.tsv",
    "transients": "truth/transients.tsv",
    "tissue_maps": "truth/<site>/sub-<subject>/anat/",
}


_BOLD_TRUTH = "truth/<site>/sub-<subject>/ses-fmri<n>/func/"


def study_record(plan: Plan, bases: Mapping[str, Basis]) -> dict:
    """The record of a study.

    Parameters
    ----------
    plan : Plan
    bases : mapping of site name to Basis
    """
    return {
        "record_version": RECORD_VERSION,
        "name": plan.name,
        "description": plan.description,
        "generator": {"name": "fmrsflow", "version": version("fmrsflow")},
        "seed": plan.seed,
        "licence": plan.licence,
        "truth": {**TRUTH_FILES, **({"bold_runs": _BOLD_TRUTH} if plan.bold_sessions else {})},
        "design": asdict(plan.design),
        "participants": asdict(plan.participants),
        "regions": [asdict(region) for region in plan.regions],
        "responses_percent": {name: asdict(one) for name, one in plan.responses.items()},
        "concentrations": {
            "unit": "mmol per kg tissue water",
            "distribution": "log-normal; independent deviations of vendor, site, participant and "
            "session add; half the variance of vendor and site is common to all metabolites; "
            "tNAA, tCr and tCho vary as one",
            "mean": {**CONCENTRATIONS, **plan.concentrations.mean_mmol_per_kg},
            "vendor_cv": plan.concentrations.vendor_cv,
            "site_cv": plan.concentrations.site_cv,
            "participant_cv": plan.concentrations.participant_cv,
            "session_cv": plan.concentrations.session_cv,
            "relaxation": plan.constants,
        },
        "models": {
            "macromolecules": {
                "components": "MM lines of the basis, 10 % SD between voxels, T1 0.35 s T2 30 ms "
                "(3T), T1 0.40 s T2 24 ms (7T)",
                "mmol_per_kg": MACROMOLECULES,
                "other_lines_ppm_width_protons": OTHER_LINES["MMother"],
                "foreign": {name: SOURCES[name] for name in _foreign_tables(plan)},
            },
            "lipids": {"components": "as macromolecules, times `lipids` of the site",
                       "relative": LIPIDS},
            "baseline": "four Gaussian humps of 0.5-1.5 ppm FWHM at random places in 0.2-4.2 ppm, "
            "scaled to `baseline` of the largest metabolite peak",
            "residual_water": "three Lorentzian lines about 4.65 ppm, each with its own phase, "
            "10 % SD between transients",
            "lineshape": "Voigt, common to all signals, water wider by its shorter T2; B0 skew by "
            "an exponential distribution; "
            "Lorentzian width reduced in proportion to the BOLD response",
            "bold_response": "blocks convolved with a double-gamma haemodynamic response",
            "drift": "linear drift, random walk and jitter of frequency and phase, sudden steps",
            "eddy_current": "exponential offset, common to water and metabolites",
            "noise": "complex white Gaussian; correlated over coils where there are several",
            "snr_definition": SNR_DEFINITION,
            "anatomy": "MNI152 2009a tissue templates, affine and smooth bend per person, bias "
            "field of 12 % SD, noise 2.5 % of white matter",
        },
        "sites": [_site(site, bases[site.name]) for site in plan.sites],
    }  # fmt: skip


def methods_text(record: dict) -> str:
    """The paragraph for a methods section that the record gives."""
    sites = record["sites"]
    people = record["participants"]
    changes = "; ".join(
        f"{name} {_signed(one['percent'])} % (SD between vendors {one['vendor_sd']:g}, sites "
        f"{one['site_sd']:g}, participants {one['participant_sd']:g}, sessions "
        f"{one['session_sd']:g})"
        + (f", set for single people: {_fixed(one['fixed'])}" if one["fixed"] else "")
        for name, one in record["responses_percent"].items()
    )
    protocols = "; ".join(dict.fromkeys(_protocol(site) for site in sites))
    present = sorted({name for site in sites for name, on in site["artefacts"].items() if on})
    absent = sorted(set(sites[0]["artefacts"]) - set(present))
    design = record["design"]
    when = (
        f"blocks of {design['rest_s']:g} s rest and {design['task_s']:g} s {design['task']} task"
        if design["kind"] == "blocks"
        else f"one scan at rest and one during the {design['task']} task"
    )
    c = record["concentrations"]
    return (
        f"Synthetic data ({record['name']}) were made with {record['generator']['name']} "
        f"{record['generator']['version']} (seed {record['seed']}): {count(len(sites), 'site')}, "
        f"{count(people['per_site'], 'participant')} each and {people['travelling']} who "
        f"travelled, {people['sessions']} session(s), {when}. Protocols: {protocols}. "
        f"Basis sets were simulated ({sites[0]['basis']['pulses']} pulses). "
        f"Concentrations (mmol per kg tissue water) were log-normal with coefficients of variation "
        f"of {c['vendor_cv']:g} between vendors, {c['site_cv']:g} between sites, "
        f"{c['participant_cv']:g} between participants and {c['session_cv']:g} between sessions; "
        f"signals follow the relaxation constants `{c['relaxation']}` and the true tissue "
        f"fractions of the voxel. True responses: {changes or 'none'}. "
        f"Lines are Voigt and lose {_narrowings(sites)} Hz at full BOLD response. "
        f"SNR: {record['models']['snr_definition']}. "
        f"In the data: {', '.join(present)}; not in the data: {', '.join(absent) or 'nothing'}. "
        f"True values are in {record['truth']['scans'].split('/')[0]}/. "
        f"Licence: {record['licence']}.\n"
    )


def _foreign_tables(plan: Plan) -> list[str]:
    """Tables of macromolecules that sites of the foreign family have in place of these lines."""
    fields = {site.field_t for site in plan.sites if site.family == "foreign"}
    return sorted({tables_of(field_t)[0] for field_t in fields})


def _site(site: SitePlan, basis: Basis) -> dict:
    return {
        **{key: value for key, value in asdict(site).items() if key != "copies"},
        "frequency_mhz": frequency_mhz(site),
        "bold_narrowing_hz": narrowing_hz(site),
        "basis": {"te_s": basis.te_s, "tr_s": site.tr_s, "metabolites": list(basis.names),
                  **basis.made},
        "artefacts": {
            "frequency and phase drift": bool(site.drift_hz or site.frequency_step_hz),
            "sudden motion": bool(site.motion_rate),
            "eddy currents": bool(site.eddy_hz),
            "residual water": bool(site.residual_water.mean),
            "baseline": bool(site.baseline),
            "lipids": bool(site.lipids),
            "scalp lipids": bool(site.scalp_lipids),
            "metabolite-specific shifts": bool(site.metabolite_shift_hz),
            "lipid bursts": bool(site.lipid_burst_probability),
            "spurious echoes": bool(site.echo_probability),
            "B0 skew": bool(site.skew_hz),
            "coil array": site.coils > 1,
            "ADC clipping": site.adc_full_scale is not None,
            "metabolite-specific T2 widths": site.natural_widths,
        },
    }  # fmt: skip


def _protocol(site: dict) -> str:
    return (
        f"{site['vendor']} {site['field_t']:g}T {site['sequence']} TE {1e3 * site['te_s']:g} ms "
        f"TR {1e3 * site['tr_s']:g} ms, {site['transients']} transients"
    )


def _narrowings(sites: list[dict]) -> str:
    return " or ".join(f"{v:g}" for v in sorted({site["bold_narrowing_hz"] for site in sites}))


def _fixed(fixed: dict[str, float]) -> str:
    return ", ".join(f"{name} {_signed(value)} %" for name, value in fixed.items())


def _signed(value: float) -> str:
    return f"{value:+g}"
