//! Sources: small databases of random content, with every kind of table key.

use crate::Outcome;
use fastrand::Rng;
use rusqlite::{Connection, params};
use std::path::{Path, PathBuf};

/// A table, and the expressions that print its rows as one text in each database.
pub struct TableText {
    pub name: &'static str,
    pub sqlite: &'static str,
    pub postgres: &'static str,
}

pub const TABLES: [TableText; 5] = [
    TableText {
        name: "event",
        sqlite: "id || '|' || what || '|' || iif(body IS NULL, '-', lower(hex(body))) || '|' || coalesce(n, '-')",
        postgres: "id || '|' || what || '|' || coalesce(encode(body, 'hex'), '-') || '|' || coalesce(n::text, '-')",
    },
    TableText { name: "tag", sqlite: "name || '|' || weight", postgres: "name || '|' || weight" },
    TableText { name: "loose", sqlite: "a || '|' || b", postgres: "a || '|' || b" },
    TableText {
        name: "unaddressed",
        sqlite: "rowid || '|' || oid || '|' || _rowid_",
        postgres: "rowid || '|' || oid || '|' || _rowid_",
    },
    TableText {
        name: "note",
        sqlite: "id || '|' || event || '|' || t",
        postgres: "id || '|' || event || '|' || t",
    },
];

const SCHEMA: &str = "
    CREATE TABLE event (id INTEGER PRIMARY KEY, what TEXT NOT NULL UNIQUE, body BLOB, n INTEGER);
    CREATE TABLE tag (name TEXT PRIMARY KEY, weight INTEGER NOT NULL) WITHOUT ROWID;
    CREATE TABLE loose (a INTEGER NOT NULL, b TEXT NOT NULL);
    CREATE TABLE unaddressed (rowid TEXT NOT NULL, oid TEXT NOT NULL, _rowid_ TEXT NOT NULL);
    CREATE TABLE note (id INTEGER PRIMARY KEY, event INTEGER NOT NULL REFERENCES event (id), t TEXT NOT NULL);
    CREATE INDEX event_n ON event (n);
    CREATE INDEX event_body ON event (body) WHERE n > 500;
    CREATE INDEX loose_b ON loose (b, a);
    CREATE INDEX note_event ON note (event);
    CREATE VIEW noted AS SELECT e.id, n.t FROM event e JOIN note n ON n.event = e.id;";

/// The number of indexes in the target: those above, the primary keys of `event`, `note` and `tag`, and the
/// unique one.
pub const INDEXES: i64 = 8;
/// The number of constraints in the target: three primary keys, a unique and a foreign key.
pub const CONSTRAINTS: i64 = 5;

/// Creates a source in `folder`.
pub fn create(folder: &Path, random: &mut Rng, small: bool) -> Outcome<PathBuf> {
    let path = folder.join("app.db");
    let mut connection = Connection::open(&path)?;
    if random.bool() {
        connection.pragma_update(None, "journal_mode", "wal")?;
    }
    connection.execute_batch(SCHEMA)?;
    let rows = if small { random.i64(2_000..3_000) } else { random.i64(3_000..30_000) };
    let transaction = connection.transaction()?;
    {
        let mut event = transaction.prepare("INSERT INTO event VALUES (?1, ?2, ?3, ?4)")?;
        let mut tag = transaction.prepare("INSERT INTO tag VALUES (?1, ?2)")?;
        let mut loose = transaction.prepare("INSERT INTO loose VALUES (?1, ?2)")?;
        let mut unaddressed = transaction.prepare("INSERT INTO unaddressed VALUES (?1, ?2, ?3)")?;
        let mut note = transaction.prepare("INSERT INTO note VALUES (?1, ?2, ?3)")?;
        for row in 1..=rows {
            let body: Option<Vec<u8>> = (random.u8(..) > 9).then(|| bytes(random, 700));
            let n = (random.u8(..) > 9).then(|| random.i64(-1000..1000));
            event.execute(params![row * 3, format!("event {row}"), body, n])?;
            if row % 3 == 0 {
                tag.execute(params![format!("{:x}-{row}", random.u64(..)), random.i64(..)])?;
                // Some of these rows are equal.
                loose.execute(params![random.i64(..50), word(random)])?;
                note.execute(params![row, random.i64(1..=row) * 3, word(random)])?;
            }
            if row % 5 == 0 {
                unaddressed.execute(params![word(random), word(random), "same"])?;
            }
        }
    }
    transaction.commit()?;
    connection.close().map_err(|(_, error)| error)?;
    Ok(path)
}

fn bytes(random: &mut Rng, max: usize) -> Vec<u8> {
    let mut bytes = vec![0; random.usize(..max)];
    random.fill(&mut bytes);
    bytes
}

fn word(random: &mut Rng) -> String {
    (0..random.usize(1..40)).map(|_| random.alphanumeric()).collect()
}
