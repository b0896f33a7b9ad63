"""Mask of the brain in a T1w, skull-stripped or whole head.

Made for an MRS voxel inside the brain: right to some millimetres at the surface and the base of the
brain. For morphometry name the maps of a tool that is made for it in scans.tsv.
"""

from __future__ import annotations

import numpy as np

from fmrsflow.errors import DataError

PLAUSIBLE_BRAIN_ML = (700.0, 2200.0)
"""Volumes of an adult or school child's brain that a mask of a whole head may have."""

_GRID_MM = 2.0
_HEIGHT_MM = 165.0
"""From the top of the head to below the cerebellum; neck and jaw lie lower."""

_DEPTH_MM = 75.0
_BALL_MM = 35.0
_TISSUE = (0.5, 1.7)
"""Intensities of GM and WM relative to the median about the middle of the brain."""

_CUTS_MM = (2.5, 3.5, 4.5, 5.5, 6.5, 8.0, 10.0)
_CLOSING_MM = 8.0
_SKIN_MM = 5.0
_BRIDGE_MM = 5.0
_BOLD_BRIDGE_MM = 12.0
_ABOUT_MM = 6.0
_MOST_SKIN = 0.02

_SKULL_MM = (5.0, 12.0)
_SKULL_GRID_MM = 4.0
_DEEP_MM = 30.0
_BONE = 0.2
_LEAST_BONE = 0.05
"""Where a skull lies below the surface, how dark it is relative to the middle, and the share of
that layer that is. Measured: 0.13 and 0.21 in a head with and without its face, at most 0.016 in
stripped brains, measured and of templates."""


def brain_mask(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """Mask of the brain.

    Where the outside is zero and no skull is inside (skull-stripped), all that is positive. Else
    what has the intensity of brain tissue and stays in one piece with the middle of the head when
    bridges to the scalp are cut, by the weakest cut that leaves a plausible brain; sulci and
    ventricles are closed.

    Parameters
    ----------
    image : array (x, y, z)
    affine : array (4, 4)
        Voxel to scanner space, mm (RAS+).

    Raises
    ------
    DataError
        No brain is found in a whole head.
    """
    # A head is larger than a brain; dark parts of a brain whose numbers ran over are no skull.
    volume_ml = (image > 0).sum() * abs(np.linalg.det(affine[:3, :3])) / 1000
    is_head = volume_ml > PLAUSIBLE_BRAIN_ML[1] and _has_skull(image, affine)
    if is_stripped(image) and not is_head:
        return image > 0
    return _cut_out(image, affine)


def about_brain(
    gm: tuple[np.ndarray, np.ndarray], wm: tuple[np.ndarray, np.ndarray]
) -> tuple[np.ndarray, np.ndarray]:
    """What lies within 6 mm of the brain, by its maps: as much of a head as a picture may show, for
    a face can be recognised (Schwarz 2019, doi:10.1056/NEJMc1908881).

    Pieces that hang on the brain by less than 5 mm, or are far smaller, are muscle, eyes or skin
    that a segmentation took for tissue.

    Parameters
    ----------
    gm, wm : (values (x, y, z), affine (4, 4))
        Maps of grey and white matter, 0 to 1, each on its grid.

    Returns
    -------
    mask : array (i, j, k) of bool
        On a grid of about 2 mm.
    affine : array (4, 4)
        Of that grid, to scanner space, mm.
    """
    from scipy import ndimage

    values, affine = gm
    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    stride = np.maximum(np.round(_GRID_MM / spacing).astype(int), 1)
    coarse = affine @ np.diag([*stride, 1])
    tissue = values[tuple(slice(None, None, step) for step in stride)].astype(np.float32)
    if wm[0].shape == values.shape and np.allclose(wm[1], affine):
        tissue = tissue + wm[0][tuple(slice(None, None, step) for step in stride)]
    else:
        onto = np.linalg.inv(wm[1]) @ coarse
        tissue = tissue + ndimage.affine_transform(
            wm[0], onto[:3, :3], onto[:3, 3], tissue.shape, np.float32, order=1
        )
    step = spacing * stride
    # In a box about the tissue: the rest of the image takes most of the time.
    (box,) = ndimage.find_objects(tissue > 0.5, max_label=1) or (None,)
    if box is None:
        return np.zeros((1, 1, 1), bool), coarse
    wide = np.ceil((_BRIDGE_MM + _ABOUT_MM) / step).astype(int)
    tissue = np.pad(tissue[box], [(n, n) for n in wide])
    coarse = coarse.copy()
    coarse[:3, 3] += coarse[:3, :3] @ (np.array([one.start for one in box]) - wide)
    return _about(tissue > 0.5, step, _BRIDGE_MM), coarse


def about_brain_of_bold(bright: np.ndarray, affine: np.ndarray) -> np.ndarray:
    """The same of a BOLD run, on its grid, by what is brighter than its background.

    Bridges of less than 12 mm are cut: optic nerves and muscle at the base of the skull join the
    face to the brain where nothing was segmented.

    Parameters
    ----------
    bright : array (x, y, z) of bool
        As `bold.mask.with_data` finds it.
    affine : array (4, 4)
    """
    return _about(bright, np.sqrt((affine[:3, :3] ** 2).sum(axis=0)), _BOLD_BRIDGE_MM)


def _about(tissue: np.ndarray, step: np.ndarray, bridge_mm: float) -> np.ndarray:
    """What lies within 6 mm of the large pieces that are left when bridges are cut."""
    from scipy import ndimage

    pieces, _ = ndimage.label(ndimage.distance_transform_edt(tissue, step) > bridge_mm / 2)
    sizes = np.bincount(pieces.ravel())
    sizes[0] = 0
    core = np.isin(pieces, np.flatnonzero(sizes > 0.1 * sizes.max()))
    if not core.any():
        return core
    return ndimage.distance_transform_edt(~core, step) <= bridge_mm / 2 + _ABOUT_MM


def is_stripped(image: np.ndarray) -> bool:
    """Whether the outside of the brain was set to zero, as skull stripping does.

    A whole head reaches the lower edge of the image (neck) and has noise around it.
    """
    faces = [face for axis in range(3) for face in (image.take(0, axis), image.take(-1, axis))]
    outer = np.concatenate([face.ravel() for face in faces])
    return float((outer <= 0).mean()) > 0.98 and float((image <= 0).mean()) > 0.4


def _has_skull(image: np.ndarray, affine: np.ndarray) -> bool:
    """Whether what is not zero is a head: defacing and masked air leave zeros about it too."""
    from scipy import ndimage

    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    stride = np.maximum(np.round(_SKULL_GRID_MM / spacing).astype(int), 1)
    small = np.pad(image[tuple(slice(None, None, step) for step in stride)], 1)
    filled = ndimage.binary_fill_holes(small > 0)
    depth = ndimage.distance_transform_edt(filled, spacing * stride)
    deep, layer = depth > _DEEP_MM, (depth > _SKULL_MM[0]) & (depth <= _SKULL_MM[1])
    if not deep.any():
        return False
    return float((small[layer] < _BONE * np.median(small[deep])).mean()) > _LEAST_BONE


def _cut_out(image: np.ndarray, affine: np.ndarray) -> np.ndarray:
    from scipy import ndimage

    spacing = np.sqrt((affine[:3, :3] ** 2).sum(axis=0))
    stride = np.maximum(np.round(_GRID_MM / spacing).astype(int), 1)
    small = ndimage.uniform_filter(image, stride)[
        tuple(slice(step // 2, None, step) for step in stride)
    ]
    step = spacing * stride
    place = np.indices(small.shape).reshape(3, -1) * stride[:, None] + (stride // 2)[:, None]
    place = (affine[:3, :3] @ place + affine[:3, 3:]).reshape(3, *small.shape)
    head = _head(small)
    height = place[2]
    top = np.percentile(height[head], 99.9)
    upper = head & (height > top - _HEIGHT_MM)
    middle = place[:, upper & (height > top - 2 * _DEPTH_MM)].mean(axis=1)
    middle[2] = top - _DEPTH_MM
    ball = ((place - middle[:, None, None, None]) ** 2).sum(axis=0) < _BALL_MM**2
    if not (ball & head).any():
        raise DataError(_NO_BRAIN)
    level = np.median(small[ball & head])
    tissue = upper & (small > _TISSUE[0] * level) & (small < _TISSUE[1] * level)
    depth = ndimage.distance_transform_edt(tissue, step)
    to_air = ndimage.distance_transform_edt(head, step)
    for cut in _CUTS_MM:
        pieces, _ = ndimage.label(depth > cut)
        inside = pieces[ball & (pieces > 0)]
        if not inside.size:
            break
        piece = pieces == np.bincount(inside).argmax()
        # Grown back by the cut, then closed over sulci and ventricles.
        grown = ndimage.distance_transform_edt(~piece, step) <= cut + 1.0
        wide = ndimage.distance_transform_edt(~grown, step) <= _CLOSING_MM
        closed = ndimage.distance_transform_edt(wide, step) > _CLOSING_MM
        mask = ndimage.binary_fill_holes((closed | grown) & upper)
        volume_ml = mask.sum() * step.prod() / 1000
        skin = float((to_air[mask] < _SKIN_MM).mean())
        if PLAUSIBLE_BRAIN_ML[0] <= volume_ml <= PLAUSIBLE_BRAIN_ML[1] and skin < _MOST_SKIN:
            full = np.repeat(np.repeat(np.repeat(mask, stride[0], 0), stride[1], 1), stride[2], 2)
            short = [(0, max(0, n - m)) for n, m in zip(image.shape, full.shape)]
            full = np.pad(full, short, mode="edge")
            return full[tuple(slice(n) for n in image.shape)] & (image > 0)
    raise DataError(_NO_BRAIN)


_NO_BRAIN = (
    "no brain can be cut out of this T1w (is it a whole head, or cropped?): name a skull-stripped "
    "T1w, or tissue maps in columns gm, wm, csf"
)


def _head(image: np.ndarray) -> np.ndarray:
    """All that is not air around the head."""
    from scipy import ndimage

    counts, edges = np.histogram(image, 256, (0, np.percentile(image, 99.5)))
    centres = 0.5 * (edges[1:] + edges[:-1])
    below = np.cumsum(counts)[:-1]
    above = counts.sum() - below
    sums = np.cumsum(counts * centres)[:-1]
    total = (counts * centres).sum()
    between = (
        below * above * (sums / np.maximum(below, 1) - (total - sums) / np.maximum(above, 1)) ** 2
    )
    # A quarter of it: scalp fat is far brighter than brain, and the skull parts the two.
    head = ndimage.binary_opening(image > 0.25 * edges[1 + between.argmax()])
    if not head.any():
        raise DataError(_NO_BRAIN)
    for axis in range(3):  # slice by slice, as the neck leaves the volume open below
        for number in range(head.shape[axis]):
            place = (slice(None),) * axis + (number,)
            head[place] = ndimage.binary_fill_holes(head[place])
    return head
