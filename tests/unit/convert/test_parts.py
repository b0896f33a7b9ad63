"""Parts of spec2nii that are loaded, or done in one step, before it is forked."""

from __future__ import annotations

import numpy as np
import pytest

from fmrsflow.convert import parts


def test_sdat_comes_out_bit_for_bit_as_spec2nii_reads_it(tmp_path):
    """All patterns of sign and exponent, zero and reserved ones too."""
    from spec2nii.Philips import philips

    rng = np.random.default_rng(0)
    words = rng.integers(0, 2**16, (2, 6 * 128, 2), dtype=np.uint16)
    words[0, :8] = 0
    words[0, 8:16, 0] = 0x8000
    file = tmp_path / "a.SDAT"
    file.write_bytes(words.astype("<u2").tobytes())
    values = philips._vax_to_ieee_single_float(file.read_bytes())
    expected = np.array(values).view(complex).astype(np.complex64).reshape(6, 128).T
    found = parts.read_sdat(file, 128, 6)
    assert found.dtype == np.complex64
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("command", sorted(parts._PARTS))
def test_parts_of_every_command_are_there(command):
    parts.load_parts(command)
