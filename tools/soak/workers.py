"""The processes that the local AWS runs functions in."""

from contextlib import suppress
from pathlib import Path
from random import Random

import psutil

from tools.local.processes import Processes


class Workers:
    """The workers of one workspace: children of its MiniStack, and no other process of this machine."""

    def __init__(self, processes: Processes, folder: Path) -> None:
        self._processes = processes
        self._folder = str(folder)

    def kill_any(self, random: Random) -> None:
        """Kill one of the workers, if there is one."""
        if workers := self._all():
            with suppress(psutil.NoSuchProcess):
                random.choice(workers).kill()

    def kill_at(self, port: int | None) -> bool:
        """Kill the worker that has a connection from this port. Return whether there was one."""
        for process in self._all():
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(each.laddr and each.laddr.port == port for each in process.net_connections("tcp")):
                    process.kill()
                    return True
        return False

    def _all(self) -> list[psutil.Process]:
        found = []
        for process in self._processes.running("ministack").children(recursive=True):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                if any(self._folder in word for word in process.cmdline()):
                    found.append(process)
        return found
