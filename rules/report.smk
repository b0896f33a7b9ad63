# Pages: one a scan, one a site, one for the consortium.

for analysis, (job, batch) in product(ANALYSES, SCAN_BATCHES.items()):

    rule:
        name:
            f"report_{analysis}_{job}"
        input:
            f"{RESULTS}/{analysis}/sites/record.json",
            records("bold", [scan for scan in batch if scan.bold]),
        output:
            [f"{RESULTS}/{analysis}/report/scans/{scan.site}/{scan.stem}.html" for scan in batch],
        log:
            f"{RESULTS}/logs/{analysis}/report-{job}.log",
        conda:
            "../envs/core.yaml"
        resources:
            mem_mb=memory(1500),
            runtime=minutes(20, 0.25, len(batch)),
        params:
            study=FROZEN,
            analysis=analysis,
            scans=keys(batch),
            code=code_digest("report"),
        shell:
            "fmrsflow report --study {params.study} {params.analysis} {params.scans} 2> {log}"


rule report:
    input:
        [
            f"{RESULTS}/{{analysis}}/report/scans/{scan.site}/{scan.stem}.html"
            for scan in STUDY.scans
        ],
        f"{RESULTS}/multiverse/specification.tsv",
        # Without BOLD runs too: the narrowing of lines is compared with glutamate.
        f"{RESULTS}/{{analysis}}/bold/record.json",
    output:
        f"{RESULTS}/{{analysis}}/report/index.html",
    log:
        f"{RESULTS}/logs/{{analysis}}/report.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30, 0.02, len(STUDY.scans)),
    params:
        study=FROZEN,
        code=code_digest("report"),
    shell:
        "fmrsflow report --study {params.study} {wildcards.analysis} 2> {log}"
