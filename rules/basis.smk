# One basis set for each site's protocol.


def basis_files(wildcards):
    """Files that a basis is read from, as far as they are there; none where it is simulated."""
    setting = STUDY.setting("basis", wildcards.basis)
    if setting["source"] != "file" or not setting["path"]:
        return []
    path = STUDY.data_root / setting["path"].replace("{site}", wildcards.site)
    return [str(path)] if path.is_file() else sorted(map(str, path.glob("*.json")))


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
        runtime=30,
    params:
        study=FROZEN,
        settings=lambda wildcards: setting("basis", wildcards),
        row=lambda wildcards: json.dumps(dataclasses.astuple(STUDY.sites[wildcards.site])),
        code=code_digest("basis"),
    shell:
        "fmrsflow basis --study {params.study} {wildcards.basis} {wildcards.site} 2> {log}"
