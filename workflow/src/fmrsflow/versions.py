"""Whether a record was made by what study.json says: code of its stage, settings, libraries.

Snakemake reruns a stage when its code or settings change, not when numpy does, and a record that
was copied or came in a bundle says of itself alone what made it. The commit is not compared: most
commits change no number.
"""

from __future__ import annotations

from collections.abc import Mapping

from fmrsflow.files import plain
from fmrsflow.study import STAGE_SETTINGS, Study

NOT_NUMERICAL = ("snakemake",)
"""Dependencies that make no number."""


def differences(record: Mapping, study: Study, stage: str, names: dict[str, str]) -> list[str]:
    """In what the maker of a record differs from that of the study, a few words each.

    Parameters
    ----------
    record : mapping
        Of that stage under these names of settings.
    study : Study
        With `software` as the start of its run wrote it.
    """
    made = next(iter(record.get("GeneratedBy") or ()), {})
    made = made if isinstance(made, dict) else {}
    found = [
        f"{what} {there}, study.json says {here}"
        for what, (there, here) in _makers(made, study.software, stage).items()
        if there != here
    ]
    names = {one: names[one] for one in STAGE_SETTINGS[stage]}
    told = record.get("settings") or {}
    for section, setting in plain(study.settings_of(stage, names)).items():
        setting = {"name": names.get(section, ""), **setting}
        own = told.get(section)
        own = own if isinstance(own, dict) else {}
        odd = sorted(key for key in {*own, *setting} if own.get(key) != setting.get(key))
        if odd:
            was, now = (str(one.get(odd[0], "absent"))[:60] for one in (own, setting))
            found.append(f"{section}: {odd[0]} {was}, study.json says {now}")
    return found


def _makers(made: Mapping, software: Mapping, stage: str) -> dict[str, tuple[str, str]]:
    """What is compared -> as the record has it, as the study has it."""
    found = {"program": (_word(made.get("Name")), _word(software.get("Name")))}
    digests = made.get("StageDigest"), (software.get("Stages") or {}).get(stage)
    if None not in digests:  # of a version before records held it
        found[f"code of {stage}"] = tuple(_word(one) for one in digests)
    theirs, ours = made.get("Dependencies") or {}, software.get("Dependencies") or {}
    theirs = theirs if isinstance(theirs, dict) else {}
    for name in sorted({*theirs, *ours} - set(NOT_NUMERICAL)):
        found[name] = (_word(theirs.get(name)), _word(ours.get(name)))
    return found


def _word(value) -> str:
    return "absent" if value is None else str(value)[:60]


def made_by_two(stage: str, count: int, total: int, difference: str) -> str:
    """What is said of the records of a stage that differ in one respect, and what to do."""
    return (
        f"made by two versions: {count} of {total} records of {stage} by {difference}; run again "
        f"with --forcerun {stage}"
    )
