"""The methods paragraph claims only what ran, and every citation has its entry."""

from __future__ import annotations

import json
import math
import re
import shutil
import subprocess
from dataclasses import replace

import pytest

from fmrsflow.question import Question
from fmrsflow.report.methods import Answered, Methods, asked_for, methods
from fmrsflow.report.references import _WORKS, bibtex, cite
from fmrsflow.sites.answer import CROSSED, HARTUNG_KNAPP, ONE_SITE
from fmrsflow.study import Site

SITES = [Site("A", "GE", 3.0, "press", 0.03, 2.0, "own")]
LIMITS = {"max_fwhm_tcr_ppm": 0.094, "min_snr_tcr": 10.0}
SETTING = {
    "name": "robust",
    "align": "robust",
    "outlier_z": 3.0,
    "max_removed_share": 0.2,
    "water": "hlsvd",
    "water_low_ppm": 4.2,
    "water_high_ppm": 4.9,
    "average": "distance",
    "lag_s": 0.0,
}


def written(setting=None, n_coils=1, eddy=True, **records):
    preprocess = {
        "settings": {"preprocess": SETTING | (setting or {})},
        "parameters": {"eddy": {"applied": eddy}},
        "snr_definition": "height / SD",
    }
    records = {"convert": [{"n_coils": n_coils}], "preprocess": [preprocess]} | records
    return methods(SITES, 3, records, {"Version": "0.1.0"}, LIMITS)


def test_what_the_bases_assume_of_the_sites_is_told():
    pulses = "Shinnar-Le Roux refocusing pulses of 1.2 kHz and 5 ms at 2.8 ppm"
    made = {"source": "simulate", "sequence": "PRESS", "pulses": "shaped"}
    records = [
        {"made": made | {"site": site, "assumed": {"pulses": pulses} | times}}
        for site, times in (("A", {"te1_s": "TE1 14.7 ms, as usual for GE"}), ("B", {}))
    ]
    text = " ".join(written(basis=records).paragraphs)
    assert "simulated from density matrices: PRESS with shaped pulses." in text
    assert f"do not state it: {pulses} (A, B); TE1 14.7 ms, as usual for GE (A)." in text
    read = [{"made": {"source": "file", "sequence": "PRESS"}}, {}]
    assert "Basis sets were simulated" not in " ".join(written(basis=read).paragraphs)


def test_steps_that_ran_are_told_with_their_values():
    text = " ".join(written().paragraphs)
    assert "3 scans from 1 site (1 × GE 3 T)" in text
    assert "robust spectral registration (Near 2015; Mikkelsen 2020)" in text
    assert "robust z-score above 3 were removed, at most 20 %" in text
    assert "4.2–4.9 ppm" in text
    assert "wider than 0.094 ppm" in text


@pytest.mark.parametrize(
    ("changes", "absent"),
    [
        ({"n_coils": 1}, "coils were combined"),
        ({"eddy": False}, "Klose"),
        ({"setting": {"align": "none"}}, "registration"),
        ({"setting": {"water": "none"}}, "HLSVD"),
    ],
)
def test_steps_that_did_not_run_are_not_claimed(changes, absent):
    assert absent not in " ".join(written(**changes).paragraphs)


def test_coils_are_claimed_where_there_were_some():
    assert "Rodgers 2010" in " ".join(written(n_coils=32).paragraphs)


def test_constants_are_cited_by_their_set():
    quantified = [{"water": {"amplitude": 1}, "constants": "spant 3T 1", "tissue": {}}]
    made = written(fit=[{"settings": {}}], quantify=quantified)
    assert "Wilson2021" in made.keys and "Gasparovic2006" in made.keys


def test_every_citation_in_the_text_has_an_entry_and_the_other_way_round():
    made = written(n_coils=8, response=[{"settings": {}}])
    text = " ".join(made.paragraphs)
    assert all(cite(key) in text for key in made.keys)
    assert re.findall(r"@article\{(\w+),", made.bibtex) == sorted(made.keys)
    cited = re.findall(r"\[@(\w+)((?:; @\w+)*)\]", made.markdown)
    in_markdown = {key for first, more in cited for key in (first, *re.findall(r"\w+", more))}
    assert in_markdown == set(made.keys) and len(in_markdown) > 5
    assert made.markdown.count("@") == sum(1 + more.count("@") for _, more in cited)


ASKED = Question("Glu", "joint", True, "molal", "task-rest", "")
ONE = {"rest": "rest", "scans": ["A/sub-01"]}
TWO = {"rest": "rest", "scans": ["A/sub-01_rest", "A/sub-01_task"]}
POOLED = {"method": HARTUNG_KNAPP}
TESTS = [
    {"what": "change", "role": role, "metabolite": name}
    for role, name in (
        ("main", "Glu"), ("tested", "GABA"), ("control", "tCr"), ("control", "tNAA")
    )
]  # fmt: skip
NO_VENDOR = {"vendor_sd": math.nan}
AGE = {"column": "age", "estimate": 0.1, "vendor_sd": 0.0, "site_sd": 1.0, "person_sd": 1.0,
       "n_left_out": 0}  # fmt: skip
GROUP = AGE | {"column": "group", "n_left_out": 2}
BOTH = AGE | {"column": "age:group"}
LOST = AGE | {"estimate": math.nan}
RUN = {"n_runs": 2, "settings": {"bold": {"noise_model": "ar1"}}}


def told(responses=(ONE,), changes=None, **found):
    """The methods of an analysis of these responses whose answer has these fields."""
    asked = replace(ASKED, **(changes or {}))
    made = methods(
        SITES,
        3,
        {"convert": [{}, {}, {}], "quantify": [{}, {}], "response": list(responses)},
        {"Version": "0.1.0"},
        LIMITS,
        Answered(asked=asked, **found),
    )
    return " ".join(made.paragraphs)


JOINT = [
    {"flipped": flipped, "people": "all", "n_analyses": 3, "n_flips": 8}
    for flipped in ("persons", "sites")
]


@pytest.mark.parametrize(
    ("sentence", "where", "elsewhere"),
    [
        (
            "line widths of the conditions were free to differ",
            {"meta": POOLED},
            {"changes": {"matched": False}},
        ),
        ("line widths of the conditions were taken as one", {"changes": {"matched": False}}, {}),
        ("free to differ", {}, {"responses": (TWO, TWO)}),
        (
            "both were fitted in one model, each with its own phase",
            {"responses": (TWO | {"joint": {}}, TWO | {"joint": {}})},
            {"responses": (TWO,)},
        ),
        (
            "they were fitted apart; their line widths were not matched",
            {"responses": (TWO,)},
            {"responses": (TWO | {"joint": {}},)},
        ),
        (
            "they were fitted apart",
            {"responses": (TWO | {"joint": {}},), "changes": {"estimator": "blocks"}},
            {},
        ),
        ("from one model of all transients", {}, {"changes": {"estimator": "blocks"}}),
        ("from the means of the conditions", {"changes": {"estimator": "blocks"}}, {}),
        ("with a drift", {"changes": {"estimator": "timecourse"}}, {}),
        (
            "difference of the change under on and under off",
            {"changes": {"contrast": "task-rest (on-off)"}},
            {"changes": {"contrast": "task-rest (on)"}},
        ),
        ("in acc and in pcc in the same person", {"changes": {"region": "acc-pcc"}}, {}),
        ("the main one is acc", {"changes": {"region": "acc"}}, {"changes": {"region": ""}}),
        ("REML (Viechtbauer 2005) and Hartung-Knapp", {"meta": POOLED}, {"meta": {}}),
        ("Hartung-Knapp", {"meta": POOLED}, {"meta": {"method": ONE_SITE}}),
        ("There is one site", {"meta": {"method": ONE_SITE}}, {"meta": POOLED}),
        ("people crossed with sites", {"meta": {"method": CROSSED}}, {"meta": POOLED}),
        ("No interval can be given", {"meta": {"method": "one scan"}}, {"meta": POOLED}),
        ("by REML into site, participant", {"components": ["site", "participant"]}, {}),
        ("tCr and tNAA are negative controls", {"tests": TESTS}, {"tests": TESTS[:2]}),
        ("2 changes tested were adjusted by Holm", {"tests": TESTS}, {"tests": TESTS[:1]}),
        ("differ by with age, group was estimated", {"people": [AGE, GROUP]}, {}),
        ("vendor, site, person at random", {"people": [AGE]}, {"people": [AGE | NO_VENDOR]}),
        ("errors and degrees of freedom by (Kenward 1997)", {"people": [AGE]}, {"people": [LOST]}),
        ("(age x group) each in a model of its own", {"people": [AGE, BOTH]}, {"people": [AGE]}),
        ("2 changes without a covariate", {"people": [AGE, GROUP]}, {"people": [AGE]}),
        (
            "3 analyses were tested together (Simonsohn 2020) by flips of the signs of persons "
            "and, apart from that, of sites,",
            {"joint": JOINT},
            {"joint": [row | {"n_analyses": 1} for row in JOINT]},
        ),
        ("deviations from it: 2.", {"n_deviations": 2}, {"n_deviations": 0}),
        ("deviations from it: none.", {"n_deviations": 0}, {}),
        ("2 BOLD runs of 1 scan", {"bold": [RUN]}, {}),
        ("autoregressive noise", {"bold": [RUN]}, {"bold": [{"n_runs": 1}]}),
        ("combined as fixed effects", {"bold": [RUN]}, {"bold": [{"n_runs": 1}]}),
        (
            "psychophysiological",
            {"bold": [RUN | {"connectivity": {"contrasts": {}}}]},
            {"bold": [RUN]},
        ),
        (
            "Over 6 persons, the BOLD area was correlated",
            {"accord": [{"measure": "area", "n_exchanged": 6}]},
            {"accord": [{"measure": "area", "n_exchanged": 4}]},
        ),
        (
            "The narrowing of the tCr line and the change were compared by their signs alone",
            {"accord": [{"measure": "linewidth", "n_exchanged": 4}]},
            {"accord": [{"measure": "linewidth", "n_exchanged": 6}]},
        ),
    ],
)
def test_each_sentence_stands_where_its_step_ran_and_nowhere_else(sentence, where, elsewhere):
    assert sentence in told(**where)
    assert sentence not in told(**elsewhere)


def test_a_unit_of_two_scans_is_one_response():
    assert "2 responses could be computed" in told((ONE, TWO, TWO))
    assert "1 of 2 responses" in told((ONE, TWO, TWO))
    assert "of 1 response within a scan" in told((ONE, TWO, TWO))


def test_without_a_response_nothing_is_said_of_one():
    text = told(responses=())
    for word in ("response", "REML", "Holm", "BOLD", "controls"):
        assert word not in text.replace("BOLD narrowing", "")
    assert "2 of the scans could be quantified" in text
    assert "None could be converted" in " ".join(methods(SITES, 3, {}, {}, LIMITS).paragraphs)


def test_transients_that_are_one_have_nothing_to_align_or_average():
    for words in ("registration", "z-score", "averaged per condition"):
        assert words in " ".join(written().paragraphs)
        one = written(convert=[{"n_coils": 1, "n_transients": 1}])
        assert words not in " ".join(one.paragraphs)


def test_errors_are_those_of_the_engine_and_of_the_models_that_ran():
    def fitted(engine, n_models=1):
        setting = {"fit": {"engine": engine}, "basis": {}}
        return " ".join(written(fit=[{"settings": setting, "n_models": n_models}]).paragraphs)

    assert "Cramér-Rao" in fitted("fmrsflow") and "the spread over" not in fitted("fmrsflow")
    assert "the spread over 4 models" in fitted("fmrsflow", 4)
    assert "Cramér-Rao" not in fitted("lcmodel") and "this program states" in fitted("lcmodel")


def test_what_the_methods_ask_for_of_records_is_light():
    kept = asked_for("fit", {"n_models": {"all": 4, "rest": 3}}, False)
    assert kept == {"n_models": 4}
    kept = asked_for("response", {**TWO, "joint": {"status": "ok", "gain": {}}}, False)
    assert kept == {**TWO, "joint": {"status": "ok"}}


HOSTILE = (
    '<img src="http://tracker.test/x.png"> <script>alert(1)</script> [@Doe2020] @doe '
    "![](http://tracker.test/y.png) [here](javascript:go) <http://tracker.test> `code` **bold** "
    "$x^2$ \\input{/etc/passwd} {=html} &copy; ~~gone~~ H~2~O "
    "\x02Near2015\x03 \x02Nobody1900\x03 \x02Wilson2021\x03"
    "\n\n# A heading\n\n| a | b |\n|---|---|\n\n[^1]: a note ^[inline]"
)
"""Free text of a bundle's record: everything that Markdown, HTML or TeX would act on."""


def hostile() -> Methods:
    """Methods with that text in every place that takes words of a sheet, setting or record."""
    preprocess = {
        "settings": {"preprocess": SETTING | {"name": HOSTILE}},
        "parameters": {"eddy": {"applied": True}},
        "snr_definition": HOSTILE,
    }
    made = {"source": "simulate", "sequence": HOSTILE, "pulses": HOSTILE, "site": HOSTILE}
    fitted = {"basis": {"name": HOSTILE}, "fit": {"engine": HOSTILE, "baseline": HOSTILE}}
    return methods(
        [Site(HOSTILE, HOSTILE, 3.0, HOSTILE, 0.03, 2.0, "own")],
        1,
        {
            "convert": [{"n_coils": 8}],
            "preprocess": [preprocess],
            "anatomy": [{"method": HOSTILE}],
            "basis": [{"made": made | {"assumed": {"pulses": HOSTILE}}}],
            "fit": [{"settings": fitted}],
            "quantify": [{"water": {"amplitude": 1}, "constants": HOSTILE}],
            "response": [{"settings": {"response": {"rest": HOSTILE}}}],
        },
        {"Version": HOSTILE},
        LIMITS,
    )


def test_free_text_stays_text_in_commonmark():
    from markdown_it import MarkdownIt

    reader = MarkdownIt("commonmark").enable(["table", "strikethrough"])
    kinds = {
        token.type
        for block in reader.parse(hostile().markdown)
        for token in (block, *(block.children or ()))
    }
    assert kinds == {"paragraph_open", "inline", "paragraph_close", "text"}
    assert "<script>alert(1)</script>" in hostile().paragraphs[0], "the words are there to be read"


def kinds_of(node) -> set[str]:
    """Kinds of all elements of a document as Pandoc parses it."""
    if isinstance(node, dict):
        own = {node["t"]} if isinstance(node.get("t"), str) else set()
        return own.union(*(kinds_of(one) for one in node.values()))
    if isinstance(node, list):
        return set().union(*(kinds_of(one) for one in node))
    return set()


@pytest.mark.skipif(not shutil.which("pandoc"), reason="pandoc is not installed")
def test_pandoc_renders_the_methods_with_every_citation(tmp_path):
    made = hostile()
    for name, text in (("methods.md", made.markdown), ("references.bib", made.bibtex)):
        (tmp_path / name).write_text(text)

    def pandoc(*arguments: str) -> str:
        """What `pandoc methods.md` gives, with its references."""
        command = ["pandoc", "methods.md", "--bibliography", "references.bib", *arguments]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
        assert done.stderr == ""
        return done.stdout

    parsed = json.loads(pandoc("--to", "json"))
    kinds = kinds_of(parsed["blocks"])
    # No RawInline, RawBlock, Link, Image, Code, Math, Note, Header, Table of anybody's.
    assert kinds <= {"Para", "Str", "Space", "Quoted", "DoubleQuote", "SingleQuote", "Cite"} | {
        "NormalCitation"
    }
    page = pandoc("--citeproc", "--to", "html")
    assert "???" not in page and "<script" not in page and "<img" not in page
    for key in made.keys:
        assert f'id="ref-{key}"' in page
        assert key[-4:] in page


def test_entries_are_whole_and_well_formed():
    for key in _WORKS:
        entry = bibtex([key])
        assert entry.count("{") == entry.count("}")
        assert re.search(r"doi = \{10\.\d{4,}/\S+\}", entry)
        assert key[-4:] == _WORKS[key][3]
        # The key names the first author, accents aside.
        surname = re.sub(r'\{\\"(\w)\}', r"\1", _WORKS[key][0].partition(",")[0])
        assert key[:-4] == surname


def test_names_with_accents_are_written_out_in_the_text():
    assert cite("Molder2021") == "Mölder 2021"
