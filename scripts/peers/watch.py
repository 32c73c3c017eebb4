"""What a run of a peer takes besides time: CPU seconds on both sides of the socket, and memory."""

import bisect
import os
import threading
import time
from dataclasses import dataclass

from measuring import psql

TICKS = os.sysconf("SC_CLK_TCK")
PAGE = os.sysconf("SC_PAGE_SIZE")
# Each look reads the state of all processes: more of them would show in what is measured.
SECONDS_BETWEEN_LOOKS = 0.2


@dataclass
class Stat:
    """What /proc tells of a process: CPU seconds are its own, `reaped` those of its dead children."""

    parent: int
    cpu: float
    reaped: float
    resident: int

    @classmethod
    def of(cls, pid):
        """None where there is no such process any more."""
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                # The name in parentheses may hold anything; fields are counted from behind it.
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
    stats = {int(name): Stat.of(name) for name in os.listdir("/proc") if name.isdigit()}
    stats = {pid: stat for pid, stat in stats.items() if stat}
    found, waiting = [], [root]
    while waiting:
        parent = waiting.pop()
        if parent in stats:
            found.append(stats[parent])
            waiting += [pid for pid, stat in stats.items() if stat.parent == parent]
    return found


class Server:
    """The private server's processes."""

    def __init__(self):
        with open(os.path.join(psql("postgres", "SHOW data_directory"), "postmaster.pid")) as file:
            self.pid = int(file.readline())

    def cpu(self):
        """The CPU seconds of all its processes since it started, those that have ended included."""
        while True:
            ended = Stat.of(self.pid).reaped
            seconds = ended + sum(stat.cpu for stat in family(self.pid))
            # Else one ended meanwhile, and may have been counted twice or not at all.
            if Stat.of(self.pid).reaped == ended:
                return seconds


@dataclass
class Look:
    """CPU seconds since the start of what is looked at, and when."""

    at: float
    client: float
    server: float


class Watch:
    """Looks at a client and the server while the client runs; afterwards it knows what both took."""

    def __init__(self, server):
        self._server = server
        self._before = server.cpu()
        self._looks = [Look(0, 0, 0)]
        self._ended = threading.Event()
        self.client = self.server = 0
        # The most bytes that all its processes had at one time; what they share counts for each.
        self.resident = 0

    def begin(self, pid, started):
        self._thread = threading.Thread(target=self._look, args=(pid, started), daemon=True)
        self._thread.start()

    def _look(self, pid, started):
        while not self._ended.wait(SECONDS_BETWEEN_LOOKS):
            at, alive = time.monotonic() - started, family(pid)
            if alive:
                client = sum(stat.cpu + stat.reaped for stat in alive)
                self.resident = max(self.resident, sum(stat.resident for stat in alive))
                self._looks.append(Look(at, client, self._server.cpu() - self._before))

    def end(self, seconds, usage):
        """`usage` is exact about the client's CPU, and knows of a peak between two looks."""
        self.server = self._server.cpu() - self._before
        self._ended.set()
        self._thread.join()
        self.client = usage.ru_utime + usage.ru_stime
        self.resident = max(self.resident, usage.ru_maxrss * 1024)
        self._looks = [look for look in self._looks if look.at < seconds]
        self._looks.append(Look(seconds, self.client, self.server))

    def between(self, first, last):
        """The CPU seconds of client and server between two moments, in seconds from the start."""
        (client, server), (client_then, server_then) = self._at(first), self._at(last)
        return client_then - client, server_then - server

    def _at(self, moment):
        """Interpolated between the looks before and after."""
        after = bisect.bisect_left([look.at for look in self._looks], moment)
        after = min(max(after, 1), len(self._looks) - 1)
        low, high = self._looks[after - 1], self._looks[after]
        share = min(max((moment - low.at) / (high.at - low.at), 0), 1)
        return (
            low.client + share * (high.client - low.client),
            low.server + share * (high.server - low.server),
        )
