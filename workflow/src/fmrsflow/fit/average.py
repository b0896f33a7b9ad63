"""Average of a spectrum's fits over models that are all reasonable, and their spread.

No criterion finds the stiffness of the baseline or the macromolecules of a measured spectrum: the
residual is smallest where the baseline follows what is not baseline. So the answer is the mean over
stiffnesses round the one that cross-validation prefers, and over sets of macromolecules, and its
model error is the spread of the answer among them (docs/science.md#model-error; Hoeting et al.
1999, Stat Sci 14:382-417, on averaging in place of choosing).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from scipy.linalg import LinAlgError

from fmrsflow.basis.files import Basis
from fmrsflow.fids import Fids
from fmrsflow.fit.broad import GROUPED, SETS
from fmrsflow.fit.model import Model, make_model, own_lines
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult, failed_result, make_result
from fmrsflow.fit.solve import fitted_again, prepared, search, solution

STIFFNESS = (0.25, 0.6, 1.0)
"""Effective dimensions of the baseline that are averaged, relative to the chosen one."""


WORSE = 0.5
"""A model's weight falls by a factor e where its residual is larger than the best one's by so much
of it: what plainly cannot describe a spectrum says nothing about its error, and of those that can
the residual is no judge."""


def fit_average(
    fids: Fids,
    basis: Basis,
    options: FitOptions | None = None,
    alternatives: Sequence[Basis] = (),
) -> list[FitResult]:
    """Fit each transient of `fids` under every model, and average.

    Parameters
    ----------
    fids : Fids
        One spectrum a transient, coils combined.
    basis : Basis
        On the axes of `fids`.
    options : FitOptions, optional
    alternatives : sequence of Basis
        Other bases that the scanner may have had, on the same axes.

    Returns
    -------
    list of FitResult
        Curves, parameters and quality of the first model (the basis, `broad.GROUPED`, the chosen
        stiffness); `amplitudes` the mean over models, `covariance` their mean covariance under
        noise, `model_covariance` that of the amplitudes among the models.

    Raises
    ------
    DataError
        Basis and data do not belong together (field, dwell time, length).
    """
    options = options or FitOptions()
    sets = SETS if own_lines(basis, options) else (GROUPED,)
    models = [make_model(fids, one, options, mm) for one in (basis, *alternatives) for mm in sets]
    return [_average(models, options, fids.select([j])) for j in range(fids.n_transients)]


def _average(models: list[Model], options: FitOptions, fids: Fids) -> FitResult:
    first = models[0]
    spectrum, scale, noise, reason = prepared(first, fids)
    if reason:
        return failed_result(first, spectrum, reason)
    data, sd = spectrum / scale, noise / scale
    try:
        end = solution(first, *search(first, options, data, sd))
    except LinAlgError as error:
        return failed_result(first, spectrum, str(error))
    result = make_result(spectrum, end, scale, noise)
    if result.status == "failed":
        return result
    found = [result]
    for model in models:
        for smoothness in _stiffnesses(model, end.target.smoothness, options):
            if model is first and smoothness == end.target.smoothness:
                continue
            try:
                other = fitted_again(model, data, sd, smoothness, end.state.theta)
            except LinAlgError:
                continue
            found.append(make_result(spectrum, solution(model, *other), scale, noise))
    return averaged(found)


def _stiffnesses(model: Model, smoothness: float, options: FitOptions) -> list[float]:
    """Smoothnesses of a spline baseline round the chosen one; other baselines have one form."""
    if options.baseline != "spline":
        return [smoothness]
    size = model.baseline.effective_dimension(smoothness)
    return [
        smoothness if share == 1.0 else model.baseline.smoothness_for(max(share * size, 2.0))
        for share in STIFFNESS
    ]


def averaged(found: list[FitResult]) -> FitResult:
    """The first of several results of one spectrum with the mean of all that are ok."""
    first, used = found[0], [one for one in found if one.status == "ok"]
    names = first.names
    amplitudes = np.zeros((len(used), len(names)))
    covariance = np.zeros((len(used), len(names), len(names)))
    there = np.zeros((len(used), len(names)))
    for number, one in enumerate(used):
        mine = [k for k, name in enumerate(names) if name in one.names]
        rows = [one.names.index(names[k]) for k in mine]
        there[number, mine] = 1.0
        amplitudes[number, mine] = one.amplitudes[rows]
        covariance[number][np.ix_(mine, mine)] = one.covariance[np.ix_(rows, rows)]
    left = np.array([one.residual_sd for one in used]) ** 2
    weight = np.exp(-(left / left.min() - 1) / WORSE)
    # A macromolecule that a set lacks has the mean and the spread of the others.
    mean = weight @ (amplitudes * there) / (weight @ there)
    rest = (amplitudes - mean) * there
    pairs = np.einsum("m,mi,mj->ij", weight / weight.sum(), there, there)
    weight = weight / weight.sum()
    spread = np.einsum("m,mi,mj->ij", weight, rest, rest) / max(1 - weight @ weight, 1e-9)
    return replace(
        first,
        amplitudes=mean,
        covariance=np.einsum("m,mij->ij", weight, covariance) / np.maximum(pairs, 1e-300),
        model_covariance=spread,
        n_models=len(used),
    )
