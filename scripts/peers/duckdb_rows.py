"""DuckDB: both databases attached, CREATE TABLE AS for each table.

Called as PROGRAM URL SOURCE EXTENSIONS TABLE...; EXTENSIONS is a folder with the files of its
extensions, so that DuckDB downloads nothing. Prints the seconds of the copies.
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
db.execute(f"ATTACH '{source}' AS sqlite_db (TYPE sqlite, READ_ONLY)")
attach = f"ATTACH '{url}' AS postgres_db (TYPE postgres)"
db.execute(attach)
started = time.monotonic()
for table in tables:
    copy = f'CREATE TABLE postgres_db.public."{table}" AS SELECT * FROM sqlite_db."{table}"'
    try:
        db.execute(copy)
    except duckdb.TypeMismatchException as error:
        # Its message says to read the whole table as text. After a failure the same attachment
        # creates tables without rows, so attach again.
        print(f"{table}: {error}", file=sys.stderr)
        db.execute("DETACH postgres_db")
        db.execute(attach)
        db.execute("SET sqlite_all_varchar = true")
        db.execute(copy)
        db.execute("SET sqlite_all_varchar = false")
print(time.monotonic() - started)
