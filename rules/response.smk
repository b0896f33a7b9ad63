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
        mem_mb=memory(1500),
        runtime=minutes(10, 0.5, "response"),
    params:
        batch=batch("response", "members"),
    shell:
        call("response")
