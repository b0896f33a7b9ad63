# BOLD in the MRS voxel: a scan with a BOLD run, then accord with glutamate over an analysis.

for job, batch in site_batches(scan for scan in STUDY.scans if scan.bold).items():

    rule:
        name:
            f"bold_{job}"
        input:
            records("convert", batch),
            sources(batch, "bold", "bold_events", "bold_confounds"),
            named_files(
                batch, *(STUDY.config["bold"][k] for k in ("transform", "atlas", "atlas_labels"))
            ),
        output:
            records("bold", batch),
        log:
            f"{RESULTS}/logs/bold/{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(3000),
            runtime=minutes(20, 5, len(batch)),
        params:
            study=FROZEN,
            scans=keys(batch),
            settings=literal(json.dumps(STUDY.config["bold"], sort_keys=True)),
            rows=rows(batch, "bold", "bold_events", "bold_confounds"),
            code=code_digest("bold"),
        shell:
            "fmrsflow bold --study {params.study} {params.scans} 2> {log}"


rule bold:
    input:
        records("bold", [scan for scan in STUDY.scans if scan.bold]),
        lambda wildcards: analysed(wildcards.analysis),
        lambda wildcards: records("preprocess", STUDY.scans, ANALYSES[wildcards.analysis]),
    output:
        f"{RESULTS}/{{analysis}}/bold/record.json",
    log:
        f"{RESULTS}/logs/{{analysis}}/bold.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, 0.02, len(STUDY.scans)),
    params:
        study=FROZEN,
        people=PEOPLE,
        settings=literal(json.dumps([STUDY.config["bold"], STUDY.config["sites"]], sort_keys=True)),
        code=code_digest("bold"),
    shell:
        "fmrsflow bold --study {params.study} --analysis {wildcards.analysis} 2> {log}"
