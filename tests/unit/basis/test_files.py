"""Basis files: round trips, other tools' conventions, resampling, and real files."""

from __future__ import annotations

import json
import re
from dataclasses import replace

import numpy as np
import pytest

from fmrsflow.basis import files, formats
from fmrsflow.basis.files import Basis
from fmrsflow.basis.formats import read_basis
from fmrsflow.basis.namelists import numbers
from fmrsflow.basis.sequences import press
from fmrsflow.basis.simulate import simulate
from fmrsflow.errors import DataError
from fmrsflow.fids import to_spectrum

MHZ = 123.25


@pytest.fixture(scope="module")
def basis() -> Basis:
    """Five metabolites with lines of 2 Hz, as basis files of other tools hold them."""
    made = simulate(press(0.03, 0.011), MHZ, 2048, 4000.0, ["NAA", "Cr", "Glu", "mI", "PE"])
    decay = np.exp(-2 * np.pi * np.arange(2048) / 4000)
    return replace(made, fids=made.fids * decay)


def naa_ppm(one: Basis) -> float:
    spectrum = np.abs(to_spectrum(one.fids[one.index("NAA")]))
    return one.ppm[spectrum.argmax()]


def write_lcmodel(basis: Basis, path, edit=lambda text: text):
    path.write_text(edit(formats.to_lcmodel(basis)))
    return path


def write_fsl(basis: Basis, folder, **changes):
    folder.mkdir(exist_ok=True)
    for name, text in formats.to_fsl(basis).items():
        content = json.loads(text)
        content["basis"] |= changes
        (folder / name).write_text(json.dumps(content))
    return folder


def test_our_own_format_gives_back_every_bit(basis, tmp_path):
    path = tmp_path / "a.npz"
    path.write_bytes(files.to_npz(basis))
    again = read_basis(path)
    np.testing.assert_array_equal(again.fids, basis.fids)
    assert replace(again, fids=basis.fids) == basis
    assert files.to_npz(again) == path.read_bytes()


def test_lcmodel_round_trip(basis, tmp_path):
    again = read_basis(write_lcmodel(basis, tmp_path / "a.BASIS"))
    assert set(again.names) == set(basis.names)
    again = again.select(basis.names)
    # Five digits are written; the scale per molecule comes from a fit of the creatine line.
    np.testing.assert_allclose(again.fids, basis.fids, rtol=2e-4, atol=1e-4)
    assert (again.te_s, again.frequency_mhz) == (0.03, MHZ)
    assert again.dwell_s == pytest.approx(basis.dwell_s, rel=1e-7)


def test_fsl_mrs_round_trip(basis, tmp_path):
    again = read_basis(write_fsl(basis, tmp_path / "set")).select(basis.names)
    np.testing.assert_allclose(again.fids, basis.fids, rtol=2e-4, atol=1e-4)
    assert (again.te_s, again.frequency_mhz, again.dwell_s) == (0.03, MHZ, basis.dwell_s)


def test_files_say_how_they_were_made(basis, tmp_path):
    text = formats.to_lcmodel(basis)
    assert "SEQ = 'PRESS'" in text
    assert f"PRESS ideal {basis.made['digest'][:12]}" in text
    meta = json.loads(formats.to_fsl(basis)["Glu.json"])["meta"]
    assert meta["systems"] == basis.made["systems"]


def test_ishift_moves_the_spectrum_back(basis, tmp_path):
    # As LCModel bases whose carrier stands at 0 ppm: without ISHIFT, NAA would read 6.66 ppm.
    points = round(4.65 * MHZ / (4000.0 / 4096))
    turned = np.exp(2j * np.pi * points * 4000 / 4096 * np.arange(2048) / 4000)
    moved = replace(basis, fids=basis.fids * turned)

    def edit(text):
        return text.replace("ISHIFT = 0", f"ISHIFT = {-points}")

    again = read_basis(write_lcmodel(moved, tmp_path / "a.BASIS", edit))
    np.testing.assert_allclose(again.select(basis.names).fids, basis.fids, atol=1e-3)
    with pytest.raises(DataError, match=r"NAA stands at 6\.6\d ppm instead of 2\.01"):
        read_basis(write_lcmodel(moved, tmp_path / "b.BASIS"))


USED = """ $NMUSED
 FILERAW = 'a $BASIS = 1.raw',
 PPMAPP =  0.5 -0.5,
 PPMGAP = 20*997.,
 PPMSEP =  4.68000010,
 PPMSPL =  997.  997.  997.
  997.  997.,
 SDPNTS =  1.
 $END
"""
"""A group that MakeBasis writes for each metabolite. PPMSEP parts baselines in LCModel; it is no
centre of the spectrum."""

_EXPONENT = re.compile(r"(?<=\d)E(?=[-+]\d)")


@pytest.mark.parametrize(
    "edit",
    {
        "$END at a line's end": lambda text: text.replace("\n $END", " $END"),
        "&END": lambda text: text.replace("$", "&"),
        "a lone $ and /": lambda text: text.replace("$END", "$", 3).replace("$END", "/"),
        "lower case": lambda text: text.replace("$END", "$end").replace("METABO", "metabo"),
        "in the first column": lambda text: re.sub("(?m)^ ", "", text),
        "no spaces round =": lambda text: text.replace(" = ", "="),
        "Windows ends of lines": lambda text: text.replace("\n", "\r\n"),
        "D exponents": lambda text: _EXPONENT.sub("D", text),
        "d exponents": lambda text: _EXPONENT.sub("d", text),
        "no $NMUSED": lambda text: re.sub(r"(?s) \$NMUSED.*?\$END\n", "", text),
        "several $NMUSED": lambda text: text.replace(" $NMUSED", USED + USED + " $NMUSED"),
        "a comment": lambda text: text.replace("$BASIS1", "$BASIS1 ! it's $END of = 1"),
        "double quotes": lambda text: text.replace("'", '"'),
        "an index": lambda text: text.replace("HZPPPM =", "PPMOFF(1) = -999., HZPPPM ="),
        "no NDATAB": lambda text: re.sub(r",\n NDATAB = \d+", "", text),
        "NDATAB as a real": lambda text: re.sub(r"(NDATAB = \d+)", r"\1.0", text),
        "an empty ISHIFT": lambda text: text.replace("ISHIFT = 0", "ISHIFT = ,"),
    }.items(),
    ids=lambda edit: edit[0],
)
def test_lcmodel_files_are_read_in_every_form_that_people_have(basis, tmp_path, edit):
    plain = write_lcmodel(basis, tmp_path / "plain.BASIS")
    other = tmp_path / "other.BASIS"
    other.write_text(edit[1](plain.read_text()))
    assert other.read_text() != plain.read_text() or edit[0].startswith("Windows")
    first, second = read_basis(plain), read_basis(other)
    assert (second.names, second.te_s, second.dwell_s) == (first.names, 0.03, first.dwell_s)
    assert second.frequency_mhz == first.frequency_mhz
    np.testing.assert_array_equal(second.fids, first.fids)


@pytest.mark.parametrize("empty", ["ECHOT =,", "ECHOT =  ,", "ECHOT = -1.,", ""])
def test_an_echo_time_that_is_not_there_is_not_known(basis, tmp_path, empty):
    def edit(text):
        return text.replace("ECHOT = 30,", empty)

    again = read_basis(write_lcmodel(basis, tmp_path / "a.BASIS", edit))
    assert again.te_s is None
    assert again.made["sequence"] == "PRESS"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1.5E-03-2.5E+00", [1.5e-3, -2.5]),
        ("0.12345-102 -.5D+01", [0.12345e-102, -5.0]),
        (" 1.0\n-2.0\r\n3", [1.0, -2.0, 3.0]),
    ],
)
def test_numbers_that_fortran_writes_without_spaces_are_parted(text, expected):
    np.testing.assert_allclose(numbers(text), expected, rtol=1e-12)


def test_a_factor_of_zero_is_told(basis, tmp_path):
    def edit(text):
        return text.replace("CONC = 1.", "CONC = 0.", 1)

    with pytest.raises(DataError, match="VOLUME or CONC of NAA is 0"):
        read_basis(write_lcmodel(basis, tmp_path / "a.BASIS", edit))


def test_a_value_that_is_no_number_is_told(basis, tmp_path):
    def edit(text):
        return text.replace("HZPPPM = 123.250000", "HZPPPM = high")

    with pytest.raises(DataError, match="HZPPPM = 'high' of \\$SEQPAR is no number"):
        read_basis(write_lcmodel(basis, tmp_path / "a.BASIS", edit))


def test_scale_factors_of_an_entry_count(basis, tmp_path):
    def edit(text):
        head, tail = text.split(" METABO = 'Glu',")
        return head + " METABO = 'Glu'," + tail.replace("CONC = 1.", "CONC = 4.", 1)

    again = read_basis(write_lcmodel(basis, tmp_path / "a.BASIS", edit))
    row = basis.fids[basis.index("Glu")] / 4
    np.testing.assert_allclose(again.fids[again.index("Glu")], row, atol=1e-4)


@pytest.mark.parametrize("factor", [1e-3, 7.0, 2.5e6])
@pytest.mark.parametrize("reference_line", [0.0, 3.0])
def test_the_creatine_line_sets_the_scale_whatever_else_is_in_the_entry(
    basis, tmp_path, factor, reference_line
):
    # A line at 0 ppm, as some bases hold for LCModel, adds to the first point of each FID.
    time = np.arange(basis.n_points) * basis.dwell_s
    extra = reference_line * np.exp(-2j * np.pi * 4.65 * MHZ * time - 2 * np.pi * time)
    other = replace(basis, fids=factor * (basis.fids + extra))
    again = read_basis(write_lcmodel(other, tmp_path / "a.BASIS"))
    assert again.made["scale"] == pytest.approx(factor, rel=2e-3)


def test_a_conjugated_set_is_turned_round(basis, tmp_path):
    folder = write_fsl(replace(basis, fids=np.conj(basis.fids)), tmp_path / "set")
    again = read_basis(folder)
    assert again.made["conjugated"]
    assert naa_ppm(again) == pytest.approx(2.008, abs=0.02)


def test_a_halved_first_point_is_made_whole(basis, tmp_path):
    halved = basis.fids.copy()
    halved[:, 0] /= 2
    again = read_basis(write_fsl(replace(basis, fids=halved), tmp_path / "set"))
    assert again.made["first_point_was_halved"]
    np.testing.assert_allclose(again.select(basis.names).fids, basis.fids, atol=1e-3)


def test_names_of_other_tools_become_ours_and_parts_are_added(basis, tmp_path):
    other = replace(basis, names=("NAA", "CR", "Lip13a", "Ins", "PEth"))
    other = replace(
        other, names=(*other.names, "Lip13b"), fids=np.concatenate([basis.fids, basis.fids[2:3]])
    )
    again = read_basis(write_lcmodel(other, tmp_path / "a.BASIS"))
    assert set(again.names) == {"NAA", "Cr", "Lip13", "mI", "PE"}
    row = 2 * basis.fids[basis.index("Glu")]
    np.testing.assert_allclose(again.fids[again.index("Lip13")], row, atol=1e-3)


@pytest.mark.parametrize(
    ("dwell_s", "n_points", "mhz"),
    [(1 / 2000, 1024, MHZ), (1 / 5000, 2048, MHZ), (1 / 1200, 512, MHZ)],
)
def test_resampling_equals_simulating_for_the_scan(dwell_s, n_points, mhz):
    names = ["NAA", "Glu", "Lac", "mI"]
    wide = simulate(press(0.03), mhz, 8192, 6000.0, names).resampled(dwell_s, n_points, mhz)
    own = simulate(press(0.03), mhz, n_points, 1 / dwell_s, names)
    # The amide of NAA (7.8 ppm) lies far from the middle of the interpolation.
    np.testing.assert_allclose(wide.fids[1:], own.fids[1:], atol=1e-5)
    np.testing.assert_allclose(wide.fids[0], own.fids[0], atol=1e-3)


def test_another_vendors_magnet_keeps_the_ppm_axis(basis):
    again = basis.resampled(1 / 2000, 1024, 127.75)
    assert again.frequency_mhz == 127.75
    assert naa_ppm(again) == pytest.approx(2.008, abs=0.01)


def test_another_field_is_refused(basis):
    with pytest.raises(DataError, match="basis is for 123.25 MHz, the scan has 297.20 MHz"):
        basis.resampled(1 / 4000, 2048, 297.2)


def test_past_its_end_a_basis_is_zero(basis):
    again = basis.resampled(basis.dwell_s, 4096, MHZ)
    np.testing.assert_allclose(again.fids[:, :2048], basis.fids, atol=1e-9)
    assert not again.fids[:, 2048:].any()


def test_a_missing_metabolite_is_named(basis):
    with pytest.raises(DataError, match="the basis has no GABA; it has NAA, Cr, Glu, mI, PE"):
        basis.select(["GABA"])


def test_bad_files_are_told(basis, tmp_path):
    cut = write_lcmodel(basis, tmp_path / "cut.BASIS", lambda text: text[: len(text) // 2])
    with pytest.raises(DataError, match="cut.BASIS: .* the file is truncated"):
        read_basis(cut)
    (tmp_path / "text.basis").write_text("hello")
    with pytest.raises(DataError, match=r"text.basis is no LCModel \.BASIS file"):
        read_basis(tmp_path / "text.basis")
    (tmp_path / "a.npz").write_bytes(b"PK nothing")
    with pytest.raises(DataError, match="a.npz cannot be read as a basis"):
        read_basis(tmp_path / "a.npz")
    (tmp_path / "c.npz").write_bytes(files.to_npz(basis)[:-2000])
    with pytest.raises(DataError, match="c.npz cannot be read as a basis"):
        read_basis(tmp_path / "c.npz")
    np.savez(tmp_path / "b.npz", names=np.array(["Glu"]))
    with pytest.raises(DataError, match="b.npz is no basis: it lacks carrier_ppm, dwell_s"):
        read_basis(tmp_path / "b.npz")
    with pytest.raises(DataError, match="no basis at none.BASIS"):
        read_basis(tmp_path / "none.BASIS")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="empty holds no .json file"):
        read_basis(tmp_path / "empty")
    broken = write_fsl(basis, tmp_path / "broken")
    (broken / "Glu.json").write_text("{}")
    with pytest.raises(DataError, match=r"Glu.json is no FSL-MRS basis file \(KeyError"):
        read_basis(broken)
    (tmp_path / "basis.txt").write_text("x")
    with pytest.raises(DataError, match="basis.txt is no basis that can be read"):
        read_basis(tmp_path / "basis.txt")


def test_a_pickle_is_never_opened(tmp_path):
    np.savez(tmp_path / "a.npz", names=np.array([object()], dtype=object))
    with pytest.raises(DataError, match="cannot be read as a basis"):
        read_basis(tmp_path / "a.npz")


@pytest.mark.parametrize(
    ("path", "scale", "reference_line"),
    [
        # The set holds a line of 0.1 protons at 0 ppm in each entry.
        ("fitting-challenge/basis/press3T_30ms.BASIS", 1.0, 0.1),
        ("slaser-3t/basis", 0.5, 0.0),
        ("real-fit/lcmodel-test/spant_3t.basis", None, 0.0),
        ("real-fit/basis/ge.BASIS", None, 0.0),
        ("real-fit/basis/philips.BASIS", None, 0.0),
        ("real-fit/basis/siemens.BASIS", None, 0.0),
    ],
)
def test_real_sets_have_naa_at_2_01_ppm_and_protons_per_molecule(
    shared_data, path, scale, reference_line
):
    real = read_basis(shared_data / path)
    # The vendors' sets have water at 4.68 ppm.
    assert naa_ppm(real) == pytest.approx(2.008, abs=0.035)
    if scale:
        assert real.made["scale"] == pytest.approx(scale, rel=2e-3)
    # The vendors' creatine has the amide proton at 6.65 ppm too.
    whole = {"Cr": 5, "PCr": 5} if path.startswith(("fitting", "slaser")) else {}
    for name, protons in (whole | {"Gly": 2, "sI": 6}).items():
        if name in real.names:
            first = abs(real.fids[real.index(name), 0])
            assert first == pytest.approx(protons + reference_line, rel=0.03)
