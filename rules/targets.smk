# What a user may ask for: a stage over the whole study, or a single file of a scan.

for stage in STAGE_SETTINGS:

    rule:
        name:
            f"all_{stage}"
        input:
            [path for names in STUDY.choices(stage) for path in manifests_of(stage, names)],


rule all_sites:
    input:
        expand("{results}/{analysis}/sites/record.json", results=RESULTS, analysis=ANALYSES),


rule all_report:
    input:
        expand("{results}/{analysis}/report/index.html", results=RESULTS, analysis=ANALYSES),


def manifest_of_file(wildcards):
    """Manifest of the batch that makes a file of a scan or response unit."""
    stage, *names = wildcards.folder.split("-")
    key = f"{wildcards.site}/{wildcards.stem}"
    try:
        job = STUDY.job_of(stage, key)
    except KeyError:
        raise WorkflowError(f"scans.tsv has no {key} for stage {stage}") from None
    return ancient(str(STUDY.manifest_path(stage, dict(zip(STAGE_SETTINGS[stage], names)), job)))


rule file:
    # The files of a scan come with its batch; this names them as targets.
    input:
        manifest_of_file,
    output:
        update(f"{RESULTS}/{{folder}}/{{site}}/{{place}}/{{stem}}_desc-{{what}}"),
    log:
        f"{RESULTS}/logs/file/{{folder}}/{{site}}/{{place}}/{{stem}}_desc-{{what}}.log",
    wildcard_constraints:
        folder="|".join(
            [
                stage + r"(?:-[a-z0-9]+)" + f"{{{len(STAGE_SETTINGS[stage])}}}"
                for stage in STAGE_SETTINGS
            ]
        ),
        site="[A-Za-z0-9]+",
        place="sub-.+",
        stem="sub-[^/]+",
    localrule: True
    conda:
        "../envs/core.yaml"
    shell:
        "test -f {output:q} 2> {log}"


rule page:
    # As `file`, for the page of a scan.
    input:
        lambda wildcards: ancient(
            f"{RESULTS}/{wildcards.analysis}/report/batches/"
            f"{STUDY.job_of('convert', wildcards.site + '/' + wildcards.stem)}.json"
        ),
    output:
        update(f"{RESULTS}/{{analysis}}/report/scans/{{site}}/{{stem}}.html"),
    log:
        f"{RESULTS}/logs/{{analysis}}/page/{{site}}/{{stem}}.log",
    localrule: True
    conda:
        "../envs/core.yaml"
    shell:
        "test -f {output:q} 2> {log}"


rule complete:
    # The last job: it fails while a scan ended in a fault of the program or the machine, which
    # the next run does again.
    input:
        rules.all_report.input,
    output:
        f"{RESULTS}/complete.json",
    log:
        f"{RESULTS}/logs/complete.log",
    localrule: True
    conda:
        "../envs/core.yaml"
    shell:
        f"{FMRSFLOW} summary --study {FROZEN} --complete {{output}} > {{log}} 2>&1"
