"""How jupyter_client is told to have its kernels forked by a warm process."""

import os
from importlib.metadata import EntryPoint

from jupyter_client.provisioning import KernelProvisionerFactory
from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from wsnb.book import warm

NAME = "wsnb"


class Provisioner(LocalProvisioner):
    """A local kernel, forked instead of started."""

    async def launch_kernel(self, cmd, env=None, cwd=None, **_):
        self.cwd = cwd or os.getcwd()
        self.process = warm.launch(cmd, dict(os.environ if env is None else env), str(self.cwd))
        self.pid = self.pgid = self.process.pid  # the leader of its own group
        return self.connection_info


def metadata() -> dict:
    """Of a kernel's specification that asks for it; it needs no entry point of an installed package."""
    known = KernelProvisionerFactory.instance().provisioners
    known[NAME] = EntryPoint(NAME, f"{__name__}:Provisioner", KernelProvisionerFactory.GROUP_NAME)
    return {"kernel_provisioner": {"provisioner_name": NAME}}
