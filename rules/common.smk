# Names of files, and what a rule's params say so that a change reruns what depends on it.


def variants(stage):
    """Named settings under which a stage runs for some analysis, one dict for each of its folders.

    Rules are made for each of them, and no output holds a wildcard: Snakemake compares every file
    with every output that begins with the same letters up to the first wildcard.
    """
    choices = (
        {name: choice[name] for name in STAGE_SETTINGS[stage]} for choice in ANALYSES.values()
    )
    return list({directory(stage, names): names for names in choices}.values())


def site_batches(items, size=STUDY.config["batch"]):
    """Name -> scans or units of a job. Each site counts its own, so that jobs and their logs have
    one name whichever sites run."""
    sites = {}
    for item in items:
        sites.setdefault(item.key.split("/")[0], []).append(item)
    return {
        f"{site}_{n}": batch
        for site, own in sites.items()
        for n, batch in enumerate(batches(own, size))
    }


SCAN_BATCHES = site_batches(STUDY.scans)


def tasks(stage, groups):
    """(names, job, batch) of each job of a stage: its settings, its name and its scans."""
    return [(names, job, batch) for names in variants(stage) for job, batch in groups.items()]


def records(stage, items, names=None):
    """Records that a stage writes for these scans or units under its settings."""
    where = directory(stage, names or {})
    return [str(STUDY.path(where, item, f"desc-{stage}_record.json")) for item in items]


def sources(items, *columns):
    """Input files of these scans, those too that stages read beside the ones of the sheet; a
    missing one fails its scan alone, in the stage, and is an input as soon as it is there."""
    found = set()
    for column, item in product(columns, items):
        if name := getattr(item, column):
            path = str(STUDY.data_root / name)
            found.add(path)
            # Those of a synthetic study come with it, from the same rule.
            found |= companions(path, column) if path not in DEMO_FILES else set()
    return sorted(path for path in found if path in DEMO_FILES or os.path.exists(path))


def companions(path, column):
    """Files that are read beside one of the sheet, there or not: SPAR of an SDAT, BOLD sidecar."""
    stem, ending = os.path.splitext(path)
    if ending.lower() == ".sdat":
        return {f"{stem}.SPAR", f"{stem}.spar"}
    if column == "bold":
        return {path.removesuffix(".gz").removesuffix(".nii") + ".json"}
    return set()


def named_files(items, *patterns):
    """Files that settings name for these scans, as far as they are there."""
    found = set()
    for pattern, item in product(filter(None, patterns), items):
        try:
            name = pattern.format(stem=item.stem, **item.entities)
        except (AttributeError, IndexError, KeyError, ValueError):
            continue  # the stage tells of it
        found.add(str(STUDY.data_root / name))
    return sorted(path for path in found if os.path.isfile(path))


def basis_files(wildcards):
    """Files that a basis is read from, as far as they are there; none where it is simulated."""
    setting = STUDY.setting("basis", wildcards.basis)
    if setting["source"] != "file" or not setting["path"]:
        return []
    path = STUDY.data_root / setting["path"].replace("{site}", wildcards.site)
    return [str(path)] if path.is_file() else sorted(map(str, path.glob("*.json")))


def rows(items, *columns):
    """What the sheets say of these scans, so that an edited row reruns its scans."""
    cells = [[getattr(item, column) for column in columns] for item in items]
    sites = [dataclasses.astuple(STUDY.sites[name]) for name in sorted({i.site for i in items})]
    return json.dumps([cells, sites])


def setting(stage, names):
    """The named setting of a stage, as text."""
    return json.dumps(STUDY.setting(stage, names[stage]), sort_keys=True)


def literal(text):
    """A param as it is: Snakemake takes `{stem}` of a setting for a wildcard, but not here."""
    return lambda wildcards: text


# Who was where, for rules whose tables tell persons apart.
PEOPLE = literal(json.dumps(STUDY.participants, sort_keys=True))


def joined(stage, names, mark="-"):
    """Names of the settings of a stage, as its command line and rule name want them."""
    return mark.join(names[name] for name in STAGE_SETTINGS[stage])


def memory(mb):
    """Memory of a job, growing with each submission (profile `retries`)."""
    return lambda wildcards, attempt: mb * attempt


def minutes(start, each=0, n=0):
    """Run time of a job with `n` scans, many times what was measured (benchmarks/chain.py),
    growing with each submission."""
    return lambda wildcards, attempt: math.ceil((start + each * n) * attempt)


def keys(items):
    """Scans or units as the command line of a stage wants them."""
    return [item.key for item in items]


def analysed(analysis):
    """Records of every response unit under an analysis."""
    return records("response", STUDY.units(), ANALYSES[analysis])
