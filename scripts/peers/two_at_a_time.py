"""What the peers' own programs share: two workers that take tables from one list.

Called as PROGRAM URL SOURCE TABLE...; the tables come largest first. Prints the seconds from the
moment when both workers are there until the last table has arrived.
"""

import sys
import time


def main(copy_table, pool):
    """Has `copy_table(url, source, table)` called for every table by the two workers of `pool`."""
    url, source, *tables = sys.argv[1:]
    with pool(2) as workers:
        started = time.monotonic()
        waiting = [workers.apply_async(copy_table, (url, source, table)) for table in tables]
        for copy in waiting:
            copy.get()
        print(time.monotonic() - started)
