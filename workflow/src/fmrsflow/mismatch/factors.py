"""What goes wrong at a scanner, and its doses (docs/mismatch.md)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Factor:
    """One thing that goes wrong.

    Attributes
    ----------
    name : str
        Letters only: part of the names of sites.
    title, unit : str
        For tables and pages.
    doses : tuple of float
        Rising damage, nominal left out.
    perturbed : float
        The dose that `everything` takes.
    key : str
        Key of `synthetic.plan.SitePlan` that the dose sets.
    why : str
        What it does to a spectrum and to an analysis, in a sentence.
    """

    name: str
    title: str
    unit: str
    doses: tuple[float, ...]
    perturbed: float
    key: str
    why: str


FACTORS = (
    Factor(
        "linewidth",
        "Broader lines at equal SNR",
        "Hz",
        (1, 2, 4, 6),
        2,
        "lorentz_hz",
        "SNR is that of the broad line, so this is the cost of overlap alone: small for a "
        "change, as what overlaps does not respond. Lines twice as wide at unchanged noise "
        "also halve the SNR, and that is what they cost.",
    ),
    Factor(
        "drift",
        "Frequency drift over the scan",
        "Hz",
        (1.5, 3, 5, 8),
        1.5,
        "fixed_drift_hz",
        "A drift smears the average unless every transient is brought back first; blocks of "
        "rest and task alternate, so what is left of it touches both alike.",
    ),
    Factor(
        "step",
        "A step of frequency",
        "Hz",
        (1.5, 3, 5),
        1.5,
        "jump_hz",
        "A step moves part of the transients in one go, as when the head settles; alignment "
        "finds it like any other shift.",
    ),
    Factor(
        "phase",
        "Zero-order phase",
        "degrees",
        (5, 10, 20, 30),
        5,
        "phase_offset_deg",
        "A constant phase turns absorption into dispersion; the frequency reference and the "
        "fit find it, as long as it is common to all transients.",
    ),
    Factor(
        "baseline",
        "Baseline",
        "of the largest peak",
        (0.02, 0.05, 0.1),
        0.05,
        "baseline",
        "A smooth signal under the peaks is told from them only by its width; it is the same "
        "at rest and during the task, so a change suffers less than a concentration.",
    ),
    Factor(
        "snr",
        "Noise: SNR of a transient",
        "dB",
        (25, 20, 15, 10, 5),
        15,
        "snr_tcr",
        "The error of a change grows in proportion to the noise, at every dose; at 5 dB it is "
        "several times the response, and a ratio of two such numbers is off on average too.",
    ),
    Factor(
        "water",
        "Residual water",
        "of water",
        (0.003, 0.01, 0.03, 0.1),
        0.01,
        "residual_water",
        "The tails of what water suppression leaves reach into the fitted range; HLSVD takes "
        "them off each transient before the fit.",
    ),
    Factor(
        "lipid",
        "Lipid from outside the voxel",
        "of NAA",
        (0.5, 2, 5),
        0.5,
        "scalp_lipids",
        "Lipid from the scalp lies at 0.9-1.5 ppm with a phase of its own, beside lactate and "
        "away from glutamate; it does not respond, so a change of glutamate hardly sees it.",
    ),
    Factor(
        "eddy",
        "Eddy currents (SD of the offset)",
        "Hz",
        (3, 10, 20),
        3,
        "eddy_hz",
        "Eddy currents distort every line alike; the phase of the water reference takes them off.",
    ),
    Factor(
        "movement",
        "Transients spoilt by movement",
        "of all",
        (0.05, 0.1, 0.2, 0.3),
        0.1,
        "movement_probability",
        "A transient during which the head moved has lost signal, frequency and phase. Up to "
        "a fifth of the transients may be removed; beyond, spoilt ones stay in and lower the "
        "condition that they fall into, and the intervals, which assume equal noise, are too "
        "short.",
    ),
    Factor(
        "narrowing",
        "BOLD narrowing",
        "Hz",
        (0.2, 0.5, 1.0),
        0.2,
        "bold_narrowing_hz",
        "BOLD narrows the lines during the task; a fit of constant width reads the higher "
        "peaks as more glutamate.",
    ),
    Factor(
        "echo",
        "Echo time longer than told",
        "ms",
        (2, 5, 10),
        2,
        "actual_te_s",
        "At another echo time the J-coupled multiplets have another shape than the basis "
        "says, and relaxation is corrected for the wrong time; both are the same at rest and "
        "during the task.",
    ),
    Factor(
        "missing",
        "Metabolite that the basis lacks (pyruvate)",
        "mmol/kg",
        (0.25, 0.5, 1),
        0.25,
        "pyruvate_mmol_per_kg",
        "The methyl line of pyruvate lies on glutamate's at 2.35 ppm; a fit without it gives "
        "its signal to glutamate, and a constant addition dilutes the percent change.",
    ),
    Factor(
        "macromolecules",
        "Macromolecules that the model lacks",
        "of usual",
        (0.5, 1, 2),
        1,
        "unmodelled_mm",
        "Macromolecules that the model lacks go into the baseline and into the metabolites "
        "they resemble; they do not respond, and dilute the change of what they are taken "
        "for.",
    ),
    Factor(
        "tissue",
        "Tissue taken for CSF",
        "of all",
        (0.05, 0.1, 0.2),
        0.05,
        "tissue_error",
        "Tissue counted as CSF raises every molal concentration alike; a percent change does "
        "not know of it.",
    ),
)
"""Every factor, in the order of tables and pages."""
