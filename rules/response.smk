# Percent change of each response unit: a scan with events, or the scans of two conditions.


rule response:
    input:
        measured,
    output:
        update(manifest("response")),
    log:
        log("response"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(800),
        runtime=minutes(10, 0.25, "response"),
    params:
        batch=batch("response"),
    shell:
        call("response")
