"""CPU seconds of client and server, and memory, of a run."""

import bisect
import os
import threading
import time
from dataclasses import dataclass

from measuring import psql

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Each sample reads the state of all processes; more samples would disturb the measurement.
SAMPLE_SECONDS = 0.2


@dataclass
class Stat:
    """The figures of a process from /proc; `reaped` are the CPU seconds of its children that have ended."""

    parent: int
    cpu: float
    reaped: float
    resident: int

    @classmethod
    def read(cls, pid):
        """None if the process has ended."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The name in parentheses may contain anything, so count the fields after it.
                fields = file.read().rpartition(b")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            return None
        user, system, reaped_user, reaped_system = map(int, fields[11:15])
        return cls(
            parent=int(fields[1]),
            cpu=(user + system) / TICKS,
            reaped=(reaped_user + reaped_system) / TICKS,
            resident=int(fields[21]) * PAGE,
        )


def family(root):
    """The living process `root` and its living descendants."""
    stats = {int(name): Stat.read(name) for name in os.listdir("/proc") if name.isdigit()}
    stats = {pid: stat for pid, stat in stats.items() if stat}
    found, waiting = [], [root]
    while waiting:
        parent = waiting.pop()
        if parent in stats:
            found.append(stats[parent])
            waiting += [pid for pid, stat in stats.items() if stat.parent == parent]
    return found


class Server:
    """The processes of the private server."""

    def __init__(self):
        with open(os.path.join(psql("postgres", "SHOW data_directory"), "postmaster.pid")) as file:
            self.pid = int(file.readline())

    def cpu(self):
        """The CPU seconds of all its processes since it started, including those that have ended."""
        while True:
            ended = Stat.read(self.pid).reaped
            seconds = ended + sum(stat.cpu for stat in family(self.pid))
            # Otherwise a process has ended meanwhile, and may be counted twice or not at all.
            if Stat.read(self.pid).reaped == ended:
                return seconds


@dataclass
class Sample:
    """CPU seconds since the start of the run, at a moment."""

    at: float
    client: float
    server: float


class Watch:
    """Samples a client and the server while the client runs."""

    def __init__(self, server):
        self._server = server
        self._before = server.cpu()
        self._samples = [Sample(0, 0, 0)]
        self._ended = threading.Event()
        self.client = self.server = 0
        # The peak of all its processes together; shared memory counts in each.
        self.resident = 0

    def begin(self, pid, started):
        self._thread = threading.Thread(target=self._sample, args=(pid, started), daemon=True)
        self._thread.start()

    def _sample(self, pid, started):
        while not self._ended.wait(SAMPLE_SECONDS):
            at, alive = time.monotonic() - started, family(pid)
            if alive:
                client = sum(stat.cpu + stat.reaped for stat in alive)
                self.resident = max(self.resident, sum(stat.resident for stat in alive))
                self._samples.append(Sample(at, client, self._server.cpu() - self._before))

    def end(self, seconds, usage):
        """Takes the exact CPU time and the peak memory from `usage`."""
        self.server = self._server.cpu() - self._before
        self._ended.set()
        self._thread.join()
        self.client = usage.ru_utime + usage.ru_stime
        self.resident = max(self.resident, usage.ru_maxrss * 1024)
        self._samples = [sample for sample in self._samples if sample.at < seconds]
        self._samples.append(Sample(seconds, self.client, self.server))

    def between(self, first, last):
        """The CPU seconds of client and server between two moments, in seconds from the start."""
        (client, server), (client_then, server_then) = self._at(first), self._at(last)
        return client_then - client, server_then - server

    def _at(self, moment):
        """Interpolates between the samples before and after a moment."""
        after = bisect.bisect_left([sample.at for sample in self._samples], moment)
        after = min(max(after, 1), len(self._samples) - 1)
        low, high = self._samples[after - 1], self._samples[after]
        share = min(max((moment - low.at) / (high.at - low.at), 0), 1)
        return (
            low.client + share * (high.client - low.client),
            low.server + share * (high.server - low.server),
        )
