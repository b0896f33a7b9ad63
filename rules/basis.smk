# One basis set for each site's protocol.


rule basis:
    input:
        basis_files,
    output:
        f"{RESULTS}/basis-{{basis}}/{{site}}_desc-basis_record.json",
    log:
        f"{RESULTS}/logs/basis-{{basis}}/{{site}}.log",
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
    params:
        study=FROZEN,
        settings=lambda wildcards: setting("basis", wildcards),
        row=lambda wildcards: json.dumps(dataclasses.astuple(STUDY.sites[wildcards.site])),
        code=code_digest("basis"),
    shell:
        "fmrsflow basis --study {params.study} {wildcards.basis} {wildcards.site} 2> {log}"
