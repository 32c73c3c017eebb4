"""Measures `migrate database` against its limits; scripts/bench runs this.

The limit of the copy is the same rows as ready binary COPY files. They are loaded into the same tables
without indexes, over the unix socket, in messages of 1 MB, by 1, 2 and 4 connections; the best counts.
The limit of the verification is COPY TO STDOUT of all tables by psql, over as many connections as the
program reads with, while one bare scan of the SQLite file runs.

A pair is one run of the program and one round of the limits on the same server, each after a
checkpoint. The machine's noise is about 15 %, so only ratios within pairs count. The output shows the
medians over the pairs.
"""

import argparse
import os
import subprocess
import sys
import time

from measuring import main, migrate_into_new, phases, psql, run, say, sha256, show, url

# Small enough that every connection is busy until the end.
FILE_BYTES = 64 << 20
CONNECTIONS = (1, 2, 4)
# As many as the program uses to read the target in a verification.
READERS = max(2, min(os.cpu_count(), 16))
BLOCKS_PER_QUERY = 8192


def make_files(report, folder):
    """Writes the rows of the database `ready` to binary COPY files; returns size, table and path of each."""
    files = []
    for table in report["data_sets"][0]["tables"]:
        name, count = table.get("target_name") or table["name"], table["bytes"] // FILE_BYTES + 1
        first, last = 0, 0
        if count > 1:
            first, last = map(int, psql("ready", f"SELECT min(id), max(id) FROM {name}").split("|"))
        for number in range(count):
            where = ""
            if count > 1:
                bounds = [first + (last + 1 - first) * n // count for n in (number, number + 1)]
                where = f"WHERE id >= {bounds[0]} AND id < {bounds[1]}"
            file = os.path.join(folder, f"{len(files):04}")
            psql("ready", f"\\copy (SELECT * FROM {name} {where}) TO '{file}' (FORMAT binary)")
            files.append((os.path.getsize(file), name, file))
    # The largest first, so that no connection ends with a large one.
    files.sort(reverse=True)
    return files


def limit(arguments, files):
    """Measures the limit of the copy once; returns the seconds by number of connections."""
    seconds = {}
    names = sorted({name for _, name, _ in files})
    for connections in CONNECTIONS:
        psql("ready", "DROP SCHEMA IF EXISTS bare CASCADE; CREATE SCHEMA bare")
        for name in names:
            psql("ready", f"CREATE TABLE bare.{name} (LIKE public.{name})")
        psql("ready", "CHECKPOINT")
        command = [arguments.limits, "copy", url("ready"), str(connections)]
        command += [f"bare.{name}={file}" for _, name, file in files]
        output = subprocess.run(
            command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE
        )
        seconds[connections] = float(output.stdout)
    psql("ready", "DROP SCHEMA bare CASCADE")
    return seconds


def verify_limit(arguments):
    """Measures the limit of the verification once; returns the seconds."""
    tables = psql(
        "ready",
        "SELECT oid::regclass, greatest(relpages, 1) FROM pg_class "
        "WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY relpages DESC",
    )
    shares = [[0, []] for _ in range(READERS)]
    for name, pages in (line.split("|") for line in tables.splitlines()):
        for first in range(0, int(pages), BLOCKS_PER_QUERY):
            last = first + BLOCKS_PER_QUERY
            end = "" if last >= int(pages) else f" AND ctid < '({last},0)'"
            query = f"SELECT * FROM {name} WHERE ctid >= '({first},0)'{end}"
            least = min(shares)
            least[0] += min(BLOCKS_PER_QUERY, int(pages) - first)
            least[1].append(f"COPY ({query}) TO STDOUT (FORMAT binary);\n")
    quiet = {"stdin": subprocess.PIPE, "stdout": subprocess.DEVNULL}
    started = time.monotonic()
    scan = subprocess.Popen(
        [arguments.limits, "scan", arguments.source],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    command = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", url("ready"), "-f", "-"]
    readers = [subprocess.Popen(command, **quiet) for _ in shares]
    for reader, (_, statements) in zip(readers, shares):
        reader.stdin.write("".join(statements).encode())
        reader.stdin.close()
    for child in readers:
        if child.wait() != 0:
            sys.exit("error: psql failed")
    seconds = time.monotonic() - started
    if scan.wait() != 0:
        sys.exit("error: the scan failed")
    return seconds


def measure(arguments, folder):
    arguments.source = os.path.join(folder, "usage.db")
    report_file, log = os.path.join(folder, "report.json"), os.path.join(folder, "log")
    say(f"generating a usage database of {arguments.rows} rows")
    run([arguments.binary, "generate", arguments.source, "--rows", arguments.rows], stdout=sys.stderr)
    before = sha256(arguments.source)
    os.sync()

    say("creating the files of the limit")
    report, _, _ = migrate_into_new(arguments.binary, arguments.source, "ready", report_file, log)
    files = make_files(report, folder)
    os.sync()

    rows = []
    for pair in range(arguments.pairs):
        # Alternate, because each leaves the server in another state.
        if pair % 2:
            limits, least = limit(arguments, files), verify_limit(arguments)
        report, seconds, rss = migrate_into_new(
            arguments.binary, arguments.source, "arrived", report_file, log
        )
        psql("postgres", "DROP DATABASE arrived")
        if not pair % 2:
            limits, least = limit(arguments, files), verify_limit(arguments)
        times, best = phases(report), min(limits.values())
        rows.append(
            {
                "profile s": times["profile"],
                "copy s": times["copy"],
                "finish s": times.get("finish", 0.0),
                "verify s": times["verify"],
                "all s": seconds,
                **{f"limit x{n} s": limits[n] for n in CONNECTIONS},
                "verify limit s": least,
                "of the limit": best / times["copy"],
                "verify/limit": times["verify"] / least,
                "profile/copy": times["profile"] / times["copy"],
                "max RSS MiB": rss / (1 << 20),
            }
        )
        say(
            f"pair {pair + 1} of {arguments.pairs}: copy {best / times['copy']:.2f} of its limit, "
            f"verification {times['verify'] / least:.2f} times its limit"
        )
    unchanged = sha256(arguments.source) == before
    size = sum(size for size, _, _ in files)
    print(f"{arguments.rows} rows, {size / 1e6:.0f} MB of binary COPY, {os.cpu_count()} cores")
    show(rows)
    print(f"the source's SHA-256 is {'unchanged' if unchanged else 'CHANGED'}")
    if not unchanged:
        sys.exit("error: the source has changed")


if __name__ == "__main__":
    limits = ("--limits", {"required": True, "help": argparse.SUPPRESS})
    main(measure, "scripts/bench", __doc__, options=[limits])
