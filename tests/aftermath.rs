//! After the run: an application can work with the target.

use crate::harness::{self, Database, server};
use crate::outcome::Target;
use crate::source::Source;
use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;

/// Moves a fixture into a new database.
fn moved(fixture: &str, arguments: &[&str]) -> (Database, Target) {
    moved_source(&Source::of_fixture(fixture), arguments)
}

fn moved_source(source: &Source, arguments: &[&str]) -> (Database, Target) {
    let database = server();
    let output = source.migrate(&database.url, arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let target = Target::open(&database.url);
    (database, target)
}

#[test]
fn an_insert_without_an_id_continues_after_the_source() {
    let (_database, mut target) = moved("identities", &[]);
    for (table, next) in [
        ("plain", "8"),
        ("remembered", "43"),
        ("emptied", "100"),
        ("never", "1"),
        ("never_auto", "1"),
        ("negative", "1"),
        ("lowered", "6"),
    ] {
        let sql = format!("INSERT INTO {table} (x) VALUES ('new') RETURNING id");
        assert_eq!(target.cell(&sql), next, "{table}");
    }
    let full = target.error("INSERT INTO \"full\" (x) VALUES ('new')").unwrap();
    assert!(full.contains("maximum") || full.contains("duplicate"), "{full}");
    assert_eq!(target.error("INSERT INTO plain (id, x) VALUES (1000, 'explicit')"), None);
}

#[test]
fn text_sorts_by_its_bytes_as_it_did() {
    let words = ["b", "B", "a", "É", "z", "é", "Z", "_", "", " ", "ß", "zz", "10", "9", "日"];
    let values: Vec<String> = words.iter().map(|word| format!("('{word}')")).collect();
    let source = Source::of_sql(&format!(
        "CREATE TABLE w (x TEXT, v VARCHAR(5)); INSERT INTO w (x) VALUES {}; UPDATE w SET v = x",
        values.join(",")
    ));
    let (_database, mut target) = moved_source(&source, &[]);
    let copy = source.reading_copy();
    for column in ["x", "v"] {
        let here: String = copy
            .connection
            .query_row(&format!("SELECT group_concat({column}, '|') FROM (SELECT {column} FROM w ORDER BY {column})"), [], |row| row.get(0))
            .unwrap();
        let there =
            target.cell(&format!("SELECT string_agg({column}, '|' ORDER BY {column}) FROM w"));
        assert_eq!(here, there);
    }
}

#[test]
fn keys_without_regard_to_case_still_hold_and_fold_ascii_only() {
    let (_database, mut target) = moved("collations", &[]);
    let error = target.error("INSERT INTO users (email) VALUES ('bob@EXAMPLE.org')");
    assert!(error.unwrap().contains("unique"));
    let error = target.error("INSERT INTO users (email, nick) VALUES ('new1', 'EVA')");
    assert!(error.unwrap().contains("unique"));
    let error = target.error("INSERT INTO users (email, padded) VALUES ('new2', 'x')");
    assert!(error.unwrap().contains("unique"));
    assert!(target.error("INSERT INTO users (email) VALUES (NULL)").is_some());
    assert_eq!(target.error("INSERT INTO users (email) VALUES ('ÈVA@example.org')"), None);
    assert_eq!(target.error("INSERT INTO users (email, plain) VALUES ('new3', 'aBC')"), None);
}

#[test]
fn foreign_keys_are_enforced_and_act() {
    let (_database, mut target) = moved("foreign_keys", &[]);
    assert!(target.error("INSERT INTO line (country, number) VALUES ('de', 99)").is_some());
    assert_eq!(target.error("DELETE FROM account WHERE country = 'de'"), None);
    assert_eq!(target.cell("SELECT count(*) FROM line WHERE id = 1"), "0");
    assert_eq!(
        target.cell("SELECT bool_and(convalidated)::text FROM pg_constraint WHERE contype = 'f'"),
        "true"
    );
}

#[test]
fn an_orphan_is_kept_and_a_new_one_is_refused() {
    let (_database, mut target) = moved("orphans", &[]);
    assert!(target.error("INSERT INTO album (artist) VALUES (12345)").is_some());
    assert_eq!(
        target.cell("SELECT count(*) FROM album WHERE artist NOT IN (SELECT id FROM artist)"),
        "3"
    );
}

#[test]
fn constraints_keep_their_names_and_indexes_theirs() {
    let (_database, mut target) = moved("chinook", &[]);
    let names = target.cell(
        "SELECT string_agg(conname, ' ' ORDER BY conname) FROM pg_constraint WHERE conname LIKE 'PK_%'",
    );
    assert_eq!(
        names,
        "PK_Album PK_Artist PK_Customer PK_Employee PK_Invoice PK_Playlist PK_PlaylistTrack PK_Track"
    );
    let (_database, mut target) = moved("indexes", &[]);
    assert_eq!(target.cell("SELECT conname FROM pg_constraint WHERE conname = 'one_c'"), "one_c");
    let (_database, mut target) = moved("rails", &[]);
    assert_eq!(
        target.cell("SELECT count(*) FROM pg_constraint WHERE conname = 'fk_rails_03de2dc08c'"),
        "1"
    );
}

#[test]
fn the_declared_type_is_kept_in_the_columns_comment() {
    let (_database, mut target) = moved("chinook", &[]);
    let comment = target.cell("SELECT col_description('\"Track\"'::regclass, 6)");
    assert!(comment.contains("NUMERIC(10,2)"), "{comment}");
    let comment = target.cell("SELECT col_description('\"Album\"'::regclass, 2)");
    assert!(comment.contains("NVARCHAR(160)"), "{comment}");
}

#[test]
fn defaults_keep_their_meaning() {
    let (_database, mut target) = moved("defaults", &[]);
    // A moment ahead of UTC, where a clock in the session's zone would show.
    target.rows("SET TimeZone = 'Pacific/Kiritimati'");
    assert_eq!(target.error("INSERT INTO defaults DEFAULT VALUES"), None);
    let sql = "SELECT (abs(extract(epoch FROM created - (now() AT TIME ZONE 'UTC'))) < 60)::text \
               FROM defaults WHERE id = 2";
    assert_eq!(target.cell(sql), "true");
    let text = target.cell("SELECT created_text FROM defaults WHERE id = 2");
    assert_eq!(text.len(), "2024-01-01 00:00:00".len(), "{text}");
    let sql = "SELECT (created = date_trunc('second', created))::text FROM defaults WHERE id = 2";
    assert_eq!(target.cell(sql), "true");
    let sql =
        "SELECT string || double_quoted || null_string || bare_word FROM defaults WHERE id = 2";
    assert_eq!(target.cell(sql), "it'sdouble quotednullpending");
}

#[test]
fn generated_columns_stay_generated() {
    let (_database, mut target) = moved("generated", &[]);
    let sql = "INSERT INTO bills (net, tax) VALUES (10, 2) RETURNING gross || ' ' || doubled";
    assert_eq!(target.cell(sql), "12 20");
}

#[test]
fn tables_have_statistics_and_no_settings_of_ours_left() {
    let (_database, mut target) = moved("chinook", &[]);
    assert_eq!(target.cell("SELECT reltuples::text FROM pg_class WHERE relname = 'Track'"), "503");
    assert_eq!(target.cell("SELECT count(*) FROM pg_class WHERE reloptions IS NOT NULL AND relnamespace = 'public'::regnamespace"), "0");
    assert_eq!(target.cell("SELECT count(*) FROM pg_class WHERE relpersistence <> 'p' AND relnamespace = 'public'::regnamespace"), "0");
}

#[test]
fn epochs_become_timestamps_where_the_user_states_their_unit() {
    let casts = [
        "--cast",
        "epochs.seconds=timestamp:s",
        "--cast",
        "epochs.millis=timestamp:ms",
        "--cast",
        "epochs.julian=timestamp:julian",
    ];
    let (_database, mut target) = moved("epochs", &casts);
    let sql = "SELECT seconds || '|' || millis || '|' || julian FROM epochs WHERE id = 1";
    assert_eq!(target.cell(sql), "2023-11-14 22:13:20|2023-11-14 22:13:20.123|2024-01-01 00:00:00");
    let sql = "SELECT seconds || '|' || millis || '|' || julian FROM epochs WHERE id = 2";
    assert_eq!(target.cell(sql), "1970-01-01 00:00:00|1969-12-31 23:59:59.999|1970-01-01 00:00:00");
}

#[test]
fn rejected_rows_are_in_the_reject_file_with_their_reason() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rejected.db");
    let path = file.to_str().unwrap();
    let source = Source::of_fixture("misfit_text");
    let arguments = ["--on-misfit", "reject", "--reject-file", path];
    let (database, _target) = moved_source(&source, &arguments);

    assert_eq!(std::fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
    let rejected = Connection::open(&file).unwrap();
    let ids: String = rejected
        .query_row(
            "SELECT group_concat(id, ' ') FROM (SELECT id FROM notes ORDER BY id)",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(ids, "10 20 30 40 60 70 80");
    let same = |connection: &Connection| -> String {
        connection
            .query_row("SELECT hex(body) FROM notes WHERE id = 10", [], |row| row.get(0))
            .unwrap()
    };
    assert_eq!(same(&rejected), same(&source.reading_copy().connection));
    let columns: String = rejected
        .query_row("SELECT group_concat(name, ' ') FROM pragma_table_info('notes')", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(columns.contains("id body title clean") && columns.contains("reason"), "{columns}");

    harness::psql(&database.url, "DROP TABLE children, notes");
    let output = source.migrate(&database.url, &arguments);
    assert_eq!(output.status.code(), Some(4), "an existing reject file is refused");
}

#[test]
fn a_stale_log_next_to_a_missing_reject_file_is_refused_and_kept() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("rejected.db");
    let source = Source::of_fixture("misfit_text");
    let database = harness::server();
    for suffix in ["-wal", "-journal"] {
        let log = folder.path().join(format!("rejected.db{suffix}"));
        std::fs::write(&log, "committed rows").unwrap();
        let arguments = ["--on-misfit", "reject", "--reject-file", file.to_str().unwrap()];
        let output = source.migrate(&database.url, &arguments);
        let message = harness::text(&output);
        assert_eq!(output.status.code(), Some(4), "{message}");
        assert!(message.contains(&format!("{} (14 bytes)", log.display())), "{message}");
        assert!(!file.exists());
        assert_eq!(std::fs::read_to_string(&log).unwrap(), "committed rows");
        std::fs::remove_file(&log).unwrap();
    }
}

#[test]
fn a_refusal_names_rows_and_never_contents() {
    let database = server();
    let output = Source::of_fixture("misfit_text").migrate(&database.url, &[]);
    let message = String::from_utf8_lossy(&output.stderr).into_owned()
        + &String::from_utf8_lossy(&output.stdout);
    assert!(!message.contains("secretword"), "{message}");
    assert!(message.contains("hint:"), "{message}");
    assert!(message.to_lowercase().contains("unchanged"), "{message}");
}
