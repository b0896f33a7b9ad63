"""Whether a T1w and tissue maps lie where the MRS voxel was measured: by their headers, and the
maps by the T1w itself."""

from __future__ import annotations

from itertools import product

import numpy as np

from fmrsflow.errors import DataError

TEMPLATES = {3: "Talairach space", 4: "MNI space"}
"""Form codes of NIfTI that are no scanner's."""

STEP_MM, LEAST_MM = 5.0, 8.0
"""Grid on which maps and T1w are compared; least displacement that is told."""

COARSE_MM, FINE_MM = (-24.0, -12.0, 0.0, 12.0, 24.0), (-8.0, -4.0, 4.0, 8.0)
"""Displacements along each axis that are tried: all together, then one axis after the other."""

GAIN = 0.02
"""What a displacement must explain of the T1w's variance beyond what the maps do in their place:
four standard errors of an R^2 of 0.64 over the 11,000 points of a brain of 1.4 L, 2 R (1 - R^2) /
sqrt(n)."""

LEAST_FORM_MM = 1.0
"""Distance of the two positions of a header that is one: qform is stored in single precision, and
its rotation as a quaternion, which move no corner of a head by a tenth of that."""


def check_scanner_space(image, name: str) -> None:
    """Refuse an image whose header puts it into another space than the scanner's.

    Raises
    ------
    DataError
        Form code of a template, or none.
    """
    # As nibabel takes them: sform first.
    code = int(image.header["sform_code"]) or int(image.header["qform_code"])
    if code in TEMPLATES:
        raise DataError(
            f"{name} is in {TEMPLATES[code]} by its header (form code {code}), and the MRS voxel "
            "in that of the scanner: name the image before normalisation"
        )
    if not code:
        raise DataError(
            f"{name} holds no position (both form codes are 0), so that the MRS voxel cannot be "
            "laid on it: convert the T1w again with dcm2niix, or the map with its header"
        )


def forms_apart_mm(image) -> float:
    """By how much sform and qform of a header place the corners of an image apart, mm, at most; 0
    where one of them is not set, or neither differs from the other by `LEAST_FORM_MM`.

    Programs that move an image (a co-registration, a new origin) write the new position into sform
    and may leave the scanner's in qform.
    """
    forms = [image.get_sform(coded=True), image.get_qform(coded=True)]
    if not all(code > 0 and form is not None for form, code in forms):
        return 0.0
    ends = np.array(np.meshgrid(*([0, n - 1] for n in (*image.shape, 1, 1)[:3]))).reshape(3, -1)
    corners = np.vstack([ends, np.ones(ends.shape[1])])
    apart = np.linalg.norm(((forms[0][0] - forms[1][0]) @ corners)[:3], axis=0)
    return float(apart.max()) if apart.max() >= LEAST_FORM_MM else 0.0


def displacement_mm(
    t1w: np.ndarray, affine: np.ndarray, maps: dict[str, tuple[np.ndarray, np.ndarray]]
) -> np.ndarray:
    """By how much maps have to be moved to fit their T1w best, (3,), mm; zero where they fit.

    The T1w is regressed on the maps where they hold a brain, at their place and moved along the
    axes of the scanner. Intensities of tissues, whichever they are, are the regression's; a bias
    field lowers what any place explains.

    Parameters
    ----------
    t1w : array (x, y, z)
    affine : array (4, 4)
    maps : dict
        gm, wm, csf -> (probabilities, affine).
    """
    from scipy.ndimage import map_coordinates

    def sampled(values, own, points):
        """Values (n,) of an image with affine `own` at points (3, n), mm; 0 outside it."""
        inverse = np.linalg.inv(own)
        at = inverse[:3, :3] @ points + inverse[:3, 3:]
        return map_coordinates(values, at, order=1, mode="constant", cval=0.0)

    points = _around_brain(maps)
    if not points.size:
        return np.zeros(3)
    tissues = np.stack([sampled(*one, points) for one in maps.values()])
    points, tissues = (one[:, tissues.sum(axis=0) > 0.5] for one in (points, tissues))
    if points.shape[1] < 100:
        return np.zeros(3)
    design = np.vstack([np.ones(points.shape[1]), tissues])
    basis, _ = np.linalg.qr(design.T)

    def explained(moved) -> float:
        """Share of the T1w's variance that the maps explain when moved by so much."""
        values = sampled(t1w, affine, points + np.asarray(moved)[:, None])
        spread = ((values - values.mean()) ** 2).sum()
        return float(((basis.T @ (values - values.mean())) ** 2).sum() / max(spread, 1e-12))

    here = explained(np.zeros(3))
    most, best = max((explained(one), one) for one in product(COARSE_MM, repeat=3))
    best = np.array(best)
    for axis in (0, 1, 2, 0, 1, 2):
        for tried in best + np.outer(FINE_MM, np.eye(3)[axis]):
            if (value := explained(tried)) > most:
                most, best = value, tried
    told = most > here + GAIN and np.linalg.norm(best) >= LEAST_MM
    return best if told else np.zeros(3)


def _around_brain(maps: dict) -> np.ndarray:
    """Points (3, n), mm, every `STEP_MM` in the box of the maps' brain."""
    corners = []
    for values, affine in maps.values():
        found = np.argwhere(values > 0.5)
        if len(found):
            ends = np.array([found.min(axis=0), found.max(axis=0)], float)
            both = np.array(np.meshgrid(*ends.T)).reshape(3, -1)
            corners.append(affine[:3, :3] @ both + affine[:3, 3:])
    if not corners:
        return np.zeros((3, 0))
    every = np.concatenate(corners, axis=1)
    axes = [
        np.arange(low, high + STEP_MM, STEP_MM)
        for low, high in zip(every.min(axis=1), every.max(axis=1))
    ]
    return np.array(np.meshgrid(*axes, indexing="ij")).reshape(3, -1)
