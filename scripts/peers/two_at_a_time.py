"""Shared by the tools' programs: two workers that take tables from one list.

Called as PROGRAM URL SOURCE TABLE..., the largest table first. Prints the seconds from the start of
both workers until the last table has arrived.
"""

import sys
import time


def main(copy_table, pool):
    """Calls `copy_table(url, source, table)` for every table in the two workers of `pool`."""
    url, source, *tables = sys.argv[1:]
    with pool(2) as workers:
        started = time.monotonic()
        waiting = [workers.apply_async(copy_table, (url, source, table)) for table in tables]
        for copy in waiting:
            copy.get()
        print(time.monotonic() - started)
