"""Counts the rows of each table on both sides, as a check that all rows arrived.

Called as PROGRAM URL SOURCE TABLE...; prints the seconds, and fails if the counts differ.
"""

import sqlite3
import subprocess
import sys
import time

url, source, *tables = sys.argv[1:]
started = time.monotonic()
query = "".join(f'SELECT count(*) FROM "{table}";' for table in tables)
output = subprocess.run(
    ["psql", "-X", "-A", "-t", "-d", url, "-c", query], check=True, stdout=subprocess.PIPE
)
sqlite = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
counts = [sqlite.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0] for table in tables]
if counts != list(map(int, output.stdout.split())):
    sys.exit("the counts differ")
print(time.monotonic() - started)
