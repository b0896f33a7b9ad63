# Names of files, and what a rule's params say so that a change reruns what depends on it.
#
# A job takes a batch of scans through one stage. Its output is the manifest of the batch
# (workflow/src/fmrsflow/manifests.py), which names the files of its scans.


def folder(stage):
    """Folder of a stage, its settings as wildcards."""
    return "-".join([f"{RESULTS}/{stage}", *(f"{{{name}}}" for name in STAGE_SETTINGS[stage])])


def manifest(stage):
    """Manifest of a batch of a stage."""
    return f"{folder(stage)}/batches/{{job}}.json"


def log(stage):
    """Log of a job."""
    return f"{folder(stage).replace(RESULTS, f'{RESULTS}/logs', 1)}/{{job}}.log"


def manifests_of(stage, names, items=None):
    """Manifests of a stage under its settings: all, or those that hold these items."""
    jobs = STUDY.jobs(stage)
    if items is not None:
        jobs = dict.fromkeys(STUDY.job_of(stage, item.key) for item in items)
    return [str(STUDY.manifest_path(stage, names, job)) for job in jobs]


def batch_of(stage, wildcards):
    """Items of a job."""
    return STUDY.jobs(stage)[wildcards.job]


def sources(stage, *columns):
    """Input files of the scans of a job, those too that stages read beside the ones of the sheet;
    a missing one fails its scan alone, in the stage, and is an input as soon as it is there."""
    return lambda wildcards: files_of(batch_of(stage, wildcards), columns)


def files_of(items, columns):
    """Files that columns of the sheet name for these scans, and their companions."""
    found = set()
    for column, item in product(columns, items):
        for name in item.files(column):
            path = f"{DATA_ROOT}/{name}"
            # Those of a synthetic study come with it, from the same rule.
            found |= {path} if path in DEMO_FILES else {path, *companions(path, column)}
    return sorted(path for path in found if path in DEMO_FILES or readable(path))


def readable(path):
    """Whether a file or folder is there and may be read. Snakemake would stop at one that may not,
    and with it every other scan; the stage reports it."""
    if os.path.isdir(path):
        return os.access(path, os.R_OK | os.X_OK)
    return os.path.isfile(path) and os.access(path, os.R_OK)


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
            continue  # the stage reports it
        found.add(f"{DATA_ROOT}/{name}")
    return sorted(path for path in found if not os.path.isdir(path) and readable(path))


SITE_ROWS = {name: dataclasses.astuple(site) for name, site in STUDY.sites.items()}


def batch(stage, *columns, section=None):
    """What a job is asked for, as options of its command line, so that any change of it reruns the
    job: digest of the code of the stage, of its setting and of what the sheets say of the scans in
    these columns; what to do again (manifests.py); the scans."""
    pattern = manifest(stage)
    own = (STAGE_SETTINGS[stage] or [None])[-1]

    def options(wildcards):
        items = batch_of(stage, wildcards)
        settings = [STUDY.config[section] if section else None]
        settings.append(STUDY.setting(own, wildcards[own]) if own else None)
        cells = [[getattr(item, column) for column in columns] for item in items]
        asked = request_digest(code_digest(stage), settings, cells, SITE_ROWS[items[0].site])
        again = manifests.again(pattern.format(**wildcards), RESULTS, DATA_ROOT)
        keys = " ".join(item.key for item in items)
        return f"--request {asked} --again '{again}' -- {joined(stage, wildcards)} {keys}"

    return options


def analysis_request(stage, *sections):
    """The same of a stage over all scans: its code, sections of the configuration, who was where."""
    settings = [STUDY.config[section] for section in sections]
    return request_digest(code_digest(stage), settings, STUDY.participants)


def registered_request():
    """Digest of what was registered and of all that is compared with it; "" without any."""
    if not STUDY.preregistration:
        return ""
    compared = ("analyses", *ANALYSIS_SETTINGS, *REGISTERED)
    return request_digest(STUDY.preregistration, [STUDY.config[one] for one in compared])


def joined(stage, wildcards):
    """Names of the settings of a job, as the command line of its stage wants them."""
    return "-".join(wildcards[name] for name in STAGE_SETTINGS[stage])


def call(stage):
    """Shell command of a job of a stage."""
    return f"{FMRSFLOW} {stage} --study {FROZEN} --manifest {{output}} {{params.batch}} 2> {{log}}"


def memory(mb):
    """Memory of a job, growing with each submission (profile `retries`)."""
    return lambda wildcards, attempt: mb * attempt


def minutes(start, each=0, stage=None):
    """Run time of a job by the number of its scans (of all without `stage`), many times what was
    measured (benchmarks/chain.py), growing with each submission."""

    def runtime(wildcards, attempt):
        number = len(batch_of(stage, wildcards)) if stage else len(STUDY.scans)
        return math.ceil((start + each * number) * attempt)

    return runtime


def of_analysis(stage):
    """Manifests of a stage under the analysis of the wildcards."""
    return lambda wildcards: manifests_of(stage, ANALYSES[wildcards.analysis])


def given_norms(wildcards):
    """The norms that sites are compared with, as far as they are there."""
    path = STUDY.config["norms"]
    return [path] if path and os.path.isfile(path) else []


def segmentations(wildcards):
    """Manifests of the segmentations that a batch of scans stands on."""
    owners = [STUDY.segment_owner(scan) for scan in batch_of("anatomy", wildcards)]
    return manifests_of("segment", {}, [owner for owner in owners if owner])


def basis_files(wildcards):
    """Files that a basis is read from, as far as they are there; none where it is simulated."""
    setting = STUDY.setting("basis", wildcards.basis)
    if setting["source"] != "file" or not setting["path"]:
        return []
    found = []
    for site in batch_of("basis", wildcards):
        path = f"{DATA_ROOT}/{setting['path'].replace('{site}', site.name)}"
        found += [path] if os.path.isfile(path) else sorted(glob.glob(f"{path}/*.json"))
    return [path for path in found if readable(path)]


def basis_of(wildcards):
    """Manifest of the basis of the site of a batch."""
    site = STUDY.sites[batch_of("fit", wildcards)[0].site]
    return manifests_of("basis", dict(wildcards), [site])


def designs(wildcards):
    """Designs and nuisance courses that the setting names for the scans of a batch."""
    setting = STUDY.setting("fit", wildcards.fit)
    nuisance = setting["joint_nuisance"]
    beside = nuisance.replace(".tsv.gz", ".json") if nuisance.endswith(".tsv.gz") else ""
    return named_files(batch_of("fit", wildcards), setting["joint_design"], nuisance, beside)


def fit_minutes(wildcards, attempt):
    """Other engines take up to 40 s a scan, ours less than 1 s."""
    each = 1 if STUDY.setting("fit", wildcards.fit)["engine"] == "fmrsflow" else 5
    return minutes(20, each, "fit")(wildcards, attempt)


def measured(wildcards):
    """Manifests of the concentrations that a batch of units stands on; those of several scans are
    fitted together, with the basis of their site."""
    units = batch_of("response", wildcards)
    found = manifests_of("quantify", dict(wildcards), [one for unit in units for one in unit.scans])
    if any(len(unit.scans) > 1 for unit in units):
        found += manifests_of("basis", dict(wildcards), [STUDY.sites[units[0].site]])
    return found


def bold_files(wildcards):
    """Files that the settings name for the scans of a batch."""
    names = [STUDY.config["bold"][key] for key in ("transform", "atlas", "atlas_labels")]
    return named_files(batch_of("bold", wildcards), *names)


def converted_of_bold(wildcards):
    """Manifests of the conversions that a batch of scans with BOLD runs stands on: its batches are
    others than those of all scans."""
    return manifests_of("convert", {}, batch_of("bold", wildcards))


def memory_of_runs(wildcards, attempt):
    """Memory of a job of BOLD runs: all of a scan are held at once."""
    most = max(len(scan.files("bold")) for scan in batch_of("bold", wildcards))
    return (3000 + 1000 * (most - 1)) * attempt


def shown_bold(wildcards):
    """Manifests of the BOLD results that the pages of a batch show."""
    return manifests_of("bold", {}, [scan for scan in batch_of("convert", wildcards) if scan.bold])


def manifest_of_file(wildcards):
    """Manifest of the batch that makes a file of a scan or response unit."""
    stage, *names = wildcards.folder.split("-")
    key = f"{wildcards.site}/{wildcards.stem}"
    try:
        job = STUDY.job_of(stage, key)
    except KeyError:
        raise WorkflowError(f"scans.tsv has no {key} for stage {stage}") from None
    return ancient(str(STUDY.manifest_path(stage, dict(zip(STAGE_SETTINGS[stage], names)), job)))


def manifest_of_page(wildcards):
    """Manifest of the batch that makes the page of a scan."""
    job = STUDY.job_of("convert", f"{wildcards.site}/{wildcards.stem}")
    return ancient(f"{RESULTS}/{wildcards.analysis}/report/batches/{job}.json")


FOLDERS = "|".join(
    f"{stage}(?:-[a-z0-9]+){{{len(settings)}}}" for stage, settings in STAGE_SETTINGS.items()
)
"""Folders of the stages, as a regular expression."""


def pages_batch(wildcards):
    """As `batch`, for the pages of scans under an analysis."""
    path = f"{RESULTS}/{wildcards.analysis}/report/batches/{wildcards.job}.json"
    keys = " ".join(item.key for item in batch_of("convert", wildcards))
    again = manifests.again(path, RESULTS, DATA_ROOT)
    return f"--request {PAGES} --again '{again}' -- {wildcards.analysis} {keys}"


PAGES = analysis_request("report", "quality")
"""Digest of what pages are asked for."""
