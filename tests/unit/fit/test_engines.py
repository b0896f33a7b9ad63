"""Other engines: what is told when they are absent, and what they find where they are there."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from fmrsflow.errors import DataError, MachineFault, Unreachable
from fmrsflow.fit import engines
from fmrsflow.fit.engines import COMMANDS, _read_lcmodel, find_command, fit_with_engine, to_raw
from fmrsflow.fit.options import FitOptions
from fmrsflow.fit.scan import Transients, engine_timecourse

TABLE = """
$$CONC  4 lines in following concentration table = NCONC+1
    Conc.  %SD /Cr+PCr  Metabolite
    9.506   5%   1.151 Glu
 2.69E-02 999% 3.3E-03 Gly
    8.256   2%   1.000 Cr+PCr
"""


@pytest.mark.parametrize("engine", list(COMMANDS))
def test_an_absent_command_is_told_with_the_way_to_get_it(engine):
    with pytest.raises(Unreachable, match="not on this machine's PATH; (install|build)") as told:
        find_command(engine, "no-such-command-here")
    assert {Path(path).name for path in told.value.paths} == {"no-such-command-here"}


def test_a_table_of_lcmodel_is_read():
    amplitudes, errors = _read_lcmodel(TABLE, ("Glu", "Gly", "Lac"))
    np.testing.assert_allclose(amplitudes, [9.506, 0.0269, 0.0])
    assert errors[0] == pytest.approx(0.4753)
    assert np.isnan(errors[1:]).all()


def test_an_empty_table_is_an_error():
    with pytest.raises(DataError, match="no concentrations"):
        _read_lcmodel("LCModel: FATAL", ("Glu",))


def test_raw_files_hold_the_conjugate():
    assert to_raw(np.array([1 + 2j])).split()[-2:] == ["1.0000000E+00", "-2.0000000E+00"]


@pytest.mark.slow
@pytest.mark.parametrize("engine, limit", [("fsl_mrs", 0.06), ("lcmodel", 0.2)])
def test_engines_find_the_amplitudes_of_a_clean_spectrum(noisy, basis, truth, engine, limit):
    """LCModel's regularised lineshape and stiff defaults leave it some percent low."""
    if shutil.which(COMMANDS[engine]) is None:
        pytest.skip(f"{engine} is not installed here")
    options = FitOptions(engine=engine, baseline="polynomial", baseline_order=0)
    result = fit_with_engine(noisy(1, 200.0, 1), basis, options)[0]
    for name in ("NAA", "Glu", "mI"):
        k = basis.names.index(name)
        assert result.amplitudes[k] == pytest.approx(truth[k], rel=limit), name


@pytest.mark.parametrize("engine", ["fsl_mrs", "lcmodel"])
def test_an_engine_answers_alike_on_any_scale_of_the_data(noisy, basis, engine):
    if shutil.which(COMMANDS[engine]) is None:
        pytest.skip(f"{COMMANDS[engine]} is not installed")
    fids = noisy(1, 200.0, 1)
    options = FitOptions(engine=engine, baseline="polynomial", baseline_order=2)
    whole, small = (
        fit_with_engine(one, basis, options)[0] for one in (fids, fids.with_data(1e-7 * fids.data))
    )
    glu = basis.index("Glu")
    assert small.amplitudes[glu] == pytest.approx(1e-7 * whole.amplitudes[glu], rel=1e-3)


def command(folder, text: str) -> str:
    """A program that stands for LCModel; it reads its control file and runs in `folder`."""
    path = folder / "engine"
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("kill -9 $$", "killed .SIGKILL"),
        ("(kill -9 $$) & wait", "killed .SIGKILL"),
        ("exit 143", "killed .SIGTERM"),
        ("exit 1", "on a spectrum made of the basis itself: lcmodel ended with code 1"),
        ("exit 0", "on a spectrum made of the basis itself: lcmodel wrote no table"),
        ("sleep 9", "did not end within 1 s; and on a spectrum made of the basis itself"),
    ],
)
def test_an_engine_that_is_killed_or_fails_on_any_spectrum_is_a_fault_of_the_machine(
    noisy, basis, tmp_path, monkeypatch, text, said
):
    monkeypatch.setattr(engines, "TIMEOUT_S", 1)
    options = FitOptions(engine="lcmodel", command=command(tmp_path, text))
    with pytest.raises(MachineFault, match=said):
        fit_with_engine(noisy(1, 200.0, 1), basis, options)


def test_an_engine_that_fails_on_this_spectrum_alone_is_a_failure_of_the_scan(
    noisy, basis, tmp_path
):
    (tmp_path / "table").write_text(TABLE)
    once = f"mkdir {tmp_path}/seen && exit 3; cp {tmp_path}/table out.table"
    options = FitOptions(engine="lcmodel", command=command(tmp_path, once))
    with pytest.raises(DataError, match="ended with code 3"):
        fit_with_engine(noisy(1, 200.0, 1), basis, options)


def test_an_engine_that_is_no_program_is_a_fault_of_the_machine(noisy, basis, tmp_path):
    path = tmp_path / "engine"
    path.write_bytes(b"\x7fELF of another machine")
    path.chmod(0o755)
    with pytest.raises(MachineFault, match="cannot be started"):
        fit_with_engine(noisy(1, 200.0, 1), basis, FitOptions(engine="lcmodel", command=str(path)))


def test_blocks_of_an_engine_are_fitted_one_by_one(noisy, basis, tmp_path):
    """A row a block and metabolite, with what the engine wrote of it; rejected transients count for
    nothing in the time of a block."""
    (tmp_path / "table").write_text(TABLE)
    copies = f"cp {tmp_path}/table out.table; echo >> {tmp_path}/runs"
    options = FitOptions(engine="lcmodel", command=command(tmp_path, copies))
    fids, kept = noisy(6, 200.0, 1), np.array([True, True, True, True, False, True])
    labels = ("rest", "rest", "task", "task", "rest", "rest")
    given = Transients(fids, labels, kept, kept.astype(float), 2.0 * np.arange(6))
    rows = engine_timecourse(given, fids, basis, options)
    glu = [row for row in rows if row["metabolite"] == "Glu"]
    assert (tmp_path / "runs").read_text().count("\n") == len(glu) == 3
    assert [row["condition"] for row in glu] == ["rest", "task", "rest"]
    assert [row["time_s"] for row in glu] == [1.0, 5.0, 10.0]
    assert {row["amplitude"] for row in glu} == {glu[0]["amplitude"]}
    assert glu[0]["se"] == pytest.approx(0.05 * glu[0]["amplitude"])
