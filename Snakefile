# Stages as a directed acyclic graph, for Slurm, Kubernetes or one machine's cores. Start it with
#   wsnb run single_stage/voc12_resnet38 --engine snakemake --jobs 32 --profile slurm
# which writes the stages that are not finished into the configuration that is read here. Each job is
# `wsnb run ... --only STAGE`: what is finished, and what continues, is known from manifests, never from here.
localrules: everything


rule everything:
    input: [stage["done"] for stage in config["stages"]]


for stage in config["stages"]:
    rule:
        name: stage["rule"]
        input: stage["after"]
        output: touch(stage["done"])
        params: command=stage["command"]
        resources: gpu=stage["gpus"]
        threads: stage["threads"]
        message: stage["title"]
        shell: "{params.command}"
