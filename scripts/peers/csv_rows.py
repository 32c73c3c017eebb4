"""`sqlite3 -csv` piped into psql's \\copy, for two tables at a time.

The tables are there already. The shell would print the bytes of a BLOB as they are, so their columns
are written as hex digits; that is the hand's work, as is the list of columns.
"""

import sqlite3
import subprocess
from multiprocessing.pool import ThreadPool

from two_at_a_time import main


def copy_table(url, source, table):
    here = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    columns = here.execute("SELECT name, upper(type) FROM pragma_table_info(?)", [table]).fetchall()
    here.close()
    names = ", ".join(f'"{name}"' for name, _ in columns)
    # An absent BLOB is NULL, but its digits would be an empty text.
    values = ", ".join(
        f"CASE WHEN \"{name}\" IS NOT NULL THEN '\\x' || hex(\"{name}\") END"
        if kind == "BLOB"
        else f'"{name}"'
        for name, kind in columns
    )
    rows = subprocess.Popen(
        ["sqlite3", "-readonly", "-csv", source, f'SELECT {values} FROM "{table}"'],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
    )
    copy = f'\\copy "{table}" ({names}) FROM STDIN (FORMAT csv)'
    subprocess.run(["psql", "-X", "-q", "-d", url, "-c", copy], stdin=rows.stdout, check=True)
    rows.stdout.close()
    if rows.wait() != 0:
        raise RuntimeError(f"sqlite3 failed at {table}")


if __name__ == "__main__":
    main(copy_table, ThreadPool)
