"""Plateaus of the response under shapes, and what a boxcar reads of them (docs/science.md#shapes).

The difference of task and rest needs no shape. What the response would reach in the end does, and
one scan seldom tells which: so each is fitted, and its likelihood kept for a study to pool.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from fmrsflow.fit.design import Design


@dataclass(frozen=True)
class Plateaus:
    """Percent changes under shapes of the response, round one fit.

    Attributes
    ----------
    shapes : tuple of str
        Names (`shapes.Shape.name`); the first is `boxcar`, the observed difference.
    reasons : tuple of str
        Why a shape could not be fitted ("" where it was); its numbers are NaN.
    contrasts, names : tuple of str
        Conditions; metabolites and sums, as those of the joint fit.
    change_percent : array (n_shapes, n_contrasts, n_names)
    covariance : array (n_shapes, n_contrasts, n_names, n_names)
        Percent squared.
    log_likelihood : array (n_shapes,)
        Largest over the coefficients, mean over the gain's grid, up to what all have in common.
    boxcar_reads : array (n_shapes, n_contrasts)
        Share of the plateau that a boxcar reads where the response has this shape.
    se_ratio : array (n_shapes, n_contrasts)
        Standard error of the plateau over that of the difference, by the design.
    """

    shapes: tuple[str, ...]
    reasons: tuple[str, ...]
    contrasts: tuple[str, ...]
    names: tuple[str, ...]
    change_percent: np.ndarray
    covariance: np.ndarray
    log_likelihood: np.ndarray
    boxcar_reads: np.ndarray
    se_ratio: np.ndarray

    def arrays(self) -> dict[str, np.ndarray]:
        """Arrays for a file, beside those of the joint fit."""
        return {
            "shapes": np.array(self.shapes),
            "shape_reasons": np.array(self.reasons),
            "shape_contrasts": np.array(self.contrasts),
            "plateau_percent": self.change_percent,
            "plateau_covariance": self.covariance,
            "log_likelihood": self.log_likelihood,
            "boxcar_reads": self.boxcar_reads,
            "se_ratio": self.se_ratio,
        }


def readings(box: Design, shaped: Design) -> tuple[np.ndarray, np.ndarray]:
    """What a boxcar reads of plateaus of 1, and how much larger the error of a plateau is.

    Parameters
    ----------
    box, shaped : Design
        The same columns, contrasts of one as a boxcar and of the other in a shape.

    Returns
    -------
    reads, se_ratio : arrays (n_contrasts,)
        The ratio infinite where columns of `shaped` depend on each other, both NaN where those of
        `box` do.
    """
    places = [box.names.index(name) for name in box.contrasts]
    found = np.linalg.pinv(box.matrix) @ shaped.matrix[:, places]

    def errors(matrix):
        """Standard errors of the contrasts, in units of the noise."""
        if np.linalg.matrix_rank(matrix) < matrix.shape[1]:
            return np.full(len(places), np.inf)
        inverse = np.linalg.pinv(matrix.T @ matrix, hermitian=True)
        return np.sqrt(np.diag(inverse)[places])

    plain = errors(box.matrix)
    if np.isinf(plain).any():
        return np.full(len(places), np.nan), np.full(len(places), np.nan)
    return np.diag(found[places]), errors(shaped.matrix) / plain
