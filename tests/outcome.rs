//! The outcome of a run as facts, one line each: from PostgreSQL's catalog about the target, and from the
//! report about the run.
//!
//! Facts about a table are written `NAME> fact`; `expect` adds the name to indented lines.
//!
//! ```text
//! table NAME ROWS [from SOURCE-NAME]
//!     column NAME TYPE [collate C] [not null] [identity NEXT] [generated E] [default D]
//!     constraint [NAME] DEFINITION        (a name only if the program did not invent it)
//!     index NAME [unique] (TERMS) [WHERE CONDITION]
//!     conversion COLUMN COUNT
//!     rows left out COUNT
//! view NAME
//! left out KIND NAME [: DEFINITION, for constraints and defaults] [rows COUNT]
//! ```
//!
//! Collation "C" of text is not written, any other one is. `NEXT` is the number of the next row, or `end`
//! if none is left. A default is its value, or its expression if the value can change.

use crate::expect::spell;
use postgres::{Client, NoTls, SimpleQueryMessage};
use serde_json::Value;
use std::collections::BTreeMap;

/// A text result: rows of cells.
pub(crate) type Rows = Vec<Vec<Option<String>>>;

/// The target, queried through PostgreSQL's text protocol.
pub(crate) struct Target {
    client: Client,
}

impl Target {
    /// Connects.
    pub(crate) fn open(url: &str) -> Self {
        let mut client = Client::connect(url, NoTls).unwrap();
        client
            .batch_execute(
                "SET TimeZone = 'UTC'; SET DateStyle = 'ISO, YMD'; SET extra_float_digits = 3; \
                 SET bytea_output = 'hex'",
            )
            .unwrap();
        Self { client }
    }

    /// The rows of a query, each cell in PostgreSQL's text form.
    pub(crate) fn rows(&mut self, sql: &str) -> Rows {
        let messages = self.client.simple_query(sql).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
        let mut rows = Vec::new();
        for message in messages {
            if let SimpleQueryMessage::Row(row) = message {
                rows.push((0..row.len()).map(|i| row.get(i).map(str::to_owned)).collect());
            }
        }
        rows
    }

    /// The one cell of a query that yields one.
    pub(crate) fn cell(&mut self, sql: &str) -> String {
        let rows = self.rows(sql);
        assert_eq!(rows.len(), 1, "{sql}");
        rows[0][0].clone().unwrap_or_else(|| "NULL".to_owned())
    }

    /// The error that a statement ends in, or None.
    pub(crate) fn error(&mut self, sql: &str) -> Option<String> {
        let error = self.client.batch_execute(sql).err()?;
        Some(error.as_db_error().map_or_else(|| error.to_string(), |e| e.message().to_owned()))
    }

    /// The ordinary tables with their object ids, but for the ledger.
    pub(crate) fn tables(&mut self) -> Vec<(String, String)> {
        self.rows(
            "SELECT oid::text, relname FROM pg_class WHERE relkind IN ('r', 'p') \
             AND relnamespace = current_schema()::regnamespace AND relname <> 'migrate_ledger' \
             ORDER BY relname",
        )
        .into_iter()
        .map(|mut row| (row.remove(0).unwrap(), row.remove(0).unwrap()))
        .collect()
    }

    /// Columns in order: name and type in its short spelling.
    pub(crate) fn columns(&mut self, oid: &str) -> Vec<(String, String)> {
        self.rows(&format!(
            "SELECT attname, format_type(atttypid, atttypmod) FROM pg_attribute \
             WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
        ))
        .into_iter()
        .map(|mut row| (row.remove(0).unwrap(), short(&row.remove(0).unwrap())))
        .collect()
    }
}

/// All facts about the target and, if there is a report, about the run.
pub(crate) fn facts(target: &mut Target, report: Option<&Value>) -> Vec<String> {
    let mut facts = Vec::new();
    let set = report.map(|report| &report["data_sets"][0]);
    let reported: Vec<&Value> = set.iter().flat_map(|set| list(&set["tables"])).collect();
    let mut matched = 0;
    for (oid, name) in target.tables() {
        let entry = reported.iter().find(|entry| target_name(entry) == name);
        let rows = target.cell(&format!("SELECT count(*) FROM ONLY {}", quoted(&name)));
        let mut line = format!("table {} {rows}", spell(&name));
        if let Some(entry) = entry {
            matched += 1;
            if entry["name"] != name.as_str() {
                line += &format!(" from {}", spell(entry["name"].as_str().unwrap()));
            }
            assert_eq!(entry["rows"].to_string(), rows, "rows reported of {name}");
        } else if report.is_some() {
            line += " unreported";
        }
        facts.push(line);
        let mut own = table_facts(target, &oid, &name);
        if let Some(entry) = entry {
            own.extend(report_facts(entry));
        }
        facts.extend(own.into_iter().map(|fact| format!("{}> {fact}", spell(&name))));
    }
    assert_eq!(matched, reported.len(), "a reported table is not in the target");
    for row in target.rows(
        "SELECT relname FROM pg_class WHERE relkind IN ('v', 'm') \
         AND relnamespace = current_schema()::regnamespace",
    ) {
        facts.push(format!("view {}", spell(row[0].as_deref().unwrap())));
    }
    for entry in set.iter().flat_map(|set| list(&set["left_out"])) {
        let kind = entry["kind"].as_str().unwrap();
        // SQLite's bookkeeping tables are in many databases; whether they are listed does not matter.
        if kind == "internal_table" {
            continue;
        }
        let mut line = format!("left out {kind} {}", spell(entry["name"].as_str().unwrap()));
        // A constraint or default may have no name of its own; its text says which it is.
        if matches!(kind, "check" | "foreign_key" | "default" | "primary_key" | "unique") {
            line += &format!(": {}", one_line(entry["definition"].as_str().unwrap_or_default()));
        }
        if let Some(rows) = entry["rows"].as_u64() {
            line += &format!(" rows {rows}");
        }
        facts.push(line);
    }
    facts
}

/// Everything the report says in words: notes, warnings, and what was left out and why.
pub(crate) fn remarks(report: &Value) -> Vec<String> {
    let set = &report["data_sets"][0];
    let texts = |value: &Value| -> Vec<String> {
        list(value).map(|text| text.as_str().unwrap().to_owned()).collect()
    };
    let mut all = texts(&set["notes"]);
    all.extend(texts(&report["warnings"]));
    all.extend(list(&set["left_out"]).map(Value::to_string));
    all.extend(list(&set["tables"]).map(Value::to_string));
    all
}

/// The name of a reported table in the target.
pub(crate) fn target_name(entry: &Value) -> String {
    let name = entry["target_name"].as_str().or(entry["name"].as_str());
    name.unwrap().to_owned()
}

/// The entries of a JSON list.
pub(crate) fn list(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

/// `name` as an SQL identifier.
pub(crate) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn report_facts(entry: &Value) -> Vec<String> {
    let mut facts = Vec::new();
    // One column may have several kinds of them.
    let mut conversions: BTreeMap<String, u64> = BTreeMap::new();
    for conversion in list(&entry["conversions"]) {
        let column = spell(conversion["column"].as_str().unwrap());
        *conversions.entry(column).or_default() += conversion["count"].as_u64().unwrap();
    }
    facts.extend(conversions.iter().map(|(column, count)| format!("conversion {column} {count}")));
    for rows in list(&entry["rows_left_out"]) {
        facts.push(format!("rows left out {}", rows["count"]));
    }
    facts
}

fn table_facts(target: &mut Target, oid: &str, table: &str) -> Vec<String> {
    let mut facts = Vec::new();
    let mut order = Vec::new();
    let columns = target.rows(&format!(
        "SELECT attname, format_type(atttypid, atttypmod), collname, attnotnull::text, \
         attidentity, attgenerated, pg_get_expr(adbin, adrelid) FROM pg_attribute a \
         LEFT JOIN pg_attrdef d ON adrelid = attrelid AND adnum = attnum \
         LEFT JOIN pg_collation c ON c.oid = attcollation \
         WHERE attrelid = {oid} AND attnum > 0 AND NOT attisdropped ORDER BY attnum"
    ));
    for column in columns {
        let cell = |i: usize| column[i].as_deref().unwrap_or_default();
        let name = spell(cell(0));
        let mut line = format!("column {name} {}", short(cell(1)));
        if !matches!(cell(2), "C" | "") {
            line += &format!(" collate {}", cell(2));
        }
        if cell(3) == "true" {
            line += " not null";
        }
        if cell(4) == "d" {
            line += &format!(" identity {}", next_number(target, table, cell(0)));
        } else if cell(4) == "a" {
            line += " identity always";
        }
        if cell(5) == "s" {
            line += &format!(" generated {}", one_line(cell(6)));
        } else if column[6].is_some() {
            line += &format!(" default {}", default_value(target, cell(6)));
        }
        facts.push(line);
        order.push(name);
    }
    facts.push(format!("order {}", order.join(", ")));
    // NOT NULL (contype n, since PostgreSQL 18) is written with the column.
    for row in target.rows(&format!(
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint \
         WHERE conrelid = {oid} AND contype <> 'n'"
    )) {
        facts.push(format!("constraint {}", one_line(row[0].as_deref().unwrap())));
    }
    for row in target.rows(&format!(
        "SELECT relname, indisunique::text, pg_get_indexdef(indexrelid), indisvalid::text \
         FROM pg_index JOIN pg_class c ON c.oid = indexrelid WHERE indrelid = {oid} \
         AND NOT EXISTS (SELECT FROM pg_constraint WHERE conindid = indexrelid AND contype <> 'f')"
    )) {
        let cell = |i: usize| row[i].as_deref().unwrap();
        assert_eq!(cell(3), "true", "index {} is not valid", cell(0));
        let unique = if cell(1) == "true" { " unique" } else { "" };
        let definition = cell(2).split_once(" USING btree ").unwrap_or(("", cell(2))).1;
        facts.push(format!("index {}{unique} {}", spell(cell(0)), one_line(definition)));
    }
    facts
}

/// The number that an identity column hands out next, without taking it.
fn next_number(target: &mut Target, table: &str, column: &str) -> String {
    let sequence = target.cell(&format!(
        "SELECT pg_get_serial_sequence({}, {})",
        literal(&quoted(table)),
        literal(column)
    ));
    let row = target.rows(&format!("SELECT last_value, is_called FROM {sequence}")).remove(0);
    let last: i64 = row[0].as_deref().unwrap().parse().unwrap();
    match row[1].as_deref() == Some("t") {
        true => last.checked_add(1).map_or_else(|| "end".to_owned(), |next| next.to_string()),
        false => last.to_string(),
    }
}

/// The value of a default, or its expression if the value can change.
fn default_value(target: &mut Target, expression: &str) -> String {
    let volatile = ["now()", "CURRENT_", "clock_timestamp", "random", "nextval"];
    if volatile.iter().any(|word| expression.contains(word)) {
        return one_line(expression);
    }
    let value = target.cell(&format!("SELECT ({expression})::text"));
    spell(&value)
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn one_line(text: &str) -> String {
    text.replace('\n', "\\n")
}

/// A type as `format_type` prints it, in its short spelling.
fn short(name: &str) -> String {
    name.replace("character varying", "varchar")
        .replace("timestamp without time zone", "timestamp")
        .replace("timestamp with time zone", "timestamptz")
        .replace("time without time zone", "time")
}
