# Stages as a directed acyclic graph, for Slurm, Kubernetes or one machine's cores. Start it with
#   wsnb run single_stage/voc12_resnet38 --engine snakemake --jobs 32 --profile slurm
# or, without the locks and the data of that command,
#   wsnb plan --json single_stage/voc12_resnet38 > plan.json; snakemake --configfile plan.json --directory JOBS --jobs 32
# The plan has the stages that are not finished. Each job is `wsnb run ... --only STAGE`: what is finished, and what
# continues, is known from manifests, never from here.
localrules: everything


def resources(stage):
    """Of a job: more memory and time at each retry; `gpu` only where it takes one, for a scheduler reads 0 as a wish."""
    grown = {name: (lambda wildcards, attempt, most=stage[name]: most * attempt) for name in ("mem_mb", "runtime")
             if stage[name]}
    fixed = {"gpu": stage["gpus"], "disk_mb": stage["disk_mb"], "cpus_per_task": stage["threads"]}
    return {**grown, **{name: value for name, value in fixed.items() if value}}


rule everything:
    input: [stage["done"] for stage in config["stages"]]


for stage in config["stages"]:
    rule:
        name: stage["rule"]
        input: stage["after"]
        output: touch(stage["done"])
        params: command=stage["command"]
        resources: **resources(stage)
        threads: stage["threads"]
        shell: "{params.command}"
