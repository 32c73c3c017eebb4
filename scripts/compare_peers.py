"""Compares `migrate` with other tools; scripts/compare-peers runs this.

All tools move the same SQLite file into a new database of the same private server, which has its
default settings, over its unix socket. A round is one run of each tool, each after a CHECKPOINT; the
next round begins with another tool. The machine's noise is about 15 %, so only ratios within a round
count. The table holds medians, and the medians of the ratios of each line's seconds to migrate's of the
same round and section.

A tool's time begins when its programs are loaded, or with the command if it has no clock of its own.
CPU seconds are those of all client processes, and of all server processes in the same time. Memory is
the peak of all client processes together; for migrate, of its whole run.
"""

import argparse
import os
import statistics
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field

from measuring import main, migrate, psql, run, say, sha256, url
from peers.result import Definitions, Rows
from peers.tools import FULL, ROWS, TOOLS, WHOLE, Died, Outcome, Run
from peers.watch import Server

REFERENCE = "ready"
# The line that each section's seconds are divided by.
MEASURE = {ROWS: "copy", FULL: "copy and finish", WHOLE: "all"}
# The ratio that each line should reach.
WANTED = {
    "adbc": 1.3,
    "duckdb": 1.8,
    "csv": 1.8,
    "pgloader rows": 8,
    "pgloader": 3,
    "duckdb all": 1,
}
# With a smaller share of the rows a time means nothing.
ENOUGH = 0.99


@dataclass
class Setting:
    """The inputs and results of all runs."""

    binary: str
    adbc: str
    duckdb: str
    psycopg: str
    folder: str
    source: str
    log: str
    server: Server
    reference: str
    definitions: Definitions
    rows: Rows
    # Table names, the largest first.
    tables: list
    outcomes: dict = field(default_factory=dict)
    faults: dict = field(default_factory=dict)


def prepared(arguments, folder):
    """Creates the source and the reference, a database that migrate filled and verified."""
    source, log = os.path.join(folder, "usage.db"), os.path.join(folder, "log")
    say(f"generating a usage database of {arguments.rows} rows")
    run([arguments.binary, "generate", source, "--rows", arguments.rows], stdout=sys.stderr)
    say("creating the reference")
    psql("postgres", f"CREATE DATABASE {REFERENCE}")
    report_file = os.path.join(folder, "report.json")
    report, _, _ = migrate(arguments.binary, source, url(REFERENCE), report_file, log)
    if report["data_sets"][0]["verdict"] != "match":
        sys.exit("error: the reference differs from the source")
    # Otherwise autovacuum does it during a measurement.
    psql(REFERENCE, "VACUUM ANALYZE")
    definitions = Definitions(REFERENCE)
    sizes = {table["name"]: table["bytes"] for table in report["data_sets"][0]["tables"]}
    return Setting(
        binary=arguments.binary,
        adbc=arguments.adbc,
        duckdb=arguments.duckdb,
        psycopg=arguments.psycopg,
        folder=folder,
        source=source,
        log=log,
        server=Server(),
        reference=REFERENCE,
        definitions=definitions,
        rows=Rows(REFERENCE, definitions),
        tables=sorted(sizes, key=sizes.get, reverse=True),
    )


def one_round(setting, tools):
    """Runs each tool once; compares values when a tool succeeds for the first time."""
    for tool in tools:
        say(tool.name)
        work, died = Run(setting, tool.name.replace(" ", "_")), ""
        try:
            tool.work(work)
        except Died as death:
            died = str(death)
        total = sum(setting.rows.counts.values())
        arrived = setting.rows.arrived(work.database)
        if died or arrived < ENOUGH * total:
            died = f"{died or work.last_words()}; {arrived:,} of {total:,} rows arrived"
            say(f"{tool.name}: {died}")
        elif not setting.faults.keys() & tool.lines.keys():
            wrong = setting.rows.differ(work.database)
            for key in tool.lines:
                setting.faults[key] = work.lacks.get(key, []) + wrong
        for key in tool.lines:
            outcome = Outcome(died=died) if died else work.outcomes[key]
            setting.outcomes.setdefault(key, []).append(outcome)
        psql("postgres", f"DROP DATABASE {work.database}")


def measure(arguments, folder):
    named = {tool.name.split()[0] for tool in TOOLS}
    only = set(arguments.only.split(",") if arguments.only else named) | {"migrate"}
    if only - named:
        sys.exit(f"error: --only takes {', '.join(sorted(named))}")
    setting = prepared(arguments, folder)
    before = sha256(setting.source)
    os.sync()
    chosen, absent = [], {}
    for tool in TOOLS:
        if tool.name.split()[0] not in only:
            continue
        if reason := tool.absent(setting):
            absent[tool.name] = reason
        else:
            chosen.append(tool)
    for number in range(arguments.rounds):
        say(f"round {number + 1} of {arguments.rounds}")
        turn = number % len(chosen)
        one_round(setting, chosen[turn:] + chosen[:turn])
    print_results(setting, arguments, chosen, absent)
    unchanged = sha256(setting.source) == before
    print(f"the source's SHA-256 is {'unchanged' if unchanged else 'CHANGED'}")


# --- Output ---


def first_words(*command):
    """The first line that a command prints."""
    output = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    return output.stdout.decode().strip().splitlines()[0] if output.returncode == 0 else "?"


def versions(chosen, setting):
    packages = {"adbc": "adbc_driver_postgresql", "duckdb": "duckdb", "psycopg": "psycopg"}
    found = [f"PostgreSQL {psql('postgres', 'SHOW server_version').split()[0]}"]
    for name in sorted({tool.name.split()[0] for tool in chosen} - {"migrate"}):
        if name in packages:
            python = os.path.join(getattr(setting, name), "bin", "python")
            ask = f"import importlib.metadata as m; print(m.version('{packages[name]}'))"
            found.append(f"{name} {first_words(python, '-c', ask)}")
        elif name == "csv":
            found.append(f"sqlite3 {first_words('sqlite3', '--version').split()[0]}")
        else:
            # Debian's build reports another version.
            packaged = first_words("dpkg-query", "-W", "-f", "${Version}", name)
            found.append(f"{name} {packaged}")
    return ", ".join(found)


def machine():
    with open("/proc/cpuinfo") as file:
        models = [line.partition(":")[2].strip() for line in file if line.startswith("model name")]
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / (1 << 30)
    return f"{os.cpu_count()} cores ({(models or ['unknown model'])[0]}), {memory:.0f} GiB"


def ratio(setting, key, section):
    """The median over the rounds of a line's seconds divided by migrate's."""
    pairs = zip(setting.outcomes[key], setting.outcomes[MEASURE[section]])
    ratios = [one.seconds / ours.seconds for one, ours in pairs if not one.died]
    return statistics.median(ratios) if ratios else None


def table(setting, chosen):
    """Yields for each line its name, cells, what is missing or wrong, and what was done by hand.

    A section's name comes alone before its lines.
    """
    total = sum(setting.rows.counts.values())
    for section in MEASURE:
        yield section, None, None, None
        for tool in chosen:
            for key, line in tool.lines.items():
                if line.section != section:
                    continue
                done = [outcome for outcome in setting.outcomes[key] if not outcome.died]
                deaths = [outcome.died for outcome in setting.outcomes[key] if outcome.died]
                found = list(setting.faults.get(key, []))
                if deaths:
                    times = f"{len(deaths)} of {len(deaths) + len(done)} runs"
                    found.insert(0, f"FAILED in {times}: {deaths[0]}")
                if not done:
                    yield line.what, ["-"] * 6, found, line.by_hand
                    continue

                def middle(of):
                    return statistics.median(getattr(outcome, of) for outcome in done)

                cells = [
                    f"{middle('seconds'):.2f}",
                    f"{total / middle('seconds'):,.0f}",
                    f"{ratio(setting, key, section):.2f}",
                    f"{middle('client'):.2f}",
                    f"{middle('server'):.2f}",
                    f"{middle('resident') / (1 << 20):.0f}",
                ]
                yield line.what, cells, found, line.by_hand


HEADS = ["wall s", "rows/s", "x migrate", "client CPU s", "server CPU s", "RSS MiB"]


def print_results(setting, arguments, chosen, absent):
    size = os.path.getsize(setting.source) / 1e6
    total = sum(setting.rows.counts.values())
    print(f"{total:,} rows in {len(setting.tables)} tables, a file of {size:,.0f} MB; ", end="")
    print(f"{machine()}; {versions(chosen, setting)}; medians of {arguments.rounds} rounds\n")
    (as_markdown if arguments.markdown else as_text)(setting, chosen)
    print("x migrate: seconds divided by migrate's in the same section, the median of the rounds;")
    print("RSS: the peak of all client processes together; for migrate, of its whole run\n")
    for name, reason in absent.items():
        print(f"NOT MEASURED: {name}, because {reason}")
    if absent:
        print()
    print("times as long as migrate, medians of the ratios within rounds:")
    lines = {key: line for tool in chosen for key, line in tool.lines.items()}
    for key, least in WANTED.items():
        if key in lines:
            times = ratio(setting, key, lines[key].section)
            got = f"{times:.2f}" if times else "failed"
            print(f"  {lines[key].section}: {lines[key].what}: {got} (at least {least} is wanted)")
    shares = [outcome.client / max(outcome.server, 0.01) for outcome in setting.outcomes["copy"]]
    share = f"{statistics.median(shares):.2f} (at most 0.6 is wanted)"
    print(f"CPU seconds of migrate's client per CPU second of the server, in the copy: {share}")


def as_text(setting, chosen):
    print(f"{'':<40}" + "".join(f"{head:>14}" for head in HEADS))
    notes = []
    for what, cells, found, by_hand in table(setting, chosen):
        if cells is None:
            print(f"{what}:")
            continue
        print(f"  {what:<38}" + "".join(f"{cell:>14}" for cell in cells))
        notes.append(f"{what}. " + ("; ".join(found) or "Nothing") + ".")
        if by_hand:
            notes[-1] += f" By hand: {by_hand}."
    print("\nmissing or wrong:")
    for note in notes:
        print(textwrap.fill(note, 110, initial_indent="  ", subsequent_indent="      "))
    print()


def as_markdown(setting, chosen):
    heads = ["", *HEADS, "missing or wrong", "done by hand"]
    print(f"| {' | '.join(heads)} |")
    print("| --- " * len(heads) + "|")
    for what, cells, found, by_hand in table(setting, chosen):
        row = [f"**{what}**"] + [""] * (len(heads) - 1)
        if cells:
            row = [what.replace("|", "\\|"), *cells, "; ".join(found) or "nothing", by_hand]
        print(f"| {' | '.join(row)} |")
    print()


if __name__ == "__main__":
    main(
        measure,
        "scripts/compare-peers",
        __doc__,
        rows="4M",
        rounds=("rounds", 5),
        options=[
            *((f"--{name}", {"help": argparse.SUPPRESS}) for name in ("adbc", "duckdb", "psycopg")),
            ("--only", {"help": "peers, separated by commas: adbc,duckdb,csv,psycopg,pgloader"}),
            ("--markdown", {"action": "store_true", "help": "print the table as Markdown"}),
        ],
    )
