"""What the command line answers: names that do not exist, help of every option."""

from __future__ import annotations

import argparse
import importlib
from contextlib import suppress

import pytest

import report_fixture as made
from fmrsflow import cli
from fmrsflow.errors import machine_fault, reading_failed, unknown

NAMES = "-".join(made.ANALYSIS.values())


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """One site, two scans, no results; the name of its study.json."""
    root = tmp_path_factory.mktemp("study")
    study = made.make_study(root, n_sites=1, n_subjects=2)
    (root / "study.json").write_text(study.save_text())
    return study, str(root / "study.json")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["sites", "mian"], "there is no analysis 'mian'; did you mean 'main'? (there are main)"),
        (["report", "mian"], "there is no analysis 'mian'; did you mean 'main'?"),
        (["report", "main", "siteA/sub-1"], "there is no scan 'siteA/sub-1'; did you mean 'siteA/"),
        (["bold", "--analysis", "mian"], "there is no analysis 'mian'; did you mean 'main'?"),
        (["plan", "--analysis", "mian"], "there is no analysis 'mian'; did you mean 'main'?"),
        (["basis", "nosuch", "siteA"], "there is no setting of basis 'nosuch'"),
        (["basis", made.ANALYSIS["basis"], "siteB"], "no site 'siteB'; did you mean 'siteA'?"),
        (["list", "cnvert"], "there is no stage 'cnvert'; did you mean 'convert'?"),
        (["bundle", "siteB"], "there is no site 'siteB'; did you mean 'siteA'?"),
        (["fit", "main", "siteA/sub-01"], "fit takes names of settings as preprocess-basis-fit"),
        (["convert", "siteA/sub-1"], "there is no scan 'siteA/sub-1'; did you mean 'siteA/sub-01"),
        (["response", NAMES, "siteA/sub-9"], "there is no response unit 'siteA/sub-9'"),
        (["preprocess", "nosuch", "siteA/sub-01"], "there is no setting of preprocess 'nosuch'"),
    ],
)
def test_a_name_that_does_not_exist_is_answered_with_what_there_is(study, capsys, arguments, said):
    assert cli.main([arguments[0], "--study", study[1], *arguments[1:]]) == 2
    told = capsys.readouterr().err
    assert said in told and "Traceback" not in told
    assert len(told.strip().splitlines()) == 1


def test_an_example_says_how_settings_of_a_stage_are_named(study, capsys):
    assert cli.main(["quantify", "--study", study[1], "main", "siteA/sub-01"]) == 2
    names = "-".join(made.ANALYSIS[one] for one in ("preprocess", "basis", "fit", "concentration"))
    assert f"for example {names} (analysis main)" in capsys.readouterr().err


@pytest.mark.parametrize(
    "command",
    [
        "sites main",
        "report main",
        "plan",
        "summary",
        "view",
        "convert a/b",
        "bundle a",
        "publish a",
    ],
)
def test_every_command_takes_the_study_alike(tmp_path, monkeypatch, capsys, command):
    monkeypatch.chdir(tmp_path)
    assert cli.main(command.split()) == 1
    assert "results/study.json is not there" in capsys.readouterr().err


def test_a_command_that_does_not_exist_is_answered_with_the_nearest(capsys):
    assert cli.main(["conver"]) == 2
    assert "there is no command 'conver'; did you mean 'convert'?" in capsys.readouterr().err


@pytest.mark.parametrize("command", sorted(cli.COMMANDS))
def test_every_option_has_help(command, monkeypatch):
    seen = []

    def parse(parser, *_):
        seen.append(parser)
        raise SystemExit

    monkeypatch.setattr(argparse.ArgumentParser, "parse_args", parse)
    module = importlib.import_module(f"fmrsflow.stages.{command}")
    for argv in ([], ["--analysis"]):
        with suppress(SystemExit):
            module.main(argv)
    assert seen
    for parser in seen:
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                seen += action.choices.values()
            else:
                assert action.help, f"{parser.prog} {action.dest}"


def test_a_full_disk_is_of_the_machine_and_a_link_is_none_of_the_content():
    assert "make room" in str(machine_fault(OSError(28, "")))
    assert "more memory" in str(machine_fault(MemoryError()))
    assert machine_fault(OSError(22, "")) is None  # a damaged offset gives it
    assert machine_fault(ValueError()) is None
    kinds = [type(reading_failed("a", OSError(n, ""), "cut")).__name__ for n in (5, 13, 40, 22)]
    assert kinds == ["MachineFault", "Unreachable", "Unreachable", "DataError"]


def test_where_nothing_is_near_the_names_are_listed():
    assert str(unknown("site", "x", ["A", "B"])) == "there is no site 'x' (there are A, B)"
