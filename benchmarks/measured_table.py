"""`python benchmarks/measured_table.py [--fsl_mrs COMMAND]`: the tables of docs/measured.md, ours
beside LCModel, Osprey, Tarquin and FSL-MRS on the same measured averages, as Markdown.

FSL-MRS is the user's own installation (non-commercial use only); its column is empty without it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from fmrsflow.basis.files import Basis
from fmrsflow.basis.simulate import with_macromolecules
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.average import fit_average
from fmrsflow.fit.broad import is_broad
from fmrsflow.fit.engines import fit_with_engine
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult
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


@dataclass(frozen=True)
class FslMrs:
    """FSL-MRS with a polynomial baseline of second order, its default; nothing without a
    command."""

    command: str

    def fit(self, fids: Fids, basis: Basis, **settings) -> FitResult | None:
        """Its fit of a spectrum; it needs macromolecules in the basis."""
        if not self.command:
            return None
        if not any(map(is_broad, basis.names)):
            basis = with_macromolecules(basis, "separate")
        options = FitOptions(
            engine="fsl_mrs", command=self.command, baseline="polynomial", baseline_order=2,
            **settings,
        )  # fmt: skip
        return fit_with_engine(fids, basis, options)[0]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fsl_mrs", default="", help="its command")
    other = FslMrs(parser.parse_args().fsl_mrs)
    for table in (_brains, _challenge, _lcmodel, _scans):
        print("\n".join(table(other)), end="\n\n", flush=True)


def _row(*cells) -> str:
    words = [f"{cell:.3f}" if isinstance(cell, float) else str(cell) for cell in cells]
    return f"| {' | '.join(words)} |"


def _head(*cells: str) -> Iterator[str]:
    yield _row(*cells)
    yield "|" + "---|" * len(cells)


def _percent(value: float, reference: float) -> str:
    return f"{100 * (value / reference - 1):+.0f}"


def _brains(other: FslMrs) -> Iterator[str]:
    brains = specvis()
    ours = [ratios(b.fitted(FitOptions(**RANGE)))[0] for b in brains]
    theirs = {name: values.mean(axis=0) for name, values in engine_ratios(brains).items()}
    fsl = _mean_of(lambda b: other.fit(b.fids, b.basis, **RANGE), brains)
    yield "Mean ratios to tCr of 17 brains:\n"
    yield from _head("", "ours", *theirs, "FSL-MRS", "ours to LCModel %", "ours to FSL-MRS %")
    for k, (name, value) in enumerate(zip(SEVEN, np.mean(ours, axis=0))):
        yield _row(
            name, float(value), *(float(x[k]) for x in theirs.values()), *_of(fsl, k),
            _percent(value, theirs["LCModel"][k]), _percent(value, fsl[k]) if fsl else "",
        )  # fmt: skip


def _mean_of(fit: Callable, brains: list) -> list[float] | None:
    found = [fit(brain) for brain in brains]
    if found[0] is None:
        return None
    return np.mean([ratios(one)[0] for one in found], axis=0).tolist()


def _of(values, k: int) -> tuple:
    return (values[k] if values else "",)


def _challenge(other: FslMrs) -> Iterator[str]:
    sets = challenge()
    yield "Six sets of the fitting challenge, mean absolute error:\n"
    yield from _head("", "main sums %", *MAIN_SUMS, "all metabolites mM", "slope")
    for name, fit in (("ours", lambda *a: fit_average(*a)[0]), ("FSL-MRS", other.fit)):
        fits = [fit(one.fids, one.basis) for one in sets]
        if fits[0] is None:
            continue
        found = [concentrations(one, result) for one, result in zip(sets, fits)]
        sums, truth = main_sums(sets, found)
        errors = 100 * np.abs(sums / truth - 1)
        singles = np.concatenate(list(single_errors(sets, found).values()))
        each = (f"{x:.2f}" for x in errors.mean(axis=0))
        yield _row(
            name,
            f"{errors.mean():.2f}",
            *each,
            float(singles.mean()),
            f"{scale_of(sums, truth):.4f}",
        )


def _lcmodel(other: FslMrs) -> Iterator[str]:
    fids, basis = lcmodel_test()
    values, errors = ratios(fit_average(fids, basis)[0], tuple(LCMODEL_TEST), "total")
    fit = other.fit(fids, basis)
    fsl = None if fit is None else ratios(fit, tuple(LCMODEL_TEST))[0].tolist()
    yield "LCModel's test spectrum, ratios to tCr:\n"
    yield from _head("", "ours +- 95 %", "LCModel", "FSL-MRS", "ours to LCModel %")
    for k, (name, (told, _)) in enumerate(LCMODEL_TEST.items()):
        words = f"{values[k]:.3f} +- {1.96 * errors[k]:.3f}"
        yield _row(name, words, told, *_of(fsl, k), _percent(values[k], told))


def _scans(other: FslMrs) -> Iterator[str]:
    yield "Glu/tCr of measured scans:\n"
    yield from _head("", "ours +- 95 %", "LCModel", "FSL-MRS", "ours to LCModel %")
    for scan in scans():
        (value,), (error,) = ratios(scan.fitted(), ("Glu",), "total")
        told = SCANS_LCMODEL.get(scan.name)
        try:
            fit = other.fit(scan.fids, scan.basis)
        except DataError as reason:
            fit, words = None, str(reason)
        else:
            words = "" if fit is None else float(ratios(fit, ("Glu",))[0][0])
        yield _row(
            scan.name, f"{value:.3f} +- {1.96 * error:.3f}", told or "", words,
            _percent(value, told) if told else "",
        )  # fmt: skip


if __name__ == "__main__":
    main()
