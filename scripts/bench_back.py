"""Measures the copy from PostgreSQL to SQLite; scripts/bench-back runs this.

Three things fill a new SQLite file with the rows of one PostgreSQL database, without secondary
indexes: the program's copy phase; the limit, which is one thread that inserts the same values from
memory into the same tables, with no journal and in one transaction, and only its inserts count; and
DuckDB's own copy, CREATE TABLE AS per table from the one attached database into the other, which
makes no keys. A pair is one run of each, one after the other, and every second pair goes the other
way round; the machine's noise is about 15 %, so that only ratios within pairs say something, and
the medians over pairs are shown. The largest resident set of the program's runs is of the whole
run, with indexes, checks and verification, and is set against --memory.
"""

import argparse
import glob
import os
import subprocess
import sys

from measuring import main, migrate, phases, psql, run, say, show, url

# No extension is looked for anywhere: their files are given.
DUCKDB = """
import duckdb, sys, time
postgres, file, *extensions = sys.argv[1:]
db = duckdb.connect()
db.execute("SET enable_progress_bar = false")
for extension in extensions:
    db.execute(f"LOAD '{extension}'")
db.execute(f"ATTACH '{postgres}' AS there (TYPE postgres, READ_ONLY)")
db.execute(f"ATTACH '{file}' AS here (TYPE sqlite, JOURNAL_MODE 'OFF')")
names = db.execute(
    "SELECT table_name FROM duckdb_tables() WHERE database_name = 'there' "
    "AND schema_name = 'public' AND table_name <> 'migrate_ledger'"
).fetchall()
started = time.monotonic()
for (name,) in names:
    db.execute(f'CREATE TABLE here."{name}" AS SELECT * FROM there.public."{name}"')
print(time.monotonic() - started)
"""


def seconds_of(command):
    os.sync()
    output = subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return float(output.stdout)


def limit(arguments, filled, folder):
    """The seconds in which ready values fill the tables of the file `filled`."""
    new = os.path.join(folder, "limit.db")
    seconds = seconds_of([arguments.limits, "fill", filled, new])
    os.unlink(new)
    return seconds


def duckdb(arguments, folder):
    """The seconds of DuckDB's copy."""
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

    say(f"making a usage database of {arguments.rows} rows")
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
        say("a first run, so that every pair has the limit's values")
        program()
    rows = []
    for pair in range(arguments.pairs):
        # In turn, so that none always finds the machine as the same other one left it.
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
        told = f", {duck / times['copy']:.2f} times as fast as DuckDB" if duck else ""
        say(f"pair {pair + 1} of {arguments.pairs}: {row['of the limit']:.2f} of the limit{told}")
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
