"""How each tool is run: the commands that a user would type, and what is done by hand."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace

import measuring
from measuring import phases, psql, url
from peers.result import Definitions
from peers.watch import Watch

HERE = os.path.dirname(__file__)
# The other tools take minutes.
TIMEOUT_SECONDS = 3600
# The files with a command's standard output and standard error.
OUTPUTS = ("output", "errors")
ROWS = "rows alone"
FULL = "rows, indexes, keys, ANALYZE"
WHOLE = "all of it, with a check that everything arrived"


@dataclass
class Line:
    """A line of the table: what was measured, and what was done by hand."""

    section: str
    what: str
    by_hand: str = ""


@dataclass
class Outcome:
    """The figures of a line in one round: seconds, CPU seconds, bytes; or why it failed."""

    seconds: float = 0
    client: float = 0
    server: float = 0
    resident: int = 0
    died: str = ""


class Died(Exception):
    """A tool failed."""


class Run:
    """A run of a tool into a database of its own."""

    def __init__(self, setting, name):
        self.setting, self.database = setting, f"peer_{name}"
        self.sum, self.steps = Outcome(), 0
        self.outcomes, self.lacks = {}, {}
        psql("postgres", f"DROP DATABASE IF EXISTS {self.database}")
        psql("postgres", f"CREATE DATABASE {self.database}")

    def tables_by_hand(self):
        """Creates the reference's tables with their types, defaults and NOT NULLs, and nothing else."""
        made = os.path.join(self.setting.folder, "tables.sql")
        dump = ["pg_dump", "-O", "--section=pre-data", "--exclude-table=migrate_ledger"]
        measuring.run([*dump, "-f", made, self.setting.reference])
        load = ["psql", "-X", "-q", "-d", self.database, "-f", made]
        measuring.run(load, stdout=subprocess.DEVNULL)

    def step(self, *command, own_clock=False):
        """Runs one more command. If it has a clock of its own, it prints the seconds that count."""
        if not self.sum.seconds:
            psql("postgres", "CHECKPOINT")
        watch = Watch(self.setting.server)
        output, log = (os.path.join(self.setting.folder, f"{at}.{self.steps}") for at in OUTPUTS)
        self.steps += 1
        with open(output, "wb") as file:
            exit_code, seconds, _ = measuring.timed(command, log, file, TIMEOUT_SECONDS, watch)
        if exit_code != 0:
            raise Died(f"{self.last_words()} (exit code {exit_code})")
        if own_clock:
            with open(output) as file:
                seconds = float(file.read().split()[-1])
        self.sum.seconds += seconds
        self.sum.client += watch.client
        self.sum.server += watch.server
        self.sum.resident = max(self.sum.resident, watch.resident)

    def program(self, tool, file, *arguments):
        """Runs one of the programs next to this file."""
        python = os.path.join(tool, "bin", "python") if tool else sys.executable
        tables = self.setting.tables
        command = [python, "-B", os.path.join(HERE, file), url(self.database), self.setting.source]
        self.step(*command, *arguments, *tables, own_clock=True)

    def script(self, statements):
        """Runs SQL on one connection."""
        path = os.path.join(self.setting.folder, "by_hand.sql")
        with open(path, "w") as file:
            file.write(statements)
        self.step("psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.database, "-f", path)

    def reached(self, key):
        """Records the figures of the line `key`."""
        self.outcomes[key] = replace(self.sum)
        self.lacks[key] = Definitions(self.database).lacks(self.setting.definitions)

    def last_words(self):
        """The most telling line of the output of its commands."""
        lines = []
        for step in range(self.steps):
            for name in OUTPUTS:
                path = os.path.join(self.setting.folder, f"{name}.{step}")
                with open(path, errors="replace") as file:
                    lines += [line.strip() for line in file if line.strip()]
        for telling in ("exhausted", "fatal", "error", ""):
            found = [line for line in lines if telling in line.lower()]
            if found:
                return found[-1][:120]
        return "it printed nothing"


def migrate(run):
    """Runs the program itself; the report's seconds separate its phases."""
    setting = run.setting
    report_file = os.path.join(setting.folder, "report.json")
    target = url(run.database)
    psql("postgres", "CHECKPOINT")
    watch = Watch(setting.server)
    report, seconds, _ = measuring.migrate(
        setting.binary, setting.source, target, report_file, setting.log, watch=watch
    )
    # Time that belongs to no phase comes before the first one.
    spans, at = {}, seconds - report["seconds"]
    for phase, took in phases(report).items():
        spans[phase] = (at, at + took)
        at += took

    def outcome(*names):
        took = [watch.between(*spans[name]) for name in names]
        return Outcome(
            sum(last - first for first, last in (spans[name] for name in names)),
            sum(client for client, _ in took),
            sum(server for _, server in took),
            watch.resident,
        )

    run.outcomes = {
        "copy": outcome("copy"),
        "profile and copy": outcome("profile", "copy"),
        "copy and finish": outcome("copy", "finish"),
        "profile, copy and finish": outcome("profile", "copy", "finish"),
        "all": Outcome(seconds, watch.client, watch.server, watch.resident),
    }
    lacks = Definitions(run.database).lacks(setting.definitions)
    run.lacks = dict.fromkeys(run.outcomes, lacks)


def adbc(run):
    run.program(run.setting.adbc, "adbc_rows.py")
    run.reached("adbc")


def psycopg(run):
    run.tables_by_hand()
    run.program(run.setting.psycopg, "psycopg_rows.py")
    run.reached("psycopg")


def csv(run):
    run.tables_by_hand()
    run.program(None, "csv_rows.py")
    run.reached("csv")


def duckdb(run):
    run.program(run.setting.duckdb, "duckdb_rows.py", run.setting.duckdb)
    run.reached("duckdb")
    run.script(
        psql(
            run.setting.reference,
            "SELECT format('ALTER TABLE %s ADD %s;', conrelid::regclass, pg_get_constraintdef(oid)) "
            "FROM pg_constraint WHERE contype = 'p' AND connamespace = 'public'::regnamespace "
            "AND conrelid <> 'migrate_ledger'::regclass; "
            "SELECT pg_get_indexdef(indexrelid) || ';' FROM pg_index "
            "JOIN pg_class ON pg_class.oid = indrelid "
            "WHERE NOT indisprimary AND relnamespace = 'public'::regnamespace",
        )
    )
    run.program(None, "count_rows.py")
    run.reached("duckdb all")


# Its default of 100,000 rows read ahead exhausts its heap.
LOAD = """LOAD DATABASE FROM sqlite://{source}
INTO postgresql://{user}@unix:{host}:{port}/{database}
WITH {what}, workers = 2, concurrency = 1,
    batch rows = 10000, batch size = 8MB, prefetch rows = 10000
CAST type guid to uuid;
"""


def pgloader(run, what):
    path = os.path.join(run.setting.folder, "pgloader.load")
    with open(path, "w") as file:
        file.write(
            LOAD.format(
                source=run.setting.source,
                user=os.environ["PGUSER"],
                host=os.environ["PGHOST"],
                port=os.environ["PGPORT"],
                database=run.database,
                what=what,
            )
        )
    run.step("pgloader", "--root-dir", os.path.join(run.setting.folder, "pgloader"), path)


def pgloader_rows(run):
    pgloader(run, "create tables, create no indexes, no foreign keys, reset no sequences")
    run.reached("pgloader rows")


def pgloader_all(run):
    pgloader(run, "create tables, create indexes, foreign keys, reset sequences")
    run.script("ANALYZE;")
    run.reached("pgloader")


@dataclass
class Tool:
    """A tool. Its name begins with the word that --only takes."""

    name: str
    work: Callable
    lines: dict

    def absent(self, setting):
        """Why it cannot be measured here, or None."""
        match self.name:
            case "adbc" | "psycopg" | "duckdb" if not getattr(setting, self.name):
                return "pip could not install it"
            case "pgloader" | "pgloader rows" if not shutil.which("pgloader"):
                return "apt-get could not install it"
            case "csv" if not shutil.which("sqlite3"):
                return "apt-get could not install sqlite3"
        return None


TOOLS = [
    Tool(
        "migrate",
        migrate,
        {
            "copy": Line(ROWS, "migrate: copy"),
            "profile and copy": Line(ROWS, "migrate: profile, copy"),
            "copy and finish": Line(FULL, "migrate: copy, finish"),
            "profile, copy and finish": Line(FULL, "migrate: profile, copy, finish"),
            "all": Line(WHOLE, "migrate: all, every value verified"),
        },
    ),
    Tool("adbc", adbc, {"adbc": Line(ROWS, "ADBC: 2 processes")}),
    Tool(
        "duckdb",
        duckdb,
        {
            "duckdb": Line(ROWS, "DuckDB: CREATE TABLE AS"),
            "duckdb all": Line(WHOLE, "DuckDB: indexes, row counts", "primary keys and indexes"),
        },
    ),
    Tool(
        "csv",
        csv,
        {"csv": Line(ROWS, "sqlite3 -csv | psql: 2 at a time", "tables, BLOBs as hex")},
    ),
    Tool(
        "psycopg",
        psycopg,
        {"psycopg": Line(ROWS, "psycopg: binary COPY, 2 processes", "tables, a program of 60 lines")},
    ),
    Tool(
        "pgloader rows",
        pgloader_rows,
        {"pgloader rows": Line(ROWS, "pgloader: no indexes, no keys", "a CAST rule, small batches")},
    ),
    Tool(
        "pgloader",
        pgloader_all,
        {"pgloader": Line(FULL, "pgloader: all of its, ANALYZE", "a CAST rule, small batches, ANALYZE")},
    ),
]
