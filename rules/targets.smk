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


rule file:
    # The files of a scan come with its batch; this names them as targets.
    input:
        manifest_of_file,
    output:
        update(f"{RESULTS}/{{folder}}/{{site}}/{{place}}/{{stem}}_desc-{{what}}"),
    log:
        f"{RESULTS}/logs/file/{{folder}}/{{site}}/{{place}}/{{stem}}_desc-{{what}}.log",
    wildcard_constraints:
        folder=FOLDERS,
        site="[A-Za-z0-9]+",
        place="sub-.+",
        stem="sub-[^/]+",
    localrule: True
    conda:
        "../envs/core.yaml"
    shell:
        "test -f {output:q} 2> {log}"


rule basis_file:
    # As `file`, for the basis of a site.
    input:
        lambda wildcards: ancient(
            manifests_of("basis", dict(wildcards), [STUDY.sites[wildcards.site]])
        ),
    output:
        update(f"{RESULTS}/basis-{{basis}}/{{site}}_desc-basis_{{what}}"),
    log:
        f"{RESULTS}/logs/file/basis-{{basis}}/{{site}}_desc-basis_{{what}}.log",
    wildcard_constraints:
        site="[A-Za-z0-9]+",
    localrule: True
    conda:
        "../envs/core.yaml"
    shell:
        "test -f {output:q} 2> {log}"


rule page:
    # As `file`, for the page of a scan.
    input:
        manifest_of_page,
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
    params:
        keep=STUDY.config["keep_intermediates"],
    shell:
        f"{FMRSFLOW} summary --study {FROZEN} --complete {{output}} > {{log}} 2>&1"
