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

from fmrsflow import bounded_yaml, identity
from fmrsflow.errors import DataError
from fmrsflow.files import text_of
from fmrsflow.layout import SCHEMAS
from fmrsflow.study import ANALYSIS_SETTINGS, PATH_COLUMNS, RUN_COLUMNS, Scan, Site, Study
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

_TYPES = {"str": str, "int": int, "float": float, "bool": bool, "list": list, "dict": dict}
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
    people = _read_participants(complete, name, sites, problems)
    participants = tuple(row for _, row in people)
    problems += identity.scan_problems(complete["scans_sheet"], rows, participants)
    every = [scan for _, scan in rows]
    problems += _pair_problems(complete, [scan for _, scan in rows], name)
    problems += _region_problems(complete, [scan for _, scan in rows], name)
    problems += identity.participant_problems(complete.get("participants_sheet"), people, every)
    if problems:
        raise StudyError(problems)
    only = complete.get("only_sites")
    # Sorted, so that the order of the sheet changes no output.
    scans = sorted(
        (scan for scan in every if not only or scan.site in only), key=lambda scan: scan.key
    )
    return Study(complete, sites, tuple(scans), participants)


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


def _path_problem(value: str) -> str | None:
    path = PurePosixPath(value)
    if not value:
        return "a name between semicolons is empty"
    if path.is_absolute() or ".." in path.parts or value.startswith("~"):
        return f"{shown(value)} leads out of data_root; write it relative to that folder"
    if any(ord(letter) < 32 or letter in "\\{}" for letter in value):
        return f"{shown(value)} holds a backslash, a brace or a control character; rename the file"
    return None


def _read_sheet(
    config: dict, key: str, name: str, problems: list[str], may_be_empty: bool = False
) -> list[dict]:
    """Rows in their types; a wrong cell is reported with row and column and left out. `key` of the
    configuration, whose file is called `name`, says where the sheet is."""
    path, columns = config[key], schema(key)
    try:
        rows = read_table(path)
    except FileNotFoundError:
        problems.append(f"{path}: there is no such file ({name}: {key})")
        return []
    except OSError as error:
        problems.append(f"{path}: cannot be read ({error.strerror}; {name}: {key})")
        return []
    except DataError as error:
        problems.append(f"{path}: {error}")
        return []
    if not rows:
        if not may_be_empty:
            problems.append(f"{path}: holds no row; write a header and a row for each")
        return []
    rows = [{_unquoted(key): _unquoted(text) for key, text in row.items()} for row in rows]
    if len(rows[0]) == 1 and (found := re.search("[,;]", next(iter(rows[0])))):
        problems.append(
            f"{path}: its columns are parted by {found[0]!r}; save it as text with tabs for them"
        )
        return []
    for column in rows[0]:
        if column not in columns:
            problems.append(
                f"{path}: unknown column {shown(column)}{_nearest(column, columns, problems)}"
            )
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


def _read_participants(config: dict, name: str, sites: dict[str, Site], problems: list) -> list:
    """Every row of the sheet with its number."""
    sheet = config.get("participants_sheet")
    if not sheet:
        return []
    # As init leaves it where nothing is known of people.
    rows = _read_sheet(config, "participants_sheet", name, problems, may_be_empty=True)
    seen: dict[tuple, int] = {}
    numbered = [(row.pop("row"), row) for row in rows]
    for number, row in numbered:
        key = (row.get("site"), row.get("subject"))
        if key in seen and None not in key:
            problems.append(
                f"{sheet} row {number}: {key[1]} of {key[0]} stands in row {seen[key]} too: keep "
                "one of them"
            )
        seen.setdefault(key, number)
        if sites and key[0] and key[0] not in sites:
            problems.append(f"{sheet} row {number}: site {key[0]} is not in the sites sheet")
    return numbered


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
