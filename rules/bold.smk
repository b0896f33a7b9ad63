# BOLD in the MRS voxel: a scan with a BOLD run, then accord with glutamate over an analysis.


rule bold:
    input:
        converted_of_bold,
        sources("bold", "bold", "bold_events", "bold_confounds"),
        bold_files,
    output:
        update(manifest("bold")),
    log:
        log("bold"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory_of_runs,
        runtime=minutes(20, 5, "bold"),
    params:
        batch=batch("bold", "bold", "bold_events", "bold_confounds", section="bold"),
    shell:
        call("bold")


rule concordance:
    input:
        manifests_of("bold", {}),
        of_analysis("response"),
        of_analysis("preprocess"),
    output:
        f"{RESULTS}/{{analysis}}/bold/record.json",
        report(
            f"{RESULTS}/{{analysis}}/bold/concordance.tsv",
            caption="../workflow/captions/concordance.rst",
            category="{analysis}",
        ),
    log:
        f"{RESULTS}/logs/{{analysis}}/bold.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, 0.02),
    params:
        request=analysis_request("bold", "bold", "sites", "quality"),
    shell:
        f"{FMRSFLOW} bold --study {FROZEN} --analysis {{wildcards.analysis}} 2> {{log}}"
