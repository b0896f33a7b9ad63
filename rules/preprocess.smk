# Corrected transients and condition averages.


rule preprocess:
    input:
        manifest("convert"),
        sources("preprocess", "events"),
    output:
        update(manifest("preprocess")),
    log:
        log("preprocess"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(20, 1, "preprocess"),
    params:
        batch=batch("preprocess", "events", "condition"),
    shell:
        call("preprocess")
