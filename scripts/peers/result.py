"""What is missing or wrong in a peer's result, found by asking both databases.

The reference is a database that `migrate` filled and verified. Definitions are compared by what they
say, without the names that a tool gave them. Values are compared by PostgreSQL: each column is cast to
the reference's type, and the hashes of its values' text, seeded with the row's key, are summed; a
column that cannot be cast is wrong.
"""

import json
import subprocess
from collections import Counter

from measuring import psql

# Where a value has several texts, both sides print the same one.
SAME_TEXT = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex';
"""

# Types in the words that people use; a varchar without a length is a text.
CATALOG = r"""
WITH tables AS (
    SELECT oid, relname FROM pg_class
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
        AND relname <> 'migrate_ledger'
), columns AS (
    SELECT relname, attname, attnotnull, attnum, atttypid,
        regexp_replace(regexp_replace(regexp_replace(regexp_replace(
            format_type(atttypid, atttypmod),
            '^timestamp(.*) with time zone$', 'timestamptz\1'),
            ' without time zone$', ''),
            '^character varying$', 'text'),
            '^character varying', 'varchar') AS type,
        attidentity <> '' OR coalesce(pg_get_expr(adbin, adrelid), '') LIKE 'nextval(%' AS counted,
        coalesce(pg_get_expr(adbin, adrelid), 'nextval(') NOT LIKE 'nextval(%' AS has_default,
        pg_get_serial_sequence(quote_ident(relname), attname) AS sequence
    FROM pg_attribute a JOIN tables t ON t.oid = attrelid
        LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE attnum > 0 AND NOT attisdropped
), keys AS (
    SELECT contype, relname || ' ' || pg_get_constraintdef(c.oid) AS said
    FROM pg_constraint c JOIN tables t ON t.oid = conrelid
)
SELECT json_build_object(
    'columns', (SELECT json_agg(columns ORDER BY relname, attnum) FROM columns),
    'primary keys', (SELECT json_agg(said) FROM keys WHERE contype = 'p'),
    'foreign keys', (SELECT json_agg(said) FROM keys WHERE contype = 'f'),
    'indexes', (
        SELECT json_agg(
            replace(pg_get_indexdef(i.oid), ' ' || quote_ident(i.relname) || ' ON ', ' ON '))
        FROM pg_index JOIN tables t ON t.oid = indrelid JOIN pg_class i ON i.oid = indexrelid
        WHERE NOT indisprimary
    ),
    'keys of rows', (
        SELECT json_object_agg(relname, (
            SELECT json_agg(attname ORDER BY attnum) FROM pg_attribute
            WHERE attrelid = t.oid AND attnum = ANY(conkey)
        ))
        FROM pg_constraint c JOIN tables t ON t.oid = conrelid WHERE contype = 'p'
    )
)
"""


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Definitions:
    """The tables of a database as it stands now, without their rows."""

    def __init__(self, database):
        self.said = json.loads(psql(database, CATALOG))
        self.columns = {
            (column["relname"], column["attname"]): column
            for column in self.said["columns"] or []
        }
        self.tables = sorted({table for table, _ in self.columns})

    def lacks(self, reference):
        """Sentences about what `reference` has and this has not."""
        found = []
        if gone := [name for name in reference.tables if name not in self.tables]:
            found.append(f"{len(gone)} tables missing")
        missing, types = Counter(), Counter()
        for place, wanted in reference.columns.items():
            # Of a table that is missing all that is told is that it is missing.
            if place[0] not in self.tables:
                continue
            column = self.columns.get(place)
            if not column:
                missing["columns"] += 1
                continue
            if column["type"] != wanted["type"]:
                types[f"{wanted['type']} as {column['type']}"] += 1
            missing["NOT NULLs"] += wanted["attnotnull"] and not column["attnotnull"]
            missing["defaults"] += wanted["has_default"] and not column["has_default"]
            missing["sequences"] += wanted["counted"] and not column["counted"]
        for kind in ("primary keys", "foreign keys", "indexes"):
            missing[kind] += len(set(reference.said[kind] or []) - set(self.said[kind] or []))
        if types:
            kinds = ", ".join(f"{count} {kind}" for kind, count in types.most_common(6))
            rest = " ..." if len(types) > 6 else ""
            found.append(f"types: {kinds}{rest}")
        if missing := [f"{count} {kind}" for kind, count in missing.items() if count]:
            found.append(f"missing or changed: {', '.join(missing)}")
        return found


class Rows:
    """The rows of a database, seen through the types of the reference."""

    def __init__(self, reference_database, reference):
        self.database, self.reference = reference_database, reference
        self.counts = self._counts(reference_database, reference)
        self.digests = {}

    @staticmethod
    def _counts(database, definitions):
        counted = "".join(
            f"SELECT '{name}', count(*) FROM {quoted(name)};" for name in definitions.tables
        )
        lines = psql(database, counted).splitlines()
        return {name: int(count) for name, count in (line.rsplit("|", 1) for line in lines)}

    def arrived(self, database):
        """How many rows have arrived: a table that has too many counts as full."""
        counts = self._counts(database, Definitions(database))
        return sum(min(counts.get(name, 0), count) for name, count in self.counts.items())

    def differ(self, database):
        """Sentences about rows and values that are not the reference's."""
        definitions, found = Definitions(database), []
        counts = self._counts(database, definitions)
        wrong, few, many = [], 0, 0
        for table in (name for name in self.reference.tables if name in counts):
            few += max(0, self.counts[table] - counts[table])
            many += max(0, counts[table] - self.counts[table])
            wrong += self._wrong(table, database, definitions)
        if few:
            found.append(f"{few:,} rows missing")
        if many:
            found.append(f"{many:,} rows too many")
        if wrong:
            names = ", ".join(wrong[:4]) + (" ..." if len(wrong) > 4 else "")
            found.append(f"{len(wrong)} columns with other values: {names}")
        if behind := self._behind(database, definitions):
            found.append(f"{behind} sequences behind their rows")
        return found

    def _wrong(self, table, database, definitions):
        """The columns of a table that hold other values."""
        forms = {}
        for (of, name), wanted in self.reference.columns.items():
            if of != table or (of, name) not in definitions.columns:
                continue
            kind = definitions.columns[of, name]["type"]
            # A jsonb has a text of its own: compared as such.
            forms[name] = "jsonb" if (wanted["type"], kind) == ("json", "jsonb") else wanted["type"]
        cached = (table, tuple(forms.items()))
        if cached not in self.digests:
            self.digests[cached] = self._digest(self.database, table, forms, self.reference)
        ours, theirs = self.digests[cached], self._digest(database, table, forms, definitions)
        return [f"{table}.{name}" for name in forms if ours[name] != theirs[name]]

    def _digest(self, database, table, forms, definitions):
        """Of each column the number of values and their sum; None where they do not fit the type."""
        keys = self.reference.said["keys of rows"].get(table, [])

        def value(name):
            form = forms[name].partition("(")[0]
            has = definitions.columns[table, name]["type"].partition("(")[0]
            cast = quoted(name) if has == form else f"{quoted(name)}::text::{form}"
            # A numeric's trailing zeros are no part of its value.
            return f"trim_scale({cast})::text" if form == "numeric" else f"{cast}::text"

        if keys == [name for name in keys if forms.get(name) == "bigint"] and len(keys) == 1:
            seed = f"{quoted(keys[0])}::text::bigint"
        elif keys and all(name in forms for name in keys):
            seed = f"hashtextextended(ROW({', '.join(map(value, keys))})::text, 0)"
        else:
            seed = "0"

        def ask(names):
            sums = ", ".join(
                f"count({quoted(name)}), sum(hashtextextended({value(name)}, {seed}))"
                for name in names
            )
            query = f"{SAME_TEXT} SELECT json_build_array({sums}) FROM {quoted(table)}"
            answer = json.loads(psql(database, query, subprocess.DEVNULL))
            return {name: answer[at * 2 : at * 2 + 2] for at, name in enumerate(names)}

        try:
            return ask(list(forms))
        except subprocess.CalledProcessError:
            pass
        digests = {}
        for name in forms:
            try:
                digests |= ask([name])
            except subprocess.CalledProcessError:
                digests[name] = None
        return digests

    @staticmethod
    def _behind(database, definitions):
        """How many sequences would give a number next that is taken or was."""
        asked = [
            f"SELECT last_value + is_called::int <= "
            f"(SELECT max({quoted(name)}) FROM {quoted(table)}) FROM {column['sequence']};"
            for (table, name), column in definitions.columns.items()
            if column["counted"] and column["sequence"]
        ]
        return psql(database, "".join(asked) or "SELECT 1").splitlines().count("t")
