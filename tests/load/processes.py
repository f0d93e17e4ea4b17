"""What processes and cores cost by the kernel's own count, for the measurements of this folder. Linux only."""

import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Final

TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    children: dict[int, list[int]] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = path.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), []).append(int(path.parent.name))
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], [])
    return found


def postgres_processes(folder: Path) -> list[int]:
    """The processes of the embedded server in a folder."""
    return tree(int((folder / "data" / "postmaster.pid").read_text().split()[0]))


def cpu_s(pids: Iterable[int]) -> float:
    """User and system seconds so far, of the processes that are there and of their children that ended."""
    total = 0
    for pid in pids:
        try:
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += sum(map(int, fields[11:15]))
    return total / TICKS_PER_S


def core_busy_s() -> float:
    """Seconds that the cores of this process were busy so far, with whatever ran on them."""
    cores = {f"cpu{core}" for core in os.sched_getaffinity(0)}
    rows = [line.split() for line in Path("/proc/stat").read_text().splitlines()]
    # user, nice, system, idle, iowait, irq, softirq, steal
    return sum(sum(map(int, row[1:4])) + sum(map(int, row[6:9])) for row in rows if row[0] in cores) / TICKS_PER_S


def resident_mb(pids: Iterable[int]) -> list[float]:
    """Resident memory of each process that is there."""
    found = []
    for pid in pids:
        try:
            pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        except OSError:
            continue
        found.append(pages * os.sysconf("SC_PAGE_SIZE") / 1e6)
    return found


def spin_us() -> float:
    """What a fixed piece of work takes of this core now: what else runs on the machine shows in it."""
    began = time.process_time()
    sum(number * number % 7 for number in range(500_000))
    return (time.process_time() - began) * 1e6
