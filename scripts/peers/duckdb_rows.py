"""DuckDB: both databases attached, CREATE TABLE AS for each table.

Called as PROGRAM URL SOURCE EXTENSIONS TABLE..., where EXTENSIONS is a folder that holds the files of
its extensions: none is looked for anywhere else. Prints the seconds of the copies.
"""

import glob
import sys
import time

import duckdb

url, source, folder, *tables = sys.argv[1:]
db = duckdb.connect()
db.execute("SET enable_progress_bar = false")
for extension in glob.glob(f"{folder}/**/*.duckdb_extension", recursive=True):
    db.execute(f"LOAD '{extension}'")
db.execute(f"ATTACH '{source}' AS here (TYPE sqlite, READ_ONLY)")
attach = f"ATTACH '{url}' AS there (TYPE postgres)"
db.execute(attach)
started = time.monotonic()
for table in tables:
    copy = f'CREATE TABLE there.public."{table}" AS SELECT * FROM here."{table}"'
    try:
        db.execute(copy)
    except duckdb.TypeMismatchException as error:
        # What its message says to do: the table as text throughout. After a failure the same
        # attachment makes tables without rows, so a new one is made.
        print(f"{table}: {error}", file=sys.stderr)
        db.execute("DETACH there")
        db.execute(attach)
        db.execute("SET sqlite_all_varchar = true")
        db.execute(copy)
        db.execute("SET sqlite_all_varchar = false")
print(time.monotonic() - started)
