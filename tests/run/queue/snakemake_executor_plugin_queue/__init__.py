"""An executor of Snakemake for tests: a queue of background processes on two hosts.

Each host has a home and temporary files of its own, and cgroups that show each job one GPU, as number 0. $QUEUE is the
folder of the hosts, outside of what they share.
"""

import json
import os
import signal
import subprocess
from pathlib import Path

from snakemake_interface_executor_plugins.executors.base import SubmittedJobInfo
from snakemake_interface_executor_plugins.executors.remote import RemoteExecutor
from snakemake_interface_executor_plugins.settings import CommonSettings

common_settings = CommonSettings(
    non_local_exec=True, implies_no_shared_fs=False, job_deploy_sources=False, pass_default_storage_provider_args=True,
    pass_default_resources_args=True, pass_envvar_declarations_to_cmd=True, auto_deploy_default_storage_provider=False,
    init_seconds_before_status_checks=0)


class Executor(RemoteExecutor):
    """Submits a job by starting it; hosts take turns."""

    def __post_init__(self):
        self.processes = []

    def run_job(self, job):
        number, queue = len(self.processes), Path(os.environ["QUEUE"])
        host = queue / f"host{number % 2}"
        (host / "tmp").mkdir(parents=True, exist_ok=True)
        smi = queue / "bin/nvidia-smi"
        if not smi.exists():
            smi.parent.mkdir(exist_ok=True)
            smi.write_text("#!/bin/sh\necho 'GPU 0: pretended'\n")
            smi.chmod(0o755)
        asked = {name: job.resources[name] for name in job.resources.keys() if isinstance(job.resources[name], int)}
        with open(queue / "jobs.jsonl", "a") as file:
            print(json.dumps({"rule": job.name, "attempt": job.attempt, "threads": job.threads, **asked}), file=file)
        environment = {**os.environ, "HOME": str(host), "TMPDIR": str(host / "tmp"), "SLURM_JOB_ID": str(number),
                       "PATH": f"{smi.parent}:{os.environ['PATH']}"}
        with open(host / f"{number}.log", "w") as log:
            self.processes.append(subprocess.Popen(self.format_job_exec(job), shell=True, env=environment, stdout=log,
                                                   stderr=subprocess.STDOUT, start_new_session=True))
        self.report_job_submission(SubmittedJobInfo(job, external_jobid=str(number)))

    async def check_active_jobs(self, active_jobs):
        for info in active_jobs:
            code = self.processes[int(info.external_jobid)].poll()
            if code is None:
                yield info
            elif code:
                self.report_job_error(info)
            else:
                self.report_job_success(info)

    def cancel_jobs(self, active_jobs):
        for process in self.processes:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
