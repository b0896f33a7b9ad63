"""Built-in segmentation of a T1w into grey matter, white matter and cerebrospinal fluid.

N4 bias correction (bias.py), clipping of bright outliers, a mixture of three
Gaussians and of their partial volumes, a Markov field on top (mean field, six neighbours). One
method for all sites; against other usable methods it spreads by about 0.05 in a volume fraction.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.anatomy.bias import log_bias
from fmrsflow.anatomy.brain import brain_mask
from fmrsflow.errors import DataError

MIN_BRAIN_ML = 300.0
"""Smallest brain (mL) that a mask may hold."""

LEAST_DEPTH = 1.1
"""Mean depth of white over that of grey matter: 1.5 to 1.6 of T1w measured and simulated, 0.7 to
1.3 where numbers ran over or fluid is bright."""

USUAL_WM = (0.25, 0.7)
"""Share of white matter in grey and white matter: about 0.42 in healthy adults (Ge 2002, AJNR
23:1327), and as much aside as segmentations differ and children have less."""

_BINS = 512
_STEPS = (np.arange(12) + 0.5) / 12
"""Shares of the brighter tissue by which a class of partial volumes is summed up."""
_PARTS = np.vstack(
    [
        np.eye(3),
        np.stack([1 - _STEPS, _STEPS, 0 * _STEPS], axis=1),
        np.stack([0 * _STEPS, 1 - _STEPS, _STEPS], axis=1),
    ]
)
"""Shares of CSF, GM, WM in each component: three pure, then CSF with GM, GM with WM."""
_CLASS = np.repeat(np.arange(5), [1, 1, 1, len(_STEPS), len(_STEPS)])
_LEAST_CONTRAST = 0.7
"""Least distance of neighbouring means, in standard deviations of their difference."""
_EM_ROUNDS = 200
_FIELD_ROUNDS = 5


@dataclass(frozen=True)
class TissueMaps:
    """Probabilities of each tissue on the grid of the T1w, float32, and the brain mask."""

    gm: np.ndarray
    wm: np.ndarray
    csf: np.ndarray
    mask: np.ndarray


@dataclass(frozen=True)
class _Mixture:
    """Five classes on a histogram: CSF, GM, WM, CSF with GM, GM with WM.

    `logs` (5, bins): log density times share; `upper_share` (2, bins): expected share of the
    brighter tissue within the two mixed classes.
    """

    logs: np.ndarray
    upper_share: np.ndarray


def segment(
    image: np.ndarray,
    affine: np.ndarray,
    markov_weight: float = 0.3,
    clip_high_percentile: float = 99.0,
) -> TissueMaps:
    """Segment a T1w, skull-stripped or whole head.

    Parameters
    ----------
    image : array (x, y, z)
    affine : array (4, 4)
        Voxel to scanner space, mm.
    markov_weight : float
        Log-odds that a neighbour of certain class adds.
    clip_high_percentile : float
        Intensities above it are clipped before clustering.

    Raises
    ------
    DataError
        Not three-dimensional, empty, or no brain found in it.
    """
    from scipy.ndimage import binary_fill_holes

    image = np.asarray(image, np.float32)
    lost = ~np.isfinite(image)
    image = np.where(lost, 0, image)  # outside of the brain, as SPM and masks leave it
    if image.ndim != 3 or min(image.shape) < 8:
        raise DataError(f"a T1w of shape {image.shape} is no head; name a 3D image in column t1w")
    if np.ptp(image) <= 0:
        raise DataError(
            "the T1w holds no picture (constant, or values that are no numbers): convert or copy "
            "it again"
        )
    mask = brain_mask(image, affine)
    if lost.any() and (lost & binary_fill_holes(mask)).any():
        raise DataError(
            "the T1w holds values that are no numbers within the brain: damaged; convert or copy "
            "it again"
        )
    volume_ml = mask.sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
    if volume_ml < MIN_BRAIN_ML:
        raise DataError(
            f"{volume_ml:.0f} mL of brain in the T1w, fewer than {MIN_BRAIN_ML:.0f}; is it a whole "
            "brain? Name tissue maps in columns gm, wm, csf instead"
        )
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    corrected = image / np.exp(log_bias(image, mask, spacing))
    core = _core(mask)
    low, high = np.percentile(corrected[core], (0.1, clip_high_percentile))
    if not high > low:
        raise DataError(
            "the T1w is constant inside the brain: no picture; convert or copy it again"
        )
    mixture = _mixture(np.clip(corrected[core], low, high), low, high)
    place = np.clip((corrected[mask] - low) * (_BINS / (high - low)), 0, _BINS - 1)
    field = np.zeros((3, *image.shape), np.float32)
    field[:, mask] = _smoothed(mixture, place.astype(np.uint16), mask, markov_weight)
    _check_order(field, mask, spacing)
    return TissueMaps(csf=field[0], gm=field[1], wm=field[2], mask=mask)


def _check_order(field: np.ndarray, mask: np.ndarray, spacing: np.ndarray) -> None:
    """Refuse an image whose tissues do not lie as their names say: white matter is the deepest of
    what there is much of.

    Parameters
    ----------
    field : array (3, x, y, z)
        Shares of CSF, GM, WM.
    spacing : array (3,)
        Of the voxels, mm.

    Raises
    ------
    DataError
        More of the darkest tissue than of the brightest, and deeper; or the brightest as shallow
        as grey matter.
    """
    from scipy.ndimage import distance_transform_edt, find_objects

    (box,) = find_objects(mask.astype(np.uint8))
    inner = np.pad(mask[box], 1)  # the surface is the mask's, also at an edge of the image
    depth = distance_transform_edt(inner, spacing)[inner]
    shares = field[:, mask]
    amounts = shares.sum(axis=1)
    depths = shares @ depth / np.maximum(amounts, 1e-9)
    inverted = amounts[0] > amounts[2] and depths[0] > depths[2]
    if inverted or depths[2] < LEAST_DEPTH * depths[1]:
        raise DataError(
            "the brightest tissue of this T1w does not lie as deep as white matter does: it is no "
            "T1w (a T2w has its fluid bright), or its numbers ran over their range; name the T1w, "
            "converted again, or tissue maps in columns gm, wm, csf"
        )


def contrast_doubts(maps: TissueMaps) -> list[str]:
    """What makes one doubt that an image was a T1w, one sentence each."""
    grey, white = (float(one[maps.mask].sum()) for one in (maps.gm, maps.wm))
    share = white / max(grey + white, 1e-9)
    if USUAL_WM[0] <= share <= USUAL_WM[1]:
        return []
    return [
        f"white matter is {share:.0%} of grey and white matter in this T1w, and a brain has "
        f"{USUAL_WM[0]:.0%} to {USUAL_WM[1]:.0%}: is it a T1w, and does it show grey and white "
        "matter apart? Look at the picture, or name tissue maps in columns gm, wm, csf"
    ]


def _core(mask: np.ndarray) -> np.ndarray:
    """The mask without its rim, in which skull stripping leaves voxels darker than any tissue."""
    from scipy.ndimage import binary_erosion

    core = binary_erosion(mask, iterations=2)
    return core if core.sum() > mask.sum() / 3 else mask


def _mixture(values: np.ndarray, low: float, high: float) -> _Mixture:
    """Expectation maximisation of three tissues and their partial volumes on a histogram.

    A voxel at the border of two tissues has an intensity between them; with three Gaussians alone
    grey matter, which lies in the middle, takes all of those. Here each pair of neighbours has a
    class of its own, uniform in the share of the two (Santago & Gage 1993, doi:10.1109/42.241880).

    Raises
    ------
    DataError
        Three tissues cannot be told apart.
    """
    counts, edges = np.histogram(values, _BINS, (low, high))
    centres = 0.5 * (edges[1:] + edges[:-1])
    # The collapse of a class on one bin would take that bin for itself.
    least = (2 * (edges[1] - edges[0])) ** 2
    means = np.percentile(values, (5, 40, 85)).astype(float)
    variances = np.full(3, values.std(dtype=float) ** 2 / 16)
    shares = np.array([0.15, 0.35, 0.3, 0.1, 0.1])
    for _ in range(_EM_ROUNDS):
        logs = _log_components(centres, means, variances, shares)
        weights = _softmax(logs) * counts
        total = weights.sum(axis=1)
        centre = _PARTS @ means
        precision = 1 / (_PARTS @ variances)
        means = np.linalg.solve(
            (_PARTS * (total * precision)[:, None]).T @ _PARTS + 1e-9 * np.eye(3),
            _PARTS.T @ (precision * (weights @ centres)),
        )
        spread = (weights * (centres - centre[:, None]) ** 2).sum(axis=1)
        variances = np.maximum((_PARTS.T @ spread) / (_PARTS.T @ total), least)
        shares = np.maximum(np.bincount(_CLASS, total / total.sum()), 1e-6)
    apart = np.diff(means) / np.sqrt(variances[1:] + variances[:-1])
    if not (apart > _LEAST_CONTRAST).all():
        raise DataError(
            "grey matter, white matter and CSF cannot be told apart in this image; is it a T1w? "
            "Name tissue maps in columns gm, wm, csf instead"
        )
    logs = _log_components(centres, means, variances, shares)
    densities = np.exp(logs - logs.max())
    mixed = [densities[number == _CLASS] for number in (3, 4)]
    pairs = np.stack([_STEPS @ one / np.maximum(one.sum(axis=0), 1e-300) for one in mixed])
    classes = np.stack([np.logaddexp.reduce(logs[number == _CLASS]) for number in range(5)])
    return _Mixture(classes.astype(np.float32), pairs.astype(np.float32))


def _log_components(centres, means, variances, shares) -> np.ndarray:
    variance = (_PARTS @ variances)[:, None]
    away = (centres - (_PARTS @ means)[:, None]) ** 2 / variance
    return np.log(shares[_CLASS] / np.bincount(_CLASS)[_CLASS])[:, None] - 0.5 * (
        away + np.log(variance)
    )


def _smoothed(mixture: _Mixture, place: np.ndarray, mask: np.ndarray, weight: float) -> np.ndarray:
    """Shares of CSF, GM, WM (3, n) after mean-field rounds of a Potts field, six neighbours.

    `place` (n,): bin of each voxel of the mask.
    """
    logs = mixture.logs[:, place]
    upper = mixture.upper_share[:, place]
    # The box of the mask with a rim of zeros, flat: a neighbour is a step of fixed length.
    places = [axis - axis.min() + 1 for axis in np.nonzero(mask)]
    shape = tuple(int(axis.max()) + 2 for axis in places)
    centre = np.ravel_multi_index(places, shape)
    steps = (shape[1] * shape[2], shape[2], 1)
    size = np.prod(shape)
    inner = slice(steps[0], size - steps[0])
    field = np.zeros((3, size), np.float32)
    around = np.zeros((3, size), np.float32)
    found = _tissues(_softmax(logs), upper)
    for _ in range(_FIELD_ROUNDS if weight > 0 else 0):
        for values, row in zip(field, found):
            values[centre] = row
        around[:] = 0
        for step in steps:
            for way in (step, -step):
                around[:, inner] += field[:, inner.start + way : inner.stop + way]
        near = np.stack([row.take(centre) for row in around])
        near *= weight
        prior = np.concatenate([near, 0.5 * (near[:2] + near[1:])])
        found = _tissues(_softmax(logs + prior), upper)
    return found


def _tissues(classes: np.ndarray, upper_share: np.ndarray) -> np.ndarray:
    """Shares of the three tissues (3, n) from probabilities of the five classes."""
    found = classes[:3].copy()
    found[:2] += classes[3:] * (1 - upper_share)
    found[1:] += classes[3:] * upper_share
    return found


def _softmax(logs: np.ndarray) -> np.ndarray:
    weights = np.exp(logs - logs.max(axis=0))
    return weights / weights.sum(axis=0)
