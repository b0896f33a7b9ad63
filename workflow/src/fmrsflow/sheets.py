"""The user's files: config.yaml and sheets read, completed and checked, all errors reported.

Snakemake's own `validate` stops at the first error and does not look into lists, so the checks are
here. What a key or column means, its type and limits stand in `workflow/schemas/*.yaml`.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import reprlib
from functools import cache
from pathlib import Path, PurePosixPath

import yaml

from fmrsflow import bounded_yaml, identity, participants
from fmrsflow.errors import DataError
from fmrsflow.files import file_digest, text_of
from fmrsflow.layout import SCHEMAS
from fmrsflow.preregistration import REGISTERED
from fmrsflow.study import (
    ANALYSIS_SETTINGS,
    PATH_COLUMNS,
    RUN_COLUMNS,
    Scan,
    Site,
    Study,
    without_paths,
)
from fmrsflow.tables import MISSING, read_table

LABEL = re.compile(r"[A-Za-z0-9]+")
FOLDER = re.compile(r"[\w./+@=-]+")
"""A folder that stands in command lines as it is."""
SETTING_NAME = re.compile(r"[a-z][a-z0-9]*")
FOLDERS = ("convert", "segment", "anatomy", "bold", "multiverse", "logs", "cache")
"""Folders of results that no analysis may be called."""
DIGITS = 18
"""Digits of a whole number: larger ones are no float, and of 4,300 digits no text."""
MOST_SHOWN = 200
"""Problems that one message lists."""
PLAIN_SECTIONS = ("anatomy", "quality", "bold", "sites")

COLUMN = re.compile(r"[A-Za-z]\w{0,39}", re.ASCII)
"""Name of a column of participants.tsv that a setting can name."""

_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
_TYPES |= {"columns": list, "pairs": list, "sheets": (str, dict)}
_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "list": "a list",
    "dict": "a table",
    "label": "letters and digits only",
    "path": "a path below data_root",
    "paths": "paths below data_root with semicolons between them",
    "folder": "a folder's name",
    "columns": "a list of columns",
    "pairs": "a list of pairs a:b of columns",
    "sheets": "a file, or a file for each site",
    "years": "an age",
    "amount": "a number's text",
    "level": "a group's name",
}


class StudyError(DataError):
    """The study's files cannot be used as they are; `problems` holds every error found."""

    def __init__(self, problems: list[str]):
        self.problems = problems
        count = "1 problem" if len(problems) == 1 else f"{len(problems)} problems"
        shown = problems[:MOST_SHOWN]
        if more := len(problems) - len(shown):
            shown = [*shown, f"... and {more} more"]
        super().__init__("\n".join([f"{count} in the study's files:", *shown]))


def read_study(config: dict, name: str = "config.yaml") -> Study:
    """A checked study from the mapping of a config.yaml and the sheets that it names.

    Parameters
    ----------
    config : dict
        As parsed from YAML; `name` is its file's name for messages.

    Raises
    ------
    StudyError
        With every error of all files at once.
    """
    problems: list[str] = []
    complete = check_config(config, name, problems)
    sites = _read_sites(complete, name, problems)
    rows = _read_scans(complete, name, sites, problems)
    every = [scan for _, scan in rows]
    people = _read_participants(complete, name, sites, problems)
    problems += covariate_problems(complete["sites"], name)
    problems += identity.scan_problems(complete["scans_sheet"], rows, [row for _, row in people])
    problems += _pair_problems(complete, [scan for _, scan in rows], name)
    problems += _region_problems(complete, [scan for _, scan in rows], name)
    problems += _norms_problems(complete, name)
    problems += identity.participant_problems(_people_sheet(complete), people, every)
    plan = read_plan(complete["preregistration"], problems) if complete["preregistration"] else {}
    if problems:
        raise StudyError(problems)
    only = complete.get("only_sites")
    # Sorted, so that the order of the sheet changes no output.
    scans = sorted(
        (scan for scan in every if not only or scan.site in only), key=lambda scan: scan.key
    )
    # Who was not scanned is nobody's concern.
    labels = {(scan.site, scan.subject) for scan in every}
    known = (row for _, row in people if (row.get("site"), row.get("subject")) in labels)
    return Study(complete, sites, tuple(scans), tuple(known), preregistration=plan)


def read_plan(path: str, problems: list[str]) -> dict:
    """What was registered before: a file in the form of config.yaml, of which every key that means
    something for an answer is kept, with its default where it is left out, and the keys of
    preregistration.yaml; what is wrong with it is added to `problems`.

    Returns
    -------
    dict
        `file` (without its folders), `sha256`, keys of preregistration.yaml, `REGISTERED` of the
        configuration, and `analyses`: name -> stage -> its settings. Empty with a problem.
    """
    known, wrong = schema("preregistration"), []
    try:
        given, digest = read_config(path), file_digest(path)
    except StudyError as error:
        problems += error.problems
        return {}
    own = {key: value for key, value in given.items() if key in known}
    rest = {key: value for key, value in given.items() if key not in known}
    plan = _check_mapping(own, known, path, wrong)
    complete = check_config(rest, path, wrong)
    wrong = wrong or _plan_problems(plan, complete["analyses"], path)
    if wrong:
        problems += wrong
        return {}
    complete = without_paths(complete)
    analyses = {
        name: {stage: complete[stage][choice[stage]] for stage in ANALYSIS_SETTINGS}
        for name, choice in complete["analyses"].items()
    }
    kept = {key: complete[key] for key in REGISTERED}
    file = {"file": Path(path).name, "sha256": digest}
    return {**file, **plan, **kept, "analyses": analyses}


def _plan_problems(plan: dict, analyses: dict, path: str) -> list[str]:
    """Weights that are none, and words that cannot stand in a line of a table."""
    found = []
    for name, weight in plan["weights"].items():
        where = f"{path}: weights: {shown(name)}"
        if name not in analyses:
            found.append(f"{where}: there is no such analysis; there are {_names(analyses)}")
        elif check_value(weight, {"type": "float"})[1] or not weight > 0:
            found.append(f"{where}: {shown(weight)} is no number above 0")
    contrast = plan["contrast"]
    if len(contrast) > 80 or (contrast and not contrast.isprintable()):
        found.append(f"{path}: contrast: {shown(contrast)} is no name of at most 80 letters")
    return found


def read_config(path: str | Path) -> dict:
    """Parse a YAML configuration safely.

    Raises
    ------
    StudyError
        Not YAML, or not a mapping.
    """
    try:
        # Whatever the locale: Snakemake reads it as UTF-8 too.
        content = bounded_yaml.load(text_of(path))
    except FileNotFoundError:
        raise StudyError([f"{path}: there is no such file"]) from None
    except OSError as error:
        raise StudyError([f"{path}: cannot be read ({error.strerror})"]) from None
    except ValueError as error:  # UnicodeDecodeError is one
        raise StudyError([f"{path}: not readable as YAML: {error}"]) from None
    if not isinstance(content, dict):
        raise StudyError([f"{path}: holds no settings; see config/README.md"])
    if special := sorted(key for key in map(str, content) if key.startswith("__")):
        # Snakemake runs what stands in a file that has `__use_yte__`.
        raise StudyError([f"{path}: {shown(special[0])} is no setting: settings are not run"])
    return content


def missing_files(study: Study) -> list[str]:
    """Files that scans.tsv names and that are not there, one line each."""
    return [
        f"{study.config['scans_sheet']}: {scan.key}: {column}: there is no "
        f"{name} below {study.data_root}; mend the path or bring the file"
        for scan in study.scans
        for column in PATH_COLUMNS
        for name in scan.files(column)
        if not os.path.exists(study.data_root / name)
    ]


@cache
def schema(name: str) -> dict:
    """Keys of a section of the configuration or columns of a sheet, with their limits."""
    return yaml.safe_load((SCHEMAS / f"{name}.yaml").read_text("utf-8"))


def check_config(config: dict, name: str, problems: list[str]) -> dict:
    """The configuration with every default; what is wrong with it is added to `problems`.

    `name` is that of the file, for the messages.
    """
    sections = (*ANALYSIS_SETTINGS, *PLAIN_SECTIONS)
    top = {key: value for key, value in config.items() if key not in sections}
    complete = _check_mapping(top, schema("config"), name, problems, also=sections)
    for section in PLAIN_SECTIONS:
        given = config.get(section) or {}
        complete[section] = _check_mapping(given, schema(section), f"{name}: {section}", problems)
    for section in ANALYSIS_SETTINGS:
        complete[section] = {}
        named = config.get(section) or {}
        if not isinstance(named, dict):
            problems.append(f"{name}: {section}: a table of named settings is needed")
            continue
        for setting, values in named.items():
            where = f"{name}: {section}: {setting}"
            if not SETTING_NAME.fullmatch(str(setting)):
                problems.append(f"{where}: a name is small letters and digits, it becomes a folder")
            if values is not None and not isinstance(values, dict):
                problems.append(f"{where}: holds {shown(values)} where settings are needed")
                continue
            complete[section][str(setting)] = _check_mapping(
                values or {}, schema(section), where, problems
            )
    _check_analyses(complete, name, problems)
    return complete


def _check_analyses(config: dict, name: str, problems: list[str]) -> None:
    analyses = config.get("analyses") or {}
    for analysis, choice in analyses.items():
        where = f"{name}: analyses: {analysis}"
        if not SETTING_NAME.fullmatch(str(analysis)):
            problems.append(f"{where}: a name is small letters and digits, it becomes a folder")
        if analysis in FOLDERS:
            problems.append(f"{where}: this name is that of a folder of results; take another")
        if not isinstance(choice, dict):
            problems.append(f"{where}: name one setting for each of {', '.join(ANALYSIS_SETTINGS)}")
            continue
        for stage in sorted(set(choice) - set(ANALYSIS_SETTINGS)):
            problems.append(
                f"{where}: unknown key {shown(stage)}{_nearest(stage, ANALYSIS_SETTINGS, problems)}"
            )
        for stage in ANALYSIS_SETTINGS:
            known = config[stage]
            if stage not in choice:
                problems.append(f"{where}: names no setting of {stage}; there are {_names(known)}")
            elif choice[stage] not in known:
                problems.append(
                    f"{where}: {stage}: there is no setting {shown(choice[stage])}; "
                    f"there are {_names(known)}"
                )
    if config.get("primary") and config["primary"] not in analyses:
        problems.append(
            f"{name}: primary: there is no analysis {shown(config['primary'])}; "
            f"there are {_names(analyses)}"
        )


def _check_mapping(
    values: dict, keys: dict, where: str, problems: list[str], also: tuple[str, ...] = ()
) -> dict:
    if not isinstance(values, dict):
        problems.append(f"{where}: holds {shown(values)} where settings are needed")
        return {}
    for key in values:
        if key not in keys:
            told = (
                _replaced(key, keys)
                or f"unknown key {shown(key)}{_nearest(key, [*keys, *also], problems)}"
            )
            problems.append(f"{where}: {told}")
    complete = {}
    for key, rule in keys.items():
        value = values.get(key, rule.get("default"))
        if value is None:
            if rule.get("required"):
                problems.append(f"{where}: {key} is missing: {rule['meaning']}")
        else:
            value, problem = check_value(value, rule)
            if problem:
                problems.append(f"{where}: {key}: {problem} ({rule['meaning']})")
        complete[key] = value
    return complete


def _replaced(key, keys: dict) -> str | None:
    """What a key of an earlier version is now called, and how its value follows."""
    for name, rule in keys.items():
        if key in (former := rule.get("formerly", {})):
            return f"{key} is now {name}; {former[key]}"
    return None


def check_value(value, rule: dict):
    """The value in its type, and what is wrong with it (None where nothing is)."""
    kind = rule.get("type", "str")
    if isinstance(value, int) and abs(value) >= 10**DIGITS:
        return None, f"a whole number of more than {DIGITS} digits"
    if kind == "float" and isinstance(value, int) and not isinstance(value, bool):
        value = float(value)
    wanted = _TYPES.get(kind, str)
    if not isinstance(value, wanted) or (kind in ("int", "float") and isinstance(value, bool)):
        return value, f"{shown(value)} is not {_WORDS.get(kind, kind)}"
    if kind == "float" and not math.isfinite(value):
        return value, f"{shown(value)} is not a finite number"
    if kind == "label" and not LABEL.fullmatch(value):
        return value, f"{shown(value)} holds other than letters and digits"
    if kind == "folder" and (not FOLDER.fullmatch(value) or value.startswith("-")):
        return value, f"{shown(value)} holds other than letters, digits and . _ / + @ = -"
    if kind in _PEOPLE:
        return _PEOPLE[kind](value)
    if kind in ("columns", "pairs", "sheets"):
        return value, _names_problem(value, kind)
    if kind in ("path", "paths"):
        names = value.split(";") if kind == "paths" else [value]
        problem = next(filter(None, map(_path_problem, (name.strip() for name in names))), None)
        if problem:
            return value, problem
    if "choices" in rule and value not in rule["choices"]:
        choices = ", ".join(str(choice) for choice in rule["choices"])
        return value, f"{shown(value)} is none of {choices}"
    if "min" in rule and not value >= rule["min"]:
        return value, f"{shown(value)} is below {rule['min']}"
    if "max" in rule and not value <= rule["max"]:
        return value, f"{shown(value)} is above {rule['max']}"
    return value, None


def _years(value: str) -> tuple[str, str | None]:
    age = participants.years(value)[0]
    return (
        (value, f"{shown(value)} is neither an age in years nor a span as 35-40")
        if age is None
        else (age, None)
    )


def _amount(value: str) -> tuple[str, str | None]:
    if participants.number_of(value) is None:
        return (
            value,
            f"{shown(value)} is no number; name the column in `groups` if it is one of those",
        )
    return value, None


def _level(value: str) -> tuple[str, str | None]:
    if not participants.LEVEL.fullmatch(value):
        return value, f"{shown(value)} is no group's name: up to 32 letters, digits and _ . + -"
    return value, None


_PEOPLE = {"years": _years, "amount": _amount, "level": _level}
"""Cells of participants.tsv by the type of their column."""


def _names_problem(value: list | dict | str, kind: str) -> str | None:
    """What is wrong with names of columns, pairs of them, or files by site."""
    if kind == "sheets":
        wrong = [] if isinstance(value, str) else [
            site for site, path in value.items()
            if not (isinstance(site, str) and LABEL.fullmatch(site) and isinstance(path, str))
        ]  # fmt: skip
        return f"{shown(wrong[0])} does not name a file of a site" if wrong else None
    for one in value:
        parts = one.split(":") if isinstance(one, str) else [""]
        number = 2 if kind == "pairs" else 1
        if (
            len(set(parts)) != number
            or len(parts) != number
            or not all(COLUMN.fullmatch(part) for part in parts)
        ):
            return f"{shown(one)} is not {'of the form a:b' if number == 2 else 'a column'}"
        if who := next(filter(participants.WHO.search, parts), None):
            return f"{who} tells who somebody is; such a column is not taken"
    twice = next((one for one in value if value.count(one) > 1), None)
    return f"{twice} stands twice" if twice else None


def _path_problem(value: str) -> str | None:
    path = PurePosixPath(value)
    if not value:
        return "a name between semicolons is empty"
    if path.is_absolute() or ".." in path.parts or value.startswith("~"):
        return f"{shown(value)} leads out of data_root; write it relative to that folder"
    if any(ord(letter) < 32 or letter in "\\{}" for letter in value):
        return f"{shown(value)} holds a backslash, a brace or a control character; rename the file"
    return None


def _read_sheet(config: dict, key: str, name: str, problems: list[str]) -> list[dict]:
    """Rows in their types; a wrong cell is reported with row and column and left out. `key` of the
    configuration, whose file is called `name`, says where the sheet is."""
    path, columns = config[key], schema(key)
    rows = _cells_of(path, f"{name}: {key}", problems)
    if rows is None:
        return []
    if not rows:
        problems.append(f"{path}: holds no row; write a header and a row for each")
        return []
    for column in rows[0]:
        if column not in columns:
            problems.append(
                f"{path}: unknown column {shown(column)}{_nearest(column, columns, problems)}"
            )
    return _typed_rows(path, rows, columns, problems)


def _cells_of(path: str, where: str, problems: list[str]) -> list[dict] | None:
    """Rows of a sheet as text; None where it cannot be read, which is reported."""
    try:
        rows = read_table(path)
    except FileNotFoundError:
        problems.append(f"{path}: there is no such file ({where})")
        return None
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror}; {where})")
        return None
    except DataError as error:
        problems.append(f"{path}: {error}")
        return None
    rows = [{_unquoted(key): _unquoted(text) for key, text in row.items()} for row in rows]
    if rows and len(rows[0]) == 1 and (found := re.search("[,;]", next(iter(rows[0])))):
        problems.append(
            f"{path}: its columns are parted by {found[0]!r}; save it as text with tabs for them"
        )
        return None
    return rows


def _typed_rows(path: str, rows: list[dict], columns: dict, problems: list[str]) -> list[dict]:
    for column, rule in columns.items():
        if rule.get("required") and column not in rows[0]:
            problems.append(f"{path}: column {column!r} is missing: {rule['meaning']}")
    checked = []
    for number, row in enumerate(rows, start=2):
        found: dict = {"row": number}
        for column, rule in columns.items():
            text = row.get(column, MISSING)
            if text in ("", MISSING):
                if rule.get("required") and column in row:
                    problems.append(f"{path} row {number}: {column} is empty: {rule['meaning']}")
                continue
            value, problem = check_value(typed(text, rule), rule)
            if problem:
                problems.append(f"{path} row {number}: {column}: {problem} ({rule['meaning']})")
            else:
                found[column] = value
        checked.append(found)
    return checked


def _unquoted(text: str) -> str:
    """A cell without the quotes that some programs put round every cell."""
    quoted = len(text) > 1 and text[0] == text[-1] == '"'
    return text[1:-1].replace('""', '"') if quoted else text


def typed(text: str, rule: dict):
    """A cell as the type of its column; as it is where it is none."""
    kind = rule.get("type", "str")
    if kind in ("int", "float"):
        try:
            return _TYPES[kind](text)
        except ValueError:
            return text
    return text


def _read_sites(config: dict, name: str, problems: list[str]) -> dict[str, Site]:
    columns = schema("sites_sheet")
    sheet = config["sites_sheet"]
    sites: dict[str, Site] = {}
    needed = [column for column, rule in columns.items() if rule.get("required")]
    for row in _read_sheet(config, "sites_sheet", name, problems):
        number = row.pop("row")
        if any(column not in row for column in needed):
            continue
        site = row.pop("site")
        if site in sites:
            problems.append(f"{sheet} row {number}: site {site} stands twice; keep one row")
        elif twin := next((one for one in sites if one.lower() == site.lower()), None):
            problems.append(
                f"{sheet} row {number}: sites {twin} and {site} differ in capitals alone; some "
                "file systems make one folder of both"
            )
        sites[site] = Site(name=site, **row)
    return sites


def _read_scans(
    config: dict, name: str, sites: dict[str, Site], problems: list
) -> list[tuple[int, Scan]]:
    """Every scan of the sheet with its row."""
    sheet = config["scans_sheet"]
    for site in sorted(set(config.get("only_sites") or ()) - set(sites)):
        problems.append(f"only_sites: {site} is no site of {config['sites_sheet']}")
    rows_of: dict[str, int] = {}
    scans = []
    for row in _read_sheet(config, "scans_sheet", name, problems):
        number = row.pop("row")
        if any(column not in row for column in ("site", "subject", "mrs")):
            continue
        scan = Scan(**row)
        if scan.site not in sites and sites:
            problems.append(
                f"{sheet} row {number}: site {scan.site} is not in {config['sites_sheet']}"
                f"{_nearest(scan.site, sites, problems)}"
            )
        # Without capitals, which some file systems do not tell apart.
        if (key := scan.key.lower()) in rows_of:
            problems.append(
                f"{sheet} row {number}: the scan {scan.key} stands in row {rows_of[key]} too, or "
                "differs in capitals alone; give them different session, task, acq or run"
            )
        rows_of.setdefault(key, number)
        if scan.events and scan.condition:
            problems.append(
                f"{sheet} row {number}: names events and a condition; with events the conditions "
                "come from there: empty the column condition"
            )
        if len({bool(scan.gm), bool(scan.wm), bool(scan.csf)}) > 1:
            problems.append(f"{sheet} row {number}: name all of gm, wm and csf, or none")
        problems += [f"{sheet} row {number}: {one}" for one in _run_problems(scan)]
        scans.append((number, scan))
    problems += _unit_problems(sheet, scans)
    return scans


def _norms_problems(config: dict, name: str) -> list[str]:
    """Norms that cannot be read."""
    path = config.get("norms")
    if not isinstance(path, str):
        return []
    from fmrsflow.sites.norms import read_norms

    try:
        read_norms(path)
    except DataError as error:
        return [f"{name}: norms: {error}"]
    return []


def _pair_problems(config: dict, scans: list[Scan], name: str) -> list[str]:
    """A pair that is none, or of arms that no scan is in."""
    pair = config["sites"].get("pair")
    if not pair or not scans:
        return []
    arms = pair.split("-") if isinstance(pair, str) else []
    if len(arms) != 2 or not all(LABEL.fullmatch(arm) for arm in arms):
        return [f"{name}: sites: pair: {pair!r} is not of the form A-B"]
    known = sorted({scan.arm for scan in scans if scan.arm})
    return [
        f"{name}: sites: pair: no scan of {config['scans_sheet']} is in arm {arm} (column arm); "
        f"there are {_names(known)}"
        for arm in arms
        if arm not in known
    ]


def _region_problems(config: dict, scans: list[Scan], name: str) -> list[str]:
    """A region that answers and that no scan is in."""
    asked, column = config["sites"].get("region"), config["sites"].get("region_column")
    columns = schema("sites")["region_column"]["choices"]
    if not asked or not scans or not isinstance(asked, str) or column not in columns:
        return []  # another column is an error of its own
    known = sorted({getattr(scan, column) for scan in scans} - {""})
    regions = asked.split("-")
    if len(regions) > 2 or len(set(regions)) < len(regions):
        return [f"{name}: sites: region: {asked!r} is neither a region nor of the form A-B"]
    return [
        f"{name}: sites: region: no scan of {config['scans_sheet']} is in {region or 'n/a'} "
        f"(column {column}); there are {_names(known)}"
        for region in regions
        if region not in known
    ]


def _unit_problems(sheet: str, rows: list[tuple[int, Scan]]) -> list[str]:
    """Units whose scans are of several arms."""
    first: dict[tuple, tuple[int, Scan]] = {}
    found = []
    for number, scan in rows:
        if not scan.unit:
            continue
        row, other = first.setdefault((scan.site, scan.subject, scan.unit), (number, scan))
        if scan.arm != other.arm:
            found.append(
                f"{sheet} row {number}: arm {scan.arm or 'n/a'} of unit {scan.unit}, whose scan of "
                f"row {row} has {other.arm or 'n/a'}; a unit belongs to one arm"
            )
    return found


def _run_problems(scan: Scan) -> list[str]:
    """What is wrong with the lists of a scan's BOLD runs."""
    runs, events, confounds = (scan.files(column) for column in RUN_COLUMNS)
    problems = []
    if twice := {name for name in runs if runs.count(name) > 1}:
        problems.append(f"bold: {min(twice)} stands twice; one run would count twice")
    if len(events) not in (0, 1, len(runs)) and runs:
        problems.append(
            f"bold_events names {len(events)} files and bold {len(runs)} runs; name one for each "
            "run in the same order, or one for all"
        )
    if len(confounds) not in (0, len(runs)) and runs:
        problems.append(
            f"bold_confounds names {len(confounds)} files and bold {len(runs)} runs; name one for "
            "each run in the same order, or none"
        )
    return problems


def participant_rules(settings: dict) -> dict[str, dict]:
    """Columns of participants.tsv that these settings of `sites` name, with their limits."""
    known, rules = schema("participants_sheet"), {}
    for column in participants.person_columns(settings):
        of_group = column in settings["groups"]
        kind = "level" if of_group else "amount"
        meaning = f"named in {'groups' if of_group else 'covariates'} of the section sites"
        given = known.get(column)
        # Ages may be told as groups of any name, and nobody's sex is a number.
        fits = given and (column in participants.IDENTITY or of_group == (given["type"] == "str"))
        rules[column] = given if fits else {"type": kind, "meaning": meaning}
    return rules


def _people_sheet(config: dict) -> str:
    """What messages call the sheet of people."""
    given = config.get("participants_sheet")
    return "participants.tsv" if isinstance(given, dict) else given


def _read_participants(config: dict, name: str, sites: dict[str, Site], problems: list) -> list:
    """Every row with its number, of the sheet or of the sheets that sites have of their own."""
    given = config.get("participants_sheet")
    rules = schema("sites")
    asked = ("covariates", "groups", "interactions")
    if not given or any(check_value(config["sites"].get(one), rules[one])[1] for one in asked):
        return []
    found = []
    for site, path in given.items() if isinstance(given, dict) else [("", given)]:
        if site and site not in sites and sites:
            problems.append(
                f"{name}: participants_sheet: site {site} is not in {config['sites_sheet']}"
                f"{_nearest(site, sites, problems)}"
            )
        elif isinstance(path, str):
            found += _people_of(path, site, config, name, sites, problems)
    seen: dict[tuple, int] = {}
    for number, row in found:
        key, sheet = (row.get("site"), row.get("subject")), _people_sheet(config)
        if key in seen and None not in key:
            problems.append(
                f"{sheet} row {number}: {key[1]} of {key[0]} stands in row {seen[key]} too: keep "
                "one of them"
            )
        seen.setdefault(key, number)
        if sites and key[0] and key[0] not in sites:
            problems.append(f"{sheet} row {number}: site {key[0]} is not in the sites sheet")
    return found


def _people_of(
    path: str, site: str, config: dict, name: str, sites: dict[str, Site], problems: list
) -> list[tuple[int, dict]]:
    """Rows of one sheet with their numbers: the columns that the configuration names. A sheet of
    BIDS (`participant_id`) is of the site that names it, or of the only one of the study."""
    rows = _cells_of(path, f"{name}: participants_sheet", problems)
    if not rows:  # as init leaves it where nothing is known of people
        return []
    columns = participant_rules(config["sites"])
    if "participant_id" in rows[0] and "subject" not in rows[0]:
        rows = [_of_bids(row) for row in rows]
        unit = participants.unit_other_than_years(Path(path).with_suffix(".json"))
        if unit and "age" in columns:
            problems.append(
                f"{path}: its sidecar says ages in {unit[:20]}, not years; convert them"
            )
    if site or ("site" not in rows[0] and len(sites) == 1):
        rows = [{**row, "site": site or next(iter(sites))} for row in rows]
    for column in rows[0]:
        near = difflib.get_close_matches(column, columns, n=1, cutoff=0.8)
        if near and near[0] not in rows[0]:
            problems.append(f"{path}: unknown column {shown(column)}; did you mean {near[0]!r}?")
    for column in columns:
        if column not in rows[0] and column not in participants.IDENTITY:
            problems.append(
                f"{path}: there is no column {column}, which {name} names for the section sites"
                f"{_nearest(column, rows[0], problems)}"
            )
    checked = _typed_rows(path, rows, columns, problems)
    problems += _no_groups(path, checked, config["sites"])
    return [(row.pop("row"), row) for row in checked]


def _of_bids(row: dict) -> dict:
    """A row of a BIDS participants.tsv as one of ours."""
    own = {**row, "subject": participants.subject_of(row["participant_id"])}
    sex = row.get("sex", "")
    return own | {"sex": participants.SEXES.get(sex.lower(), sex)} if sex else own


MOST_LEVELS = 12
"""Groups of one column above which it tells people apart rather than groups."""


def _no_groups(path: str, rows: list[dict], settings: dict) -> list[str]:
    """Columns that are named as groups and hold something else, such as a date."""
    return [
        f"{path}: {column} has {len(levels)} values in {len(rows)} rows: these are no groups"
        for column in settings["groups"]
        if len(levels := {row[column] for row in rows if column in row}) > MOST_LEVELS
    ]


def covariate_problems(settings: dict, name: str) -> list[str]:
    """Columns of people that no sheet can hold, or that stand where they do not belong."""
    numbers, groups, pairs = (
        [] if check_value(settings.get(one), schema("sites")[one])[1] else settings[one]
        for one in ("covariates", "groups", "interactions")
    )
    found = [f"{one} stands in covariates and groups" for one in numbers if one in groups]
    reserved = [one for one in (*numbers, *groups) if one in participants.IDENTITY]
    found += [f"{one} says who a row is of, it is no covariate" for one in reserved]
    found += [
        f"{one} of sites.tsv is compared as groups; name it there"
        for one in numbers
        if one in participants.OF_SITE
    ]
    known = {*numbers, *groups, *participants.OF_SITE}
    found += [
        f"interactions: {pair}: {one} is neither in covariates nor in groups"
        for pair in pairs
        for one in pair.split(":")
        if one not in known
    ]
    return [f"{name}: sites: {one}" for one in found]


def shown(value) -> str:
    """A value in a message, as Python writes it, cut to what a line can hold."""
    text = repr(value) if isinstance(value, str | int | float) else reprlib.repr(value)
    return text if len(text) <= 200 else f"{text[:200]}..."


def _nearest(word, known, problems: list[str]) -> str:
    if len(problems) >= MOST_SHOWN:
        return ""  # no message lists it, and each search takes 0.1 ms
    close = difflib.get_close_matches(str(word), [str(one) for one in known], n=1)
    return f"; did you mean {close[0]!r}?" if close else f"; known are {_names(known)}"


def _names(known) -> str:
    return ", ".join(str(one) for one in known) or "none"
