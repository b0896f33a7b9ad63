"""What a run does otherwise than was registered before (docs/answer.md#preregistration).

A preregistration is a file in the form of config.yaml (`sheets.read_plan`). A deviation from it is
told and stops nothing: there are good reasons for one, and readers judge them. Whether the file was
written before the data were seen cannot be known here; its digest stands in the record, to be
compared with what was deposited.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fmrsflow.question import KEYS, Question, without_arms
from fmrsflow.study import ANALYSIS_SETTINGS, Study, without_paths

REGISTERED = ("primary", "only_sites", "same_content", "anatomy", "quality", "bold", "sites")
"""Keys of the configuration beside analyses that mean something for an answer."""

PEOPLE = ("covariates", "groups", "interactions")
"""Settings of `sites` that say what changes may differ by between people."""

NO_CHOICE = {("fit", "command")}
"""Settings that are where a program lies, not what it does."""

LONGEST = 120
"""Letters of a value in a row."""

Rows = list[dict]


def deviations(study: Study) -> Rows:
    """Rows of deviations.tsv that settings and software make, which are known before a run; none
    where nothing was registered.

    Parameters
    ----------
    study : Study
    """
    plan = study.preregistration
    if not plan:
        return []
    # Where files lie is each site's own affair, and no name of one belongs into a table.
    config = without_paths(study.config)
    return [*_version(plan, study.software), *_sections(plan, config), *_analyses(plan, config)]


def of_answers(study: Study, answers: Mapping[str, tuple | None]) -> Rows:
    """Rows of deviations.tsv that only the answers show.

    Parameters
    ----------
    answers : analysis -> values of `KEYS` of its main answer, None where it has none
    """
    plan = study.preregistration
    rows = []
    asked = Question.from_settings(study.config["sites"])
    for name in filter(answers.__contains__, plan.get("analyses", ())):
        main = answers[name]
        if main is None:
            rows.append(_row("answer", name, "main answer", asked.metabolite, "none"))
            continue
        answer = dict(zip(KEYS, main))
        others = asked.differs(Question(**answer))
        rows += [_row("answer", name, "main answer", "as asked", other) for other in others]
        if plan["contrast"] and without_arms(answer["contrast"]) != without_arms(plan["contrast"]):
            rows.append(_row("answer", name, "contrast", plan["contrast"], answer["contrast"]))
    return rows


def weights(study: Study) -> dict[str, float]:
    """Analysis -> its weight in the joint test: those that were registered and ran; without a
    preregistration every analysis that ran, with 1."""
    plan, ran = study.preregistration, study.config["analyses"]
    if not plan:
        return dict.fromkeys(ran, 1.0)
    return {name: float(plan["weights"].get(name, 1)) for name in ran if name in plan["analyses"]}


def _version(plan: Mapping, software: Mapping) -> Iterator[dict]:
    ran = software.get("Version")
    if ran and ran != plan["version"]:
        # Defaults that the plan does not write out may have been others.
        yield _row("version", "", "fmrsflow", plan["version"], ran)


def _sections(plan: Mapping, config: Mapping) -> Iterator[dict]:
    """What all analyses have in common."""
    kinds = {"quality": "exclusion", "sites": "question", "only_sites": "exclusion"}
    for section in REGISTERED:
        kind = kinds.get(section, "setting")
        if isinstance(plan[section], Mapping):
            for key, value in plan[section].items():
                if value != config[section][key]:
                    of = "covariates" if key in PEOPLE else kind
                    yield _row(of, "", f"{section}: {key}", value, config[section][key])
        elif plan[section] != config[section]:
            yield _row(kind, "", section, plan[section], config[section])


def _analyses(plan: Mapping, config: Mapping) -> Iterator[dict]:
    """Analyses that did not run, that nobody registered, and settings of the others."""
    for name, stages in plan["analyses"].items():
        if name not in config["analyses"]:
            yield _row("analysis", name, "analysis", "registered", "not run")
            continue
        for stage in ANALYSIS_SETTINGS:
            ran = config[stage][config["analyses"][name][stage]]
            for key, value in stages[stage].items():
                if value != ran[key] and (stage, key) not in NO_CHOICE:
                    yield _row("setting", name, f"{stage}: {key}", value, ran[key])
    for name in config["analyses"]:
        if name not in plan["analyses"]:
            yield _row("analysis", name, "analysis", "not registered", "run")


def _row(kind: str, analysis: str, what: str, registered: Any, ran: Any) -> dict:
    values = {"registered": _word(registered), "run": _word(ran)}
    return {"kind": kind, "analysis": analysis, "what": what, **values}


def _word(value: Any) -> str:
    """A value of a setting, in a cell."""
    if value is None or value in ("", []):
        return "none"
    if isinstance(value, list):
        text = ", ".join(map(str, value))
    elif isinstance(value, bool):
        text = str(value).lower()
    else:
        text = f"{value:g}" if isinstance(value, float) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}..."
