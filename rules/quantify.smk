# Linear-combination fit, and concentrations from its amplitudes.


rule fit:
    input:
        manifest("preprocess"),
        basis_of,
        designs,
    output:
        update(manifest("fit")),
    log:
        log("fit"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=fit_minutes,
    params:
        batch=batch("fit"),
    shell:
        call("fit")


rule quantify:
    input:
        manifest("fit"),
        manifest("anatomy"),
    output:
        update(manifest("quantify")),
    log:
        log("quantify"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(800),
        runtime=minutes(10, 0.1, "quantify"),
    params:
        batch=batch("quantify"),
    shell:
        call("quantify")
