# Data of a synthetic study (config: synthetic), made before anything reads them.

DEMO_FILES = (
    {
        str(STUDY.data_root / getattr(scan, column))
        for scan in STUDY.scans
        for column in PATH_COLUMNS
        if getattr(scan, column)
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
        runtime=minutes(30, 0.5, len(STUDY.scans)),
    params:
        preset=lambda wildcards: STUDY.config["synthetic"],
        root=lambda wildcards: STUDY.config["data_root"],
        code=code_digest("demo"),
    shell:
        "fmrsflow demo --preset {params.preset:q} {params.root:q} 2> {log}"
