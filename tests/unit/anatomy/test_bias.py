"""N4 against ITK's, which it follows step by step."""

from __future__ import annotations

import numpy as np
import pytest
import SimpleITK as sitk

from fmrsflow.anatomy import bias
from fmrsflow.synthetic.head import make_head


@pytest.fixture(scope="module")
def head():
    return make_head(np.random.default_rng(0), np.random.default_rng(10))


def itk_log_bias(image, mask, factor, iterations, threshold):
    picture = sitk.GetImageFromArray(np.ascontiguousarray(image.T))
    inside = sitk.GetImageFromArray(np.ascontiguousarray(mask.T).astype(np.uint8))
    corrector = sitk.N4BiasFieldCorrectionImageFilter()
    corrector.SetMaximumNumberOfIterations(iterations)
    corrector.SetConvergenceThreshold(threshold)
    shrink = [factor] * 3
    corrector.Execute(sitk.Shrink(picture, shrink), sitk.Shrink(inside, shrink))
    return sitk.GetArrayFromImage(corrector.GetLogBiasFieldAsImage(picture)).T


@pytest.mark.parametrize("cut", [(0, 0, 0), (1, 2, 3)])
def test_each_step_is_that_of_itk(head, cut, monkeypatch):
    """The same number of iterations on each level, on grids of even and odd lengths."""
    monkeypatch.setattr(bias, "ITERATIONS", 3)
    monkeypatch.setattr(bias, "CONVERGENCE", 0.0)
    image = head.t1w.astype(np.float32)[tuple(slice(start, None) for start in cut)]
    mask = image > 0
    expected = itk_log_bias(image, mask, 2, [3] * bias.LEVELS, 0.0)
    found = bias.log_bias(image, mask, np.full(3, 2.0))
    assert expected[mask].std() > 0.01
    np.testing.assert_allclose(found, expected, atol=2e-5)


def test_field_at_convergence_is_that_of_itk_but_for_a_factor(head):
    """ITK judges convergence in single precision, and ends an iteration or two elsewhere."""
    image = head.t1w.astype(np.float32)
    mask = image > 0
    expected = itk_log_bias(image, mask, 2, [50] * 4, 0.001)
    difference = (bias.log_bias(image, mask, np.full(3, 2.0)) - expected)[mask]
    assert difference.std() < 0.01 * expected[mask].std()
