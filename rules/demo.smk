# Data of a synthetic study (config: synthetic), made before anything reads them.

DEMO_FILES = (
    {
        f"{DATA_ROOT}/{name}"
        for scan in STUDY.scans
        for column in PATH_COLUMNS
        for name in scan.files(column)
    }
    if STUDY.config["synthetic"]
    else set()
)


rule demo:
    output:
        sorted(DEMO_FILES),
    log:
        f"{RESULTS}/logs/demo.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(30, 0.5),
    params:
        preset=lambda wildcards: STUDY.config["synthetic"],
        root=lambda wildcards: DATA_ROOT,
        code=code_digest("demo"),
    shell:
        f"{FMRSFLOW} demo --preset {{params.preset:q}} {{params.root:q}} 2> {{log}}"
