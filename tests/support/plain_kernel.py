"""A notebook that is open in JupyterLab with a kernel of Jupyter itself: nothing of opsbook has started it."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_client.blocking import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.support.project import Project


class PlainKernel:
    """Runs cells; `manager` and `client` are those of jupyter_client."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager, self.client = manager, client

    def run(self, code: str) -> str:
        """What the cell printed, and the name and text of its error."""
        said: list[str] = []

        def take(message: dict[str, dict[str, str]]) -> None:
            content = message["content"]
            said.append(content.get("text") or f"{content.get('ename', '')} {content.get('evalue', '')}")

        self.client.execute_interactive(code, output_hook=take, timeout=60)
        return "".join(said).strip()

    def begin(self, code: str) -> None:
        """Run the cell without waiting for it."""
        self.client.execute(code)


@contextmanager
def plain_kernel(project: Project, notebook: Path, environment: str = "dev") -> Iterator[PlainKernel]:
    """A kernel of this notebook, in this environment, as JupyterLab starts one."""
    manager = KernelManager(kernel_name="python3")
    told = {**project.environment(), "OPSBOOK_ENVIRONMENT": environment, "JPY_SESSION_NAME": str(notebook)}
    manager.start_kernel(env=told, cwd=str(project.root))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=60)
        yield PlainKernel(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
