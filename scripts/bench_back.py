"""Measures the copy from PostgreSQL to SQLite; scripts/bench-back runs this.

Three programs fill a new SQLite file with the rows of one PostgreSQL database, without secondary
indexes:

- the program's copy phase;
- the limit: one thread that inserts the same values from memory into the same tables, without a
  journal and in one transaction; only its inserts count;
- DuckDB's own copy, CREATE TABLE AS for each table, which creates no keys.

A pair is one run of each; every second pair runs in reverse order. The machine's noise is about 15 %,
so only ratios within pairs count. The output shows the medians over the pairs. The largest resident set
is that of the program's whole run, including indexes, checks and verification.
"""

import argparse
import glob
import os
import subprocess
import sys

from measuring import main, migrate, phases, psql, run, say, show, url

# The extensions are loaded from their files, so that DuckDB downloads nothing.
DUCKDB = """
import duckdb, sys, time
postgres, file, *extensions = sys.argv[1:]
db = duckdb.connect()
db.execute("SET enable_progress_bar = false")
for extension in extensions:
    db.execute(f"LOAD '{extension}'")
db.execute(f"ATTACH '{postgres}' AS postgres_db (TYPE postgres, READ_ONLY)")
db.execute(f"ATTACH '{file}' AS sqlite_db (TYPE sqlite, JOURNAL_MODE 'OFF')")
names = db.execute(
    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'postgres_db' "
    "AND schema_name = 'public' AND table_name <> 'migrate_ledger'"
).fetchall()
started = time.monotonic()
for (name,) in names:
    db.execute(f'CREATE TABLE sqlite_db."{name}" AS SELECT * FROM postgres_db.public."{name}"')
print(time.monotonic() - started)
"""


def seconds_of(command):
    os.sync()
    output = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return float(output.stdout)


def limit(arguments, filled, folder):
    """Measures the limit once, with the values of the file `filled`; returns the seconds."""
    new = os.path.join(folder, "limit.db")
    seconds = seconds_of([arguments.limits, "fill", filled, new])
    os.unlink(new)
    return seconds


def duckdb(arguments, folder):
    """Measures DuckDB's copy once; returns the seconds."""
    extensions = glob.glob(f"{arguments.duckdb}/**/*.duckdb_extension", recursive=True)
    new = os.path.join(folder, "duckdb.db")
    python = os.path.join(arguments.duckdb, "bin", "python")
    seconds = seconds_of([python, "-c", DUCKDB, url("ready"), new, *extensions])
    os.unlink(new)
    return seconds


def measure(arguments, folder):
    made = os.path.join(folder, "usage.db")
    report_file, log = os.path.join(folder, "report.json"), os.path.join(folder, "log")
    filled = os.path.join(folder, "back.db")
    options = ["--memory", arguments.memory] if arguments.memory else []

    say(f"generating a usage database of {arguments.rows} rows")
    run([arguments.binary, "generate", made, "--rows", arguments.rows], stdout=sys.stderr)
    say("copying it to PostgreSQL")
    psql("postgres", "CREATE DATABASE ready")
    migrate(arguments.binary, made, url("ready"), report_file, log, ["--no-verify"])
    os.unlink(made)
    psql("ready", "VACUUM ANALYZE")
    psql("postgres", "CHECKPOINT")

    def program():
        if os.path.exists(filled):
            os.unlink(filled)
        os.sync()
        return migrate(arguments.binary, url("ready"), filled, report_file, log, options)

    def others():
        return limit(arguments, filled, folder), arguments.duckdb and duckdb(arguments, folder)

    if arguments.pairs > 1:
        say("running once, so that the first pair has the values of the limit")
        program()
    rows = []
    for pair in range(arguments.pairs):
        # Alternate, because each leaves the machine in another state.
        if pair % 2:
            least, duck = others()
        report, seconds, rss = program()
        if not pair % 2:
            least, duck = others()
        times = phases(report)
        row = {
            "plan s": times["profile"] + times["plan"],
            "copy s": times["copy"],
            "finish s": times["finish"],
            "verify s": times["verify"],
            "all s": seconds,
            "limit s": least,
            "of the limit": least / times["copy"],
        }
        if duck:
            row |= {"DuckDB s": duck, "DuckDB/copy": duck / times["copy"]}
        row["max RSS MiB"] = rss / (1 << 20)
        rows.append(row)
        text = f", {duck / times['copy']:.2f} times as fast as DuckDB" if duck else ""
        say(f"pair {pair + 1} of {arguments.pairs}: {row['of the limit']:.2f} of the limit{text}")
    size = os.path.getsize(filled)
    print(f"{arguments.rows} rows, a file of {size / 1e6:.0f} MB, {os.cpu_count()} cores")
    show(rows)
    if not arguments.duckdb:
        print("DuckDB was NOT MEASURED")


if __name__ == "__main__":
    main(
        measure,
        "scripts/bench-back",
        __doc__,
        options=[
            ("--limits", {"required": True, "help": argparse.SUPPRESS}),
            ("--duckdb", {"help": argparse.SUPPRESS}),
            ("--memory", {"help": "the program's --memory"}),
        ],
    )
