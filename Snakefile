# Stages as a directed acyclic graph, for Slurm, Kubernetes or one machine's cores. Start it with
#   wsnb run single_stage/voc12_resnet38 --engine snakemake --jobs 32 --profile slurm
# or, without the locks and the data of that command,
#   wsnb plan --json single_stage/voc12_resnet38 > plan.json; snakemake --configfile plan.json --directory JOBS --jobs 32
# The plan has the stages that are not finished. Each job is `wsnb run ... --only STAGE`: what is finished, and what
# continues, is known from manifests, never from here.
localrules: everything


rule everything:
    input: [stage["done"] for stage in config["stages"]]


for stage in config["stages"]:
    rule:
        name: stage["rule"]
        input: stage["after"]
        output: touch(stage["done"])
        params: command=stage["command"]
        resources: gpu=stage["gpus"], **{name: stage[name] for name in ("mem_mb", "runtime") if stage[name]}
        threads: stage["threads"]
        shell: "{params.command}"
