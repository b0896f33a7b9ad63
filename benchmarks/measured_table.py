"""`python benchmarks/measured_table.py`: the tables of docs/measured.md as Markdown, ours beside
LCModel, Osprey, Tarquin and FSL-MRS on the same measured averages."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from fmrsflow.fit.average import fit_average
from fmrsflow.fit.options import FitOptions
from measured_brains import RANGE, engine_ratios
from measured_data import MAIN_SUMS, SEVEN, challenge, lcmodel_test, ratios, scans, specvis
from measured_known import LCMODEL_TEST, concentrations, main_sums, scale_of, single_errors

SCANS_LCMODEL = {
    "Philips TE 30": 1.404,
    "Philips TE 35": 1.468,
    "third Philips": 1.046,
    "Siemens TE 30": 1.104,
}
"""Glu/tCr that LCModel 6.3 gave for four of the scans."""

# FSL-MRS 2.4.11 (Clarke, Stagg & Jbabdi 2021) by `engine: fsl_mrs`, polynomial baseline of order 2,
# on the same FIDs; simulated bases with shaped pulses and TE1 12.5 ms, parametric macromolecules.
BRAINS_FSL = (1.473, 0.213, 0.947, 1.719, 0.402, 2.122, 0.167)
LCMODEL_TEST_FSL = (1.207, 0.258, 0.960, 1.076, 0.478, 1.554, 0.295)
CHALLENGE_FSL = ("3.88", "1.32", "2.54", "5.03", "4.92", "5.59", "0.398", "1.0242")
SCANS_FSL = {
    "Philips TE 30": 1.453,
    "Philips TE 35": 0.492,
    "third Philips": 1.286,
    "Siemens TE 30": 1.543,
}


def main() -> None:
    """Print the tables."""
    for table in (_brains, _challenge, _lcmodel, _scans):
        print("\n".join(table()), end="\n\n", flush=True)


def _row(*cells) -> str:
    words = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
    return f"| {' | '.join(words)} |"


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|" + "---|" * len(cells)


def _percent(value: float, reference: float) -> str:
    return f"{100 * (value / reference - 1):+.0f}"


def _brains() -> Iterator[str]:
    brains = specvis()
    ours = np.mean([ratios(one.fitted(FitOptions(**RANGE)))[0] for one in brains], axis=0)
    means = {name: values.mean(axis=0) for name, values in engine_ratios(brains).items()}
    theirs = means | {"FSL-MRS": BRAINS_FSL}
    yield "Mean ratios to tCr of 17 brains:\n"
    yield from _head("", "ours", *theirs, "ours to LCModel %", "ours to FSL-MRS %")
    for k, (name, value) in enumerate(zip(SEVEN, ours)):
        others = [float(values[k]) for values in theirs.values()]
        yield _row(
            name, float(value), *others, _percent(value, others[0]), _percent(value, others[-1])
        )


def _challenge() -> Iterator[str]:
    sets = challenge()
    found = [concentrations(one, fit_average(one.fids, one.basis)[0]) for one in sets]
    sums, truth = main_sums(sets, found)
    errors = 100 * np.abs(sums / truth - 1)
    singles = np.concatenate(list(single_errors(sets, found).values()))
    yield "Six sets of the fitting challenge, mean absolute error:\n"
    each = [f"{x:.2f}" for x in (errors.mean(), *errors.mean(axis=0))]
    yield from _head("", "main sums %", *MAIN_SUMS, "all metabolites mM", "slope")
    yield _row("ours", *each, float(singles.mean()), f"{scale_of(sums, truth):.4f}")
    yield _row("FSL-MRS", *CHALLENGE_FSL)


def _lcmodel() -> Iterator[str]:
    fids, basis = lcmodel_test()
    values, errors = ratios(fit_average(fids, basis)[0], tuple(LCMODEL_TEST), "total")
    yield "LCModel's test spectrum, ratios to tCr:\n"
    yield from _head("", "ours +- 95 %", "LCModel", "FSL-MRS", "ours to LCModel %")
    for (name, (told, _)), fsl, value, error in zip(
        LCMODEL_TEST.items(), LCMODEL_TEST_FSL, values, errors
    ):
        yield _row(name, f"{value:.3f} +- {1.96 * error:.3f}", told, fsl, _percent(value, told))


def _scans() -> Iterator[str]:
    yield "Glu/tCr of measured scans:\n"
    yield from _head("", "ours +- 95 %", "LCModel", "FSL-MRS", "ours to LCModel %")
    for scan in scans():
        (value,), (error,) = ratios(scan.fitted(), ("Glu",), "total")
        told = SCANS_LCMODEL.get(scan.name)
        yield _row(
            scan.name, f"{value:.3f} +- {1.96 * error:.3f}", told or "",
            SCANS_FSL.get(scan.name, ""), _percent(value, told) if told else "",
        )  # fmt: skip


if __name__ == "__main__":
    main()
