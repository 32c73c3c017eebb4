//! SQLite to PostgreSQL and back: every object returns as it was declared, or is listed.

use super::{Target, back, back_report};
use crate::harness::{Database, psql, server, sqlite3, sqlite3_script, text};
use crate::outcome::list;
use crate::source::Source;
use serde_json::Value;
use std::path::Path;

/// Every property of tables, keys, indexes and foreign keys that SQLite's pragmas show, and the
/// statements of its schema.
fn shape(file: &Path) -> String {
    let mut all = String::new();
    let mut add = |title: &str, sql: &str| {
        all += &format!("{title}\n{}\n", sqlite3(file, sql));
    };
    let names = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' \
                 ORDER BY name";
    for table in sqlite3(file, names).lines() {
        let of = |pragma: &str, columns: &str, order: &str| {
            format!("SELECT {columns} FROM pragma_{pragma}('{table}') ORDER BY {order}")
        };
        add(table, &of("table_xinfo", "*", "cid"));
        add("indexes", &of("index_list", "name, \"unique\", origin, partial", "name"));
        let sql = of("foreign_key_list", "*", "id, seq");
        add("foreign keys", &sql);
        let indexes = of("index_list", "name", "name");
        for index in sqlite3(file, &indexes).lines() {
            let sql = format!("SELECT * FROM pragma_index_xinfo('{index}') ORDER BY seqno");
            add(index, &sql);
        }
    }
    let entries = "SELECT type, name, tbl_name, sql FROM sqlite_schema \
                   WHERE name NOT LIKE 'sqlite_stat%' ORDER BY type, name";
    add("statements", entries);
    all
}

fn listed(report: &Value) -> Vec<String> {
    let entries = list(&report["data_sets"][0]["left_out"]);
    let mut all: Vec<String> = entries
        .map(|entry| {
            format!("{} {}", entry["kind"].as_str().unwrap(), entry["name"].as_str().unwrap())
        })
        .collect();
    all.sort();
    all
}

/// The database of a migrated source.
fn there(source: &Source) -> Database {
    let database = server();
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    database
}

const EVERYTHING: &str = "
    CREATE TABLE parent ( -- a comment
      id INTEGER PRIMARY KEY ON CONFLICT REPLACE AUTOINCREMENT,
      code TEXT NOT NULL ON CONFLICT IGNORE COLLATE NOCASE DEFAULT 'none',
      [odd name] VARCHAR(20) DEFAULT \"double\" CONSTRAINT odd UNIQUE ON CONFLICT FAIL,
      made DATETIME DEFAULT (datetime('now', '+1 day')),
      at TEXT DEFAULT CURRENT_TIMESTAMP,
      n INT DEFAULT -1 CONSTRAINT positive CHECK (n > -5),
      words INT GENERATED ALWAYS AS (length(code) - length(replace(code, ' ', '')) + 1) VIRTUAL,
      stored TEXT AS (upper(code)) STORED,
      UNIQUE (code, n DESC) ON CONFLICT REPLACE,
      CHECK (n <> 3 OR code LIKE 'a%')
    );
    CREATE TABLE child (
      a INT REFERENCES parent ON DELETE SET NULL ON UPDATE CASCADE DEFERRABLE INITIALLY DEFERRED,
      b TEXT CONSTRAINT fk REFERENCES parent ([odd name]) MATCH FULL,
      c INT, d INT,
      PRIMARY KEY (c DESC, d),
      FOREIGN KEY (d) REFERENCES tag (n)
    ) WITHOUT ROWID;
    CREATE TABLE tag (name TEXT COLLATE NOCASE PRIMARY KEY, n INT UNIQUE);
    CREATE TABLE use (tag TEXT REFERENCES tag (name), x TEXT COLLATE RTRIM UNIQUE);
    CREATE TABLE typed (k TEXT PRIMARY KEY, v ANY) STRICT, WITHOUT ROWID;
    CREATE TABLE down (id INTEGER PRIMARY KEY DESC, t TEXT);
    CREATE INDEX child_a ON child (a DESC) WHERE a IS NOT NULL;
    CREATE UNIQUE INDEX parent_low ON parent (lower(code), n COLLATE NOCASE);
    CREATE INDEX parent_nick ON parent (code COLLATE BINARY, at COLLATE NOCASE DESC);
    CREATE INDEX odd_function ON parent (unicode(code));
    CREATE VIEW v (one, two) AS SELECT id, upper(code) FROM parent NOT INDEXED;
    CREATE VIEW w AS SELECT hex(randomblob(id)) AS h, two FROM parent JOIN v ON one = id;
    CREATE TRIGGER tr AFTER UPDATE OF code ON parent WHEN new.n > 0 BEGIN
      DELETE FROM use WHERE tag = old.code; END;
    CREATE TRIGGER io INSTEAD OF INSERT ON v BEGIN INSERT INTO parent (code) VALUES (new.two); END;
    INSERT INTO parent (code, \"odd name\", n) VALUES ('abc', 'x', 1), ('d e', 'y', NULL);
    INSERT INTO tag VALUES ('Red', 1), ('ÉTÉ', 2), ('été', 3);
    INSERT INTO use VALUES ('red', 'x  '), ('RED', 'y');
    INSERT INTO child VALUES (1, 'x', 1, 1), (NULL, NULL, 2, 2);
    INSERT INTO typed VALUES ('a', 1), ('b', 'x');
    INSERT INTO down VALUES (3, 'c'), (1, 'a');
";

#[test]
fn a_schema_with_everything_returns_statement_for_statement() {
    let source = Source::of_sql(EVERYTHING);
    let (database, target) = (there(&source), Target::new());
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(listed(&report), [""; 0], "{report:#}");
    assert_eq!(shape(&target.path), shape(&source.path()));
    assert_eq!(sqlite3(&target.path, "PRAGMA integrity_check"), "ok");
    // Keys and triggers work as before.
    sqlite3_script(
        &target.path,
        "PRAGMA foreign_keys = OFF; INSERT INTO parent (id, code, [odd name]) VALUES (1, 'new', 'z'); INSERT INTO v (two) VALUES ('by trigger'); \
         UPDATE parent SET code = 'gone', n = 1 WHERE code = 'by trigger'",
    );
    assert_eq!(
        sqlite3(
            &target.path,
            "SELECT group_concat(code) FROM (SELECT code FROM parent ORDER BY id)"
        ),
        "new,d e,gone"
    );
    // The new file can take the same way again.
    let again = Source::of_folder(|path| _ = std::fs::copy(&target.path, path).unwrap());
    there(&again);
}

#[test]
fn an_object_that_the_user_changed_in_postgresql_wins_over_its_note() {
    let source = Source::of_sql(EVERYTHING);
    let (database, target) = (there(&source), Target::new());
    psql(
        &database.url,
        "ALTER TABLE parent ALTER n SET DEFAULT 7; ALTER TABLE parent ALTER code DROP DEFAULT; \
         DROP INDEX parent_low; ALTER TABLE parent DROP CONSTRAINT positive; \
         ALTER TABLE child DROP CONSTRAINT fk; ALTER TABLE tag ADD COLUMN extra text; \
         CREATE OR REPLACE VIEW v (one, two) AS SELECT id, code FROM parent; \
         ALTER TABLE parent RENAME made TO done",
    );
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    let of = |name: &str| {
        sqlite3(&target.path, &format!("SELECT sql FROM sqlite_schema WHERE name = '{name}'"))
    };
    let parent = of("parent");
    for part in [
        "DEFAULT 7",
        "\"code\" TEXT COLLATE NOCASE NOT NULL ON CONFLICT IGNORE",
        "PRIMARY KEY ON CONFLICT REPLACE AUTOINCREMENT",
        "UNIQUE (\"code\", \"n\" DESC) ON CONFLICT REPLACE",
        "CONSTRAINT \"odd\" UNIQUE (\"odd name\") ON CONFLICT FAIL",
        "\"done\" DATETIME DEFAULT (datetime ('now', '+1 day'))",
        "CHECK (n <> 3 OR code LIKE 'a%')",
    ] {
        assert!(parent.contains(part), "{part} is not in\n{parent}");
    }
    assert!(!parent.contains("positive"), "{parent}");
    assert!(!of("child").contains("odd name"), "{}", of("child"));
    assert!(of("tag").contains("\"name\" TEXT COLLATE NOCASE"), "{}", of("tag"));
    assert!(of("tag").contains("PRIMARY KEY (\"name\")"), "{}", of("tag"));
    assert!(of("tag").contains("extra"), "{}", of("tag"));
    assert_eq!((of("parent_low"), of("v")), (String::new(), String::new()));
    let lost = listed(&report);
    assert!(lost.contains(&"view v".to_owned()), "{lost:?}");
    assert!(lost.contains(&"trigger io".to_owned()), "{lost:?}");
}

#[test]
fn what_names_a_column_that_was_renamed_in_postgresql_returns_with_its_new_name_or_is_listed() {
    let source = Source::of_sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, \"age\" INT CHECK (\"age\" >= 0), note TEXT \
           CONSTRAINT is_json CHECK (json_valid(\"note\")), CONSTRAINT kept CHECK (json_valid(id)));
         CREATE INDEX t_age ON t (\"age\" DESC); CREATE UNIQUE INDEX t_low ON t (\"age\") WHERE \"age\" > 1;
         CREATE INDEX t_json ON t (json_valid(\"note\"));
         CREATE TRIGGER tr AFTER DELETE ON t WHEN \"age\" > 0 BEGIN SELECT 1; END;
         INSERT INTO t VALUES (1, 2, '[]'), (2, 3, '{}')",
    );
    let (database, target) = (there(&source), Target::new());
    psql(&database.url, "ALTER TABLE t RENAME age TO years; ALTER TABLE t RENAME note TO remark");
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(listed(&report), ["check is_json", "index t_json", "trigger tr"], "{report:#}");
    let entries = "SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    let statements = sqlite3(&target.path, entries);
    for part in
        ["CHECK ((\"years\" >= 0))", "(\"years\" DESC)", "(\"years\") WHERE", "json_valid (id)"]
    {
        assert!(statements.contains(part), "{part} is not in\n{statements}");
    }
    assert!(!statements.contains("\"age\""), "{statements}");
}

#[test]
fn what_cannot_work_in_the_new_file_is_listed_and_the_run_does_not_fail() {
    let source = Source::of_sql(
        "CREATE TABLE note (id INTEGER PRIMARY KEY, title TEXT COLLATE NOCASE UNIQUE, body TEXT);
         CREATE VIRTUAL TABLE note_fts USING fts5(title, content='note', content_rowid='id');
         CREATE TRIGGER note_ai AFTER INSERT ON note BEGIN
           INSERT INTO note_fts(rowid, title) VALUES (new.id, new.title); END;
         CREATE TRIGGER note_ad AFTER DELETE ON note BEGIN SELECT 1; END;
         CREATE VIEW found AS SELECT * FROM note_fts;
         CREATE INDEX note_body ON note (unicode(body));
         INSERT INTO note (id, title, body) VALUES (1, 'a', 'b');",
    );
    let (database, target) = (there(&source), Target::new());
    // A comment is text that any user can write.
    psql(
        &database.url,
        r#"COMMENT ON COLUMN note.body IS '{"sqlite":{"type":"TEXT","default":"1); DROP TABLE note"}}'"#,
    );
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(
        listed(&report),
        ["trigger note_ai", "view found", "virtual_table note_fts"],
        "{report:#}"
    );
    let names = "SELECT group_concat(name) FROM sqlite_schema WHERE type IN ('index', 'trigger')";
    assert_eq!(sqlite3(&target.path, names), "sqlite_autoindex_note_1,note_body,note_ad");
    sqlite3_script(&target.path, "INSERT INTO note (title) VALUES ('c'); DELETE FROM note");
    let strict = back(&database, &target.path, &["--clean", "--strict"]);
    assert_eq!(strict.status.code(), Some(4), "{}", text(&strict));
}

#[test]
fn keys_and_indexes_over_hashes_return_over_their_columns() {
    let wide: String = (0..4000).map(|i: u32| char::from(b'a' + (i * i % 23) as u8)).collect();
    let source = Source::of_sql(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, body TEXT UNIQUE, other TEXT COLLATE NOCASE, b BLOB);
         CREATE UNIQUE INDEX t_other ON t (other, id DESC);
         CREATE UNIQUE INDEX t_b ON t (b) WHERE id > 0;
         INSERT INTO t VALUES (1, '{wide}', '{wide}', CAST('{wide}' AS BLOB)), (2, 'x', 'X', x'00');"
    ));
    let (database, target) = (server(), Target::new());
    let output = source.migrate(&database.url, &["--on-misfit", "widen"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let indexes = psql(&database.url, "SELECT indexdef FROM pg_indexes WHERE tablename = 't'");
    for part in ["md5(body)", "md5(lower(", "sha256(b)) WHERE"] {
        assert!(indexes.contains(part), "{part} is not in\n{indexes}");
    }
    let twice =
        crate::harness::run_psql(&database.url, "INSERT INTO t SELECT 3, 'y', NULL, b FROM t");
    assert!(text(&twice).contains("t_b"), "{}", text(&twice));
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(listed(&report), [""; 0], "{report:#}");
    assert_eq!(shape(&target.path), shape(&source.path()));
}

#[test]
fn a_foreign_key_with_orphans_returns_as_it_was() {
    let source = Source::of_sql(
        "CREATE TABLE p (id INTEGER PRIMARY KEY);
         CREATE TABLE c (id INTEGER PRIMARY KEY, p INT REFERENCES p, name TEXT REFERENCES q (name));
         CREATE TABLE q (name TEXT COLLATE NOCASE UNIQUE);
         INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1, 'A'), (2, 9, 'b'); INSERT INTO q VALUES ('a')",
    );
    let (database, target) = (there(&source), Target::new());
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(shape(&target.path), shape(&source.path()));
    let reasons = report["data_sets"][0]["left_out"].to_string();
    assert!(reasons.contains("1 row has no parent"), "{report:#}");
}

#[test]
fn rows_without_a_parent_are_charged_to_their_own_foreign_key() {
    let source = Source::of_sql(
        "CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE q (id INTEGER PRIMARY KEY);
         CREATE TABLE c ( -- the order matters
           id INTEGER PRIMARY KEY, a BLOB REFERENCES p, b INT REFERENCES q);
         INSERT INTO q VALUES (1); INSERT INTO c VALUES (1, x'00', 1), (2, NULL, 1)",
    );
    let (database, target) = (there(&source), Target::new());
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(shape(&target.path), shape(&source.path()));
    let reasons = report["data_sets"][0]["left_out"].to_string();
    assert!(reasons.contains("1 row has no parent; PostgreSQL does not have"), "{report:#}");
}

#[test]
fn what_needs_an_excluded_table_is_no_loss() {
    let source = Source::of_sql(
        "CREATE TABLE a (id INTEGER PRIMARY KEY); CREATE TABLE b (id INTEGER PRIMARY KEY);
         CREATE VIEW v AS SELECT hex(randomblob(a.id)) FROM a JOIN b;
         CREATE VIEW w AS SELECT * FROM v;
         CREATE TRIGGER tr AFTER DELETE ON a BEGIN DELETE FROM b WHERE id = old.id; END;
         INSERT INTO a VALUES (1); INSERT INTO b VALUES (1)",
    );
    let (database, target) = (there(&source), Target::new());
    let report = back_report(&database, &target.path, &["--exclude", "b", "--strict"], 0);
    assert_eq!(listed(&report), ["table b", "trigger tr", "view v", "view w"], "{report:#}");
}

#[test]
fn a_check_that_postgresql_could_not_have_returns_unless_rows_break_it() {
    let source = Source::of_sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, j TEXT CONSTRAINT is_json CHECK (json_valid(j)), \
           n INT CHECK (n > 0 OR json_valid(n)), CHECK (id > 0)); \
         CREATE VIEW v AS SELECT json_valid(j) FROM t; \
         INSERT INTO t VALUES (1, '[]', 1)",
    );
    let (database, target) = (there(&source), Target::new());
    let report = back_report(&database, &target.path, &[], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(listed(&report), [""; 0], "{report:#}");
    assert_eq!(shape(&target.path), shape(&source.path()));
    psql(&database.url, "INSERT INTO t VALUES (2, 'no JSON', 2)");
    // The view of the old file returns, too.
    let report = back_report(&database, &target.path, &["--clean"], 0);
    assert_eq!(report["data_sets"][0]["verdict"], "match", "{report:#}");
    assert_eq!(listed(&report), ["check is_json"], "{report:#}");
    let sql = sqlite3(&target.path, "SELECT sql FROM sqlite_schema WHERE name = 't'");
    assert!(!sql.contains("is_json"), "{sql}");
    assert!(sql.contains("CHECK (n > 0 OR json_valid (n))"), "{sql}");
    assert_eq!(sqlite3(&target.path, "PRAGMA integrity_check"), "ok");
    back_report(&database, &target.path, &["--verify"], 0);
}
