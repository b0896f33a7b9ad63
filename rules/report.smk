# Pages: one a scan, one a site, one for the consortium.


rule pages:
    input:
        f"{RESULTS}/{{analysis}}/sites/record.json",
        shown_bold,
    output:
        update(f"{RESULTS}/{{analysis}}/report/batches/{{job}}.json"),
    log:
        f"{RESULTS}/logs/{{analysis}}/report/{{job}}.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(20, 0.25, "convert"),
    params:
        batch=pages_batch,
    shell:
        f"{FMRSFLOW} report --study {FROZEN} --manifest {{output}} {{params.batch}} 2> {{log}}"


rule report:
    input:
        lambda wildcards: [
            f"{RESULTS}/{wildcards.analysis}/report/batches/{job}.json"
            for job in STUDY.jobs("convert")
        ],
        f"{RESULTS}/multiverse/record.json",
        # Without BOLD runs too: the narrowing of lines is compared with glutamate.
        f"{RESULTS}/{{analysis}}/bold/record.json",
    output:
        report(
            f"{RESULTS}/{{analysis}}/report/index.html",
            caption="../workflow/captions/index.rst",
            category="{analysis}",
        ),
        [
            report(
                f"{RESULTS}/{{analysis}}/report/site-{site}.html",
                caption="../workflow/captions/site.rst",
                category="{analysis}",
            )
            for site in STUDY.sites
        ],
    log:
        f"{RESULTS}/logs/{{analysis}}/report.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(30, 0.02),
    params:
        request=analysis_request("report", "quality"),
    shell:
        f"{FMRSFLOW} report --study {FROZEN} {{wildcards.analysis}} 2> {{log}}"
