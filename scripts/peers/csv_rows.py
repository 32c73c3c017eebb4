"""`sqlite3 -csv` piped into psql's \\copy, for two tables at a time.

The tables already exist. The shell prints the bytes of a BLOB unchanged, so BLOB columns are written as
hex digits. This and the list of columns are done by hand.
"""

import sqlite3
import subprocess
from multiprocessing.pool import ThreadPool

from two_at_a_time import main


def copy_table(url, source, table):
    sqlite = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    columns = sqlite.execute("SELECT name, upper(type) FROM pragma_table_info(?)", [table]).fetchall()
    sqlite.close()
    names = ", ".join(f'"{name}"' for name, _ in columns)
    # hex() of NULL is an empty text.
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
