# Tables of an analysis over all sites: the consortium's answer.


def analysed(wildcards):
    """Records of every response unit under an analysis."""
    return records("response", STUDY.units(), ANALYSES[wildcards.analysis])


rule sites:
    input:
        analysed,
    output:
        f"{RESULTS}/{{analysis}}/sites/record.json",
    log:
        f"{RESULTS}/logs/{{analysis}}/sites.log",
    resources:
        mem_mb=memory(2000),
        runtime=60,
    params:
        settings=json.dumps(STUDY.config["sites"], sort_keys=True),
        code=code_digest("sites"),
    shell:
        "fmrsflow sites --study {FROZEN} {wildcards.analysis} 2> {log}"
