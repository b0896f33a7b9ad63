# One basis set for each site's protocol.


def basis_files(wildcards):
    """Files that a basis is read from, as far as they are there; none where it is simulated."""
    setting = STUDY.setting("basis", wildcards.basis)
    if setting["source"] != "file" or not setting["path"]:
        return []
    found = []
    for site in batch_of("basis", wildcards):
        path = f"{DATA_ROOT}/{setting['path'].replace('{site}', site.name)}"
        found += [path] if os.path.isfile(path) else sorted(glob.glob(f"{path}/*.json"))
    return found


rule basis:
    input:
        basis_files,
    output:
        update(manifest("basis")),
    log:
        log("basis"),
    conda:
        "../envs/core.yaml"
    resources:
        mem_mb=memory(1500),
        runtime=minutes(60),
    params:
        scans=scans("basis"),
        request=request("basis"),
        again=again("basis"),
    shell:
        call("basis")
