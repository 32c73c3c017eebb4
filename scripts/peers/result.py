"""Finds what is missing or wrong in a tool's result, by queries to both databases.

The reference is a database that `migrate` filled and verified. Definitions are compared without the
names that a tool chose. PostgreSQL compares the values: each column is cast to the reference's type, and
the hashes of its values' text, seeded with the row's key, are summed. A column that cannot be cast is
wrong.
"""

import json
import subprocess
from collections import Counter

from measuring import psql

# Both sides print the same text of a value.
SAME_TEXT = """
SET TimeZone = 'UTC'; SET DateStyle = 'ISO'; SET IntervalStyle = 'postgres';
SET extra_float_digits = 1; SET bytea_output = 'hex';
"""

# Types by their common names; a varchar without a length is text.
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
    SELECT contype, relname || ' ' || pg_get_constraintdef(c.oid) AS definition
    FROM pg_constraint c JOIN tables t ON t.oid = conrelid
)
SELECT json_build_object(
    'columns', (SELECT json_agg(columns ORDER BY relname, attnum) FROM columns),
    'primary keys', (SELECT json_agg(definition) FROM keys WHERE contype = 'p'),
    'foreign keys', (SELECT json_agg(definition) FROM keys WHERE contype = 'f'),
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


def counted(number, noun):
    """The number with its noun: "1 row", "2 rows"."""
    plural = "indexes" if noun == "index" else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural}"


def quoted(name):
    return '"' + name.replace('"', '""') + '"'


class Definitions:
    """The definitions of a database's tables."""

    def __init__(self, database):
        self.catalog = json.loads(psql(database, CATALOG))
        self.columns = {
            (column["relname"], column["attname"]): column
            for column in self.catalog["columns"] or []
        }
        self.tables = sorted({table for table, _ in self.columns})

    def lacks(self, reference):
        """Describes what `reference` has and this lacks."""
        found = []
        if gone := [name for name in reference.tables if name not in self.tables]:
            found.append(f"{counted(len(gone), 'table')} missing")
        missing, types = Counter(), Counter()
        for column_id, wanted in reference.columns.items():
            # A missing table is reported once, not for each of its columns.
            if column_id[0] not in self.tables:
                continue
            column = self.columns.get(column_id)
            if not column:
                missing["column"] += 1
                continue
            if column["type"] != wanted["type"]:
                types[f"{wanted['type']} as {column['type']}"] += 1
            missing["NOT NULL"] += wanted["attnotnull"] and not column["attnotnull"]
            missing["default"] += wanted["has_default"] and not column["has_default"]
            missing["sequence"] += wanted["counted"] and not column["counted"]
        for kind, noun in (("primary keys", "primary key"), ("foreign keys", "foreign key"), ("indexes", "index")):
            missing[noun] += len(set(reference.catalog[kind] or []) - set(self.catalog[kind] or []))
        if types:
            kinds = ", ".join(f"{count} {kind}" for kind, count in types.most_common(6))
            rest = " ..." if len(types) > 6 else ""
            found.append(f"types: {kinds}{rest}")
        if missing := [counted(count, kind) for kind, count in missing.items() if count]:
            found.append(f"missing or changed: {', '.join(missing)}")
        return found


class Rows:
    """The rows of the reference, for comparison with those of other databases."""

    def __init__(self, reference_database, reference):
        self.database, self.reference = reference_database, reference
        self.counts = self._counts(reference_database, reference)
        self.digests = {}

    @staticmethod
    def _counts(database, definitions):
        query = "".join(
            f"SELECT '{name}', count(*) FROM {quoted(name)};" for name in definitions.tables
        )
        lines = psql(database, query).splitlines()
        return {name: int(count) for name, count in (line.rsplit("|", 1) for line in lines)}

    def arrived(self, database):
        """The number of rows that arrived; surplus rows do not count."""
        counts = self._counts(database, Definitions(database))
        return sum(min(counts.get(name, 0), count) for name, count in self.counts.items())

    def differ(self, database):
        """Describes rows and values that differ from the reference."""
        definitions, found = Definitions(database), []
        counts = self._counts(database, definitions)
        wrong, few, many = [], 0, 0
        for table in (name for name in self.reference.tables if name in counts):
            few += max(0, self.counts[table] - counts[table])
            many += max(0, counts[table] - self.counts[table])
            wrong += self._wrong(table, database, definitions)
        if few:
            found.append(f"{counted(few, 'row')} missing")
        if many:
            found.append(f"{counted(many, 'row')} too many")
        if wrong:
            names = ", ".join(wrong[:4]) + (" ..." if len(wrong) > 4 else "")
            found.append(f"{counted(len(wrong), 'column')} with other values: {names}")
        if behind := self._behind(database, definitions):
            found.append(f"{counted(behind, 'sequence')} behind the rows")
        return found

    def _wrong(self, table, database, definitions):
        """The columns of a table that have other values."""
        forms = {}
        for (of, name), wanted in self.reference.columns.items():
            if of != table or (of, name) not in definitions.columns:
                continue
            kind = definitions.columns[of, name]["type"]
            # jsonb has a text of its own, so compare as jsonb.
            forms[name] = "jsonb" if (wanted["type"], kind) == ("json", "jsonb") else wanted["type"]
        cached = (table, tuple(forms.items()))
        if cached not in self.digests:
            self.digests[cached] = self._digest(self.database, table, forms, self.reference)
        ours, theirs = self.digests[cached], self._digest(database, table, forms, definitions)
        return [f"{table}.{name}" for name in forms if ours[name] != theirs[name]]

    def _digest(self, database, table, forms, definitions):
        """For each column the number of values and the sum of hashes; None if a value does not fit the type."""
        keys = self.reference.catalog["keys of rows"].get(table, [])

        def value(name):
            form = forms[name].partition("(")[0]
            has = definitions.columns[table, name]["type"].partition("(")[0]
            cast = quoted(name) if has == form else f"{quoted(name)}::text::{form}"
            # Trailing zeros are not part of a numeric's value.
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
        """The number of sequences whose next value is not above all existing ones."""
        asked = [
            f"SELECT last_value + is_called::int <= "
            f"(SELECT max({quoted(name)}) FROM {quoted(table)}) FROM {column['sequence']};"
            for (table, name), column in definitions.columns.items()
            if column["counted"] and column["sequence"]
        ]
        return psql(database, "".join(asked) or "SELECT 1").splitlines().count("t")
