"""Oddities of T1w and tissue maps: types and scales of values, order of axes, other images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import nibabel as nib
import numpy as np
from given import MAPS, Given, as_one, with_t1w
from scipy.ndimage import gaussian_filter
from signals import Oddity


def _resaved(columns: tuple[str, ...], function: Callable) -> Callable[[Given], None]:
    """Images of these columns written again: function of values (float32) and affine."""

    def change(given: Given) -> None:
        def write(data) -> None:
            for name in columns:
                path = data / given.row[name]
                image = nib.load(path)
                values, affine = image.get_fdata(dtype=np.float32), image.affine
                made = function(values, affine)
                path.unlink()
                nib.save(made, path)

        given.edits.append(write)

    return change


def _image(values, affine, slope: float | None = None):
    made = nib.Nifti1Image(values, affine)
    if slope:
        made.header.set_slope_inter(slope, 0.0)
    return made


def _maps(function) -> Callable[[Given], None]:
    return _resaved(MAPS, function)


def _t1w(function) -> Callable[[Given], None]:
    def change(given: Given) -> None:
        with_t1w(given)
        _resaved(("t1w",), function)(given)

    return change


def _turned(codes: str):
    """The same head with its axes in another order and sense."""

    def change(values, affine):
        image = nib.Nifti1Image(values, affine)
        now, new = (
            nib.orientations.io_orientation(affine),
            nib.orientations.axcodes2ornt(tuple(codes)),
        )
        return image.as_reoriented(nib.orientations.ornt_transform(now, new))

    return change


def _of(function) -> Callable:
    """A change of the values alone, float32."""
    return lambda values, affine: _image(np.asarray(function(values), np.float32), affine)


def _typed(kind, function) -> Callable:
    return lambda values, affine: _image(function(values).astype(kind), affine)


def _slope(values, affine):
    """16-bit whole numbers with a slope, as dcm2niix writes scaled intensities of Philips."""
    step = float(values.max()) / 4000
    return _image(np.round(values / step).astype(np.int16), affine, step)


def _outside_nan(values):
    return np.where(values > 0, values, np.nan)


def _bias(values):
    """Twice as bright at the back of the head as in front."""
    course = np.linspace(-0.5, 0.5, values.shape[1])[None, :, None]
    return values * 2.0**course


def _fast_labels(given: Given) -> None:
    """One image of 0 to 3 (CSF, GM, WM), as FAST writes it, named three times."""
    _labels(given, {"csf": 1, "gm": 2, "wm": 3})


def _synthseg_labels(given: Given) -> None:
    _labels(given, {"wm": 2, "gm": 3, "csf": 24}, split=((42, "gm"),))


def _freesurfer_labels(given: Given) -> None:
    """Cortex by its parcels, as aparc+aseg has it."""
    _labels(given, {"wm": 2, "gm": 1022, "csf": 24}, split=((2022, "gm"),))


def _labels(given: Given, numbers: dict[str, int], split=()) -> None:
    def write(data) -> None:
        images = {name: nib.load(data / given.row[name]) for name in MAPS}
        values = {name: one.get_fdata(dtype=np.float32) for name, one in images.items()}
        whole = np.stack([values[name] for name in numbers])
        best = whole.argmax(axis=0)
        made = np.array(list(numbers.values()), np.int16)[best]
        for number, name in split:
            half = np.arange(made.shape[0])[:, None, None] >= made.shape[0] // 2
            made = np.where((made == numbers[name]) & half, number, made).astype(np.int16)
        made[whole.sum(axis=0) < 0.5] = 0
        affine = images["gm"].affine
        target = data / given.row["gm"].replace("_label-GM_probseg", "_dseg")
        nib.save(_image(made, affine), target)
        for name in MAPS:
            given.row[name] = given.row["gm"].replace("_label-GM_probseg", "_dseg")

    given.edits.append(write)


def _template_space(values, affine):
    made = _image(values, affine)
    made.set_sform(affine, 4)
    made.set_qform(affine, 4)
    return made


def _twice(values):
    return np.clip(2 * values, 0, None)


MAP_ODDITIES = [
    Oddity("maps in the order PSR", _maps(_turned("PSR")), True),
    Oddity("maps in the order LPI", _maps(_turned("LPI")), True),
    Oddity("maps with NaN outside", _maps(_of(_outside_nan)), True),
    Oddity("maps of four dimensions", _maps(_of(lambda v: v[..., None])), True),
    Oddity("maps in double precision", _maps(_typed(np.float64, lambda v: v)), True),
    Oddity("maps of bytes without a slope", _maps(_typed(np.uint8, lambda v: 255 * v)), True),
    Oddity("maps of 1000", _maps(_typed(np.int16, lambda v: 1000 * v)), False),
    Oddity("maps thresholded", _maps(_typed(np.uint8, lambda v: v > 0.5)), False),
    Oddity("maps doubled", _maps(_of(_twice)), False),
    Oddity("maps of a template", _maps(_template_space), False),
    Oddity("maps of log odds", _maps(_of(lambda v: np.log((v + 1e-3) / (1.001 - v)))), False),
    Oddity("labels of FAST", _fast_labels, False),
    Oddity("labels of SynthSeg", _synthseg_labels, True),
    Oddity("labels of FreeSurfer's parcels", _freesurfer_labels, False),
]

T1W_ODDITIES = [
    Oddity("T1w as it is", with_t1w, True),
    Oddity("T1w in the order PSR", _t1w(_turned("PSR")), True),
    Oddity("T1w in the order LAI", _t1w(_turned("LAI")), True),
    Oddity("T1w with a slope", _t1w(_slope), True),
    Oddity("T1w times a thousandth", _t1w(_of(lambda v: v / 1000)), True),
    Oddity("T1w in bytes", _t1w(_typed(np.uint8, lambda v: 255 * v / v.max())), True),
    Oddity(
        "T1w in bytes that ran over",
        _t1w(_typed(np.uint8, lambda v: 600 * v / v.max() % 256)),
        False,
    ),
    Oddity(
        "T1w in signed bytes that ran over",
        _t1w(_typed(np.int8, lambda v: (255 * v / v.max()).astype(np.uint8))),
        False,
    ),
    Oddity("T1w in three bits", _t1w(_typed(np.uint8, lambda v: 7 * v / v.max())), False),
    Oddity(
        "T1w with NaN outside", _t1w(_of(lambda v: np.where(v > 0.02 * v.max(), v, np.nan))), True
    ),
    Oddity("T1w of four dimensions", _t1w(_of(lambda v: v[..., None])), True),
    Oddity("T1w of two volumes", _t1w(_of(lambda v: np.stack([v, v], axis=-1))), False),
    Oddity("T1w on a pedestal", _t1w(_of(lambda v: v + v.max())), False),
    Oddity("T1w on a pedestal below zero", _t1w(_of(lambda v: v - v.max())), False),
    Oddity("T1w clipped at half", _t1w(_of(lambda v: np.minimum(v, 0.5 * v.max()))), False),
    Oddity(
        "T1w inverted", _t1w(_of(lambda v: np.where(v > 0.02 * v.max(), v.max() - v, 0))), False
    ),
    Oddity("T1w brighter at the back", _t1w(_of(_bias)), True),
    Oddity("T1w smoothed", _t1w(_of(lambda v: gaussian_filter(v, 0.3))), True),
    Oddity("T1w of a template", _t1w(_template_space), False),
    Oddity("T1w of a gamma of 0.7", _t1w(_of(lambda v: np.maximum(v, 0) ** 0.7)), True),
    Oddity("T1w a map", _t1w(_of(lambda v: v > v.mean())), False),
    Oddity(
        "T1w upper half lost",
        _t1w(lambda v, a: _image(v[:, :, : v.shape[2] // 2], a)),
        False,
    ),
]


def _of_average(oddity: Oddity) -> Oddity:
    """The same with the scan as its average, which is fitted in seconds."""

    def change(given: Given) -> None:
        as_one(given)
        oddity.change(given)

    return replace(oddity, change=change)


HEADS = [_of_average(oddity) for oddity in (*MAP_ODDITIES, *T1W_ODDITIES)]
"""Each with a NIfTI-MRS scan."""
