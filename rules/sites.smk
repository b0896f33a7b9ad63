# Tables of an analysis over all sites: the consortium's answer.


rule sites:
    input:
        lambda wildcards: analysed(wildcards.analysis),
    output:
        f"{RESULTS}/{{analysis}}/sites/record.json",
    log:
        f"{RESULTS}/logs/{{analysis}}/sites.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(2000),
        runtime=minutes(60, 0.02, len(STUDY.scans)),
    params:
        study=FROZEN,
        people=PEOPLE,
        settings=json.dumps(STUDY.config["sites"], sort_keys=True),
        code=code_digest("sites"),
    shell:
        "fmrsflow sites --study {params.study} {wildcards.analysis} 2> {log}"


rule multiverse:
    input:
        expand("{results}/{analysis}/sites/record.json", results=RESULTS, analysis=ANALYSES),
    output:
        f"{RESULTS}/multiverse/specification.tsv",
    log:
        f"{RESULTS}/logs/multiverse.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1000),
        runtime=minutes(30),
    params:
        study=FROZEN,
        settings=json.dumps(STUDY.config["sites"], sort_keys=True),
        code=code_digest("sites"),
    shell:
        "fmrsflow sites --study {params.study} --multiverse 2> {log}"
