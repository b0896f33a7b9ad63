"""Average of a spectrum's fits over models that are all reasonable, and their spread.

No criterion finds the stiffness of the baseline or the macromolecules of a measured spectrum: the
residual is smallest where the baseline follows what is not baseline. So the answer is the mean over
stiffnesses round the one that cross-validation prefers, over sets of macromolecules, and over tied
and free lines (widths of single metabolites, lineshape, macromolecules each by itself), and its
model error is the spread of the answer among them (docs/science.md#model-error; Hoeting et al.
1999, Stat Sci 14:382-417, on averaging in place of choosing).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from scipy.linalg import LinAlgError

from fmrsflow.basis.files import Basis
from fmrsflow.errors import DataError
from fmrsflow.fids import Fids
from fmrsflow.fit.broad import SEPARATE, SETS
from fmrsflow.fit.coloured import cut_alike
from fmrsflow.fit.model import MAX_DIMENSION_PER_PPM, Kind, Model, make_models, own_lines
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.result import FitResult, failed_result, make_result
from fmrsflow.fit.solve import Spectrum, State, Target, fitted_again, prepared, search, solution
from fmrsflow.fit.unlike import unlike_covariance, unlike_lines

STIFFNESS = (0.25, 1.0)
"""Effective dimensions of the baseline that are averaged, relative to the chosen one."""

FREE_WIDTH_SD_HZ = 0.5
"""SD of metabolites' own widths where lines are free: that of 1 / (pi T2) over metabolites in the
constants (`osprey`: 0.55 Hz at 3T, 0.58 Hz at 7T)."""

AT_LIMIT = 0.98
"""Share of the most flexible baseline that counts as its limit."""

BEYOND = 1.5
"""Times the limit of the baseline at which is seen whether that limit decides the answer."""

WORSE = 0.5
"""A model's weight falls by a factor e where its residual is larger than the best one's by so much
of it: what plainly cannot describe a spectrum says nothing about its error, and of those that can
the residual is no judge."""


def fit_average(
    fids: Fids,
    basis: Basis,
    options: FitOptions | None = None,
    alternatives: Sequence[Basis] = (),
    like: int | None = None,
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
        Other bases that the scanner may have had, on the same axes; each adds a model.
    like : int, optional
        Transient whose stiffness and weights of models all others take, so that a difference
        between them holds no choice of their own; by default each has its own.

    Returns
    -------
    list of FitResult
        Curves, parameters and quality of the first model (the basis, the first of `broad.SETS`,
        the chosen stiffness); `amplitudes` the mean over models, `covariance` their mean covariance
        under noise, `model_covariance` what priors leave open, what macromolecules of another
        source would do, and the spread among the models.

    Raises
    ------
    DataError
        Basis and data do not belong together (field, dwell time, length).
    """
    options = options or FitOptions()
    bases = [cut_alike(fids, one)[1] for one in (basis, *alternatives)]
    fids, _ = cut_alike(fids, basis)
    sets = SETS if own_lines(basis, options) else SETS[:1]
    kinds = [Kind(bases[0], one) for one in sets]
    # Without what the others hold to be common: widths, Voigt lines, proportions of macromolecules.
    lines = SEPARATE if own_lines(basis, options) else SETS[0]
    kinds.append(Kind(bases[0], lines, FREE_WIDTH_SD_HZ))
    kinds += [Kind(one, sets[0]) for one in bases[1:]]
    every = make_models(fids, kinds, options)
    models, others = every[: len(sets) + 1], every[len(sets) + 1 :]
    if (models[-1].names, models[-1].parameters) == (models[0].names, models[0].parameters):
        models.pop()  # all of it was switched off
    unlike = None
    if own_lines(basis, options) and "MM09" in models[0].names:
        unlike = unlike_lines(models[0], fids)
    chosen, common = None, None
    if like is not None:
        each = _each_model(models, others, options, fids.select([like]), None, unlike)
        chosen, common = averaged(each, None), _Common.of(each)
    found = []
    for j in range(fids.n_transients):
        # The average of a scan of one condition is that of the condition.
        if like is not None and np.array_equal(fids.data[j], fids.data[like]):
            found.append(chosen)
            continue
        each = _each_model(models, others, options, fids.select([j]), common, unlike)
        found.append(averaged(each, common))
    return found


@dataclass(frozen=True)
class _Common:
    """What spectra that are compared take from one of them: stiffness of its first model, relative
    weight of each."""

    smoothness: float
    weights: dict[tuple[int, int], float]

    @classmethod
    def of(cls, each: dict[tuple[int, int], FitResult]) -> _Common | None:
        """Those of the results of one spectrum; None where it failed."""
        used = {key: one for key, one in each.items() if one.status == "ok"}
        return cls(each[FIRST].smoothness, _weights(used)) if FIRST in used else None


FIRST = (0, len(STIFFNESS) - 1)
"""Number of the first model and of its stiffness."""


def _each_model(
    models: list[Model],
    others: list[Model],
    options: FitOptions,
    fids: Fids,
    common: _Common | None,
    unlike: np.ndarray | None,
) -> dict[tuple[int, int], FitResult]:
    """Results of one spectrum by number of model and stiffness; only the first where it failed."""
    first = models[0]
    try:
        data = prepared(first, fids)
        end = search(first, options, data, None if common is None else common.smoothness)
    except (DataError, LinAlgError) as error:
        return {FIRST: failed_result(first, str(error))}
    found = {FIRST: _result(first, data, end, unlike)}
    if found[FIRST].status == "failed":
        return found
    state, target, _ = end
    if common is None and at_limit(found[FIRST]) and options.baseline_smoothness != "fixed":
        shift = _limit_shift(first, data, found[FIRST].amplitudes, state.theta)
        found[FIRST] = replace(found[FIRST], limit_shift=shift)
    stiffnesses = _stiffnesses(first, target.smoothness, options)
    for number, model in enumerate([*models, *others]):
        # Another basis at the chosen stiffness only: what it changes hardly depends on it.
        for stiffness, smoothness in stiffnesses if number < len(models) else stiffnesses[-1:]:
            if (number, stiffness) in found:
                continue
            try:
                other = fitted_again(model, data, smoothness, _start(model, first, state.theta))
            except LinAlgError:
                continue  # two signals of this set alone are one: it has nothing to say
            found[number, stiffness] = _result(model, data, other, unlike)
    return found


def _result(
    model: Model, data: Spectrum, end: tuple[State, Target, str], unlike: np.ndarray | None
) -> FitResult:
    """Result of a search, its model error with that of `unlike` macromolecules."""
    solved = solution(model, data, *end)
    result = make_result(solved, data)
    if unlike is None or result.status == "failed":
        return result
    more = unlike_covariance(solved, unlike, data.scale)
    return replace(result, model_covariance=result.model_covariance + more)


def at_limit(result: FitResult) -> bool:
    """Whether the baseline bends as far as it may."""
    return result.baseline_dimension_per_ppm >= AT_LIMIT * MAX_DIMENSION_PER_PPM


def _limit_shift(
    model: Model, data: Spectrum, amplitudes: np.ndarray, theta: np.ndarray
) -> np.ndarray | None:
    """By how much amplitudes change where the limit of the baseline is `BEYOND` times as high; None
    where that fit fails."""
    size = BEYOND * MAX_DIMENSION_PER_PPM * float(np.ptp(model.ppm))
    smoothness = float(model.baseline.smoothness_for(size))
    try:
        end = fitted_again(model, data, smoothness, theta)
    except LinAlgError:
        return None
    beyond = make_result(solution(model, data, *end), data)
    return None if beyond.status == "failed" else beyond.amplitudes - amplitudes


def _start(model: Model, other: Model, theta: np.ndarray) -> np.ndarray:
    """Where to start `model` from the parameters of another's fit."""
    if model.parameters == other.parameters:
        return theta
    known = dict(zip(other.parameters, theta))
    start = np.array([known.get(name, 0.0) for name in model.parameters])
    return model.with_kernel(start) if model.is_voigt(start) else start


def _stiffnesses(model: Model, smoothness: float, options: FitOptions) -> list[tuple[int, float]]:
    """Smoothnesses of a spline baseline round the chosen one; other baselines have one form."""
    if options.baseline != "spline":
        return [(FIRST[1], smoothness)]
    size = model.baseline.effective_dimension(smoothness)
    found = model.baseline.smoothness_for(size * np.array(STIFFNESS))
    return [
        (number, smoothness if share == 1.0 else float(one))
        for number, (share, one) in enumerate(zip(STIFFNESS, found))
    ]


def _weights(used: dict[tuple[int, int], FitResult]) -> dict[tuple[int, int], float]:
    left = {key: one.residual_sd**2 for key, one in used.items()}
    least = min(left.values())
    return {key: math.exp(-(value / least - 1) / WORSE) for key, value in left.items()}


def averaged(each: dict[tuple[int, int], FitResult], common: _Common | None) -> FitResult:
    """The first result with the mean amplitudes of all that are ok, and their spread."""
    first = each[FIRST]
    used = {key: one for key, one in each.items() if one.status == "ok"}
    if first.status == "failed":
        return first
    weights = common.weights if common else _weights(used)
    used = {key: one for key, one in used.items() if key in weights}
    weight = np.array([weights[key] for key in used])
    weight /= weight.sum()
    k = len(first.names)
    there = np.zeros((len(used), k))
    amplitudes, covariance = np.zeros((len(used), k)), np.zeros((len(used), k, k))
    prior = np.zeros((len(used), k, k))
    for number, one in enumerate(used.values()):
        mine = [i for i, name in enumerate(first.names) if name in one.names]
        rows = [one.names.index(first.names[i]) for i in mine]
        there[number, mine] = 1.0
        amplitudes[number, mine] = one.amplitudes[rows]
        covariance[number][np.ix_(mine, mine)] = one.covariance[np.ix_(rows, rows)]
        prior[number][np.ix_(mine, mine)] = one.model_covariance[np.ix_(rows, rows)]
    # A macromolecule that a set lacks has the mean and the spread of the others.
    mean = weight @ amplitudes / (weight @ there)
    rest = (amplitudes - mean) * there
    pairs = np.maximum(np.einsum("m,mi,mj->ij", weight, there, there), 1e-300)
    spread = np.einsum("m,mi,mj->ij", weight, rest, rest) / max(1 - weight @ weight, 1e-9)
    return replace(
        first,
        amplitudes=mean,
        covariance=np.einsum("m,mij->ij", weight, covariance) / pairs,
        model_covariance=np.einsum("m,mij->ij", weight, prior) / pairs + spread,
        n_models=len(used),
    )
