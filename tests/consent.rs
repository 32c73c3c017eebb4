//! Rows in the target are dropped only if the source has as many, or with consent.

use crate::back::{Target, back, back_report};
use crate::harness::{
    Database, assert_code, assert_says, migrate, migrate_command, psql, server, sqlite3,
    sqlite3_script, text,
};
use crate::source::Source;
use crate::terminal::run_on_terminal;

const SWAPPED: &str = "the source has no rows, but the target has: are --from and --to swapped?";

#[test]
fn an_empty_source_and_a_full_server_are_taken_for_swapped() {
    let all = &[&[][..], &["--drop-all"], &["--clean"]][..];
    for (sql, flags) in [
        ("CREATE TABLE t (a INT)", all),
        ("CREATE TABLE other (a INT)", &[&["--drop-all"]]),
        ("PRAGMA user_version = 1", &[&["--drop-all"]]),
    ] {
        let (source, database) = (Source::of_sql(sql), server());
        psql(&database.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
        for more in flags {
            let output = source.migrate(&database.url, more);
            assert_code(&output, 4);
            assert_says(&output, &[SWAPPED]);
            assert!(!text(&output).contains("hint: to "), "{}", text(&output));
            assert_eq!(psql(&database.url, "SELECT count(*) FROM t"), "2");
        }
        assert_code(&source.migrate(&database.url, &["--drop-all", "--yes"]), 0);
        let created = psql(&database.url, "SELECT to_regclass('t') IS NOT NULL");
        assert_eq!(created == "t", sql.contains(" t "));
    }
}

#[test]
fn an_empty_schema_and_a_full_file_are_taken_for_swapped() {
    let (database, target) = (server(), Target::new());
    psql(&database.url, "CREATE TABLE t (a int)");
    sqlite3_script(&target.path, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2)");
    for more in [&[][..], &["--drop-all"], &["--clean"]] {
        let output = back(&database, &target.path, more);
        assert_code(&output, 4);
        assert_says(&output, &[SWAPPED]);
        assert_eq!(sqlite3(&target.path, "SELECT count(*) FROM t"), "2");
        assert_eq!(target.files(), ["back.db"]);
    }
    back_report(&database, &target.path, &["--drop-all", "--yes"], 0);
    assert_eq!(sqlite3(&target.path, "SELECT count(*) FROM t"), "0");
    assert_eq!(target.files().len(), 2, "the replaced file is kept");
}

#[test]
fn a_source_without_tables_or_rows_is_a_warning() {
    for (sql, missing) in
        [("PRAGMA user_version = 1", "tables"), ("CREATE TABLE t (a INT)", "rows")]
    {
        let (source, database) = (Source::of_sql(sql), server());
        let output = source.migrate(&database.url, &[]);
        assert_code(&output, 0);
        assert_says(&output, &["warnings\n", &format!("app.db: the source has no {missing}")]);
        let target = Target::new();
        let output = back(&database, &target.path, &[]);
        assert_says(&output, &["warnings\n", &format!("back.db: the source has no {missing}")]);
    }
}

#[test]
fn rows_are_dropped_without_consent_only_if_the_source_has_as_many() {
    let source = Source::of_sql(
        "CREATE TABLE t (a INT); INSERT INTO t VALUES (1), (2); CREATE TABLE u (a INT)",
    );
    for (rows, flag) in [(2, "--clean"), (2, "--drop-all"), (3, "--clean"), (3, "--drop-all")] {
        let database = server();
        let sql =
            format!("CREATE TABLE t (a int); INSERT INTO t SELECT generate_series(1, {rows})");
        psql(&database.url, &sql);
        let output = source.migrate(&database.url, &[flag]);
        let counts = format!("table \"t\" ({rows} rows; 2 in the source)");
        let heading = if rows == 3 { ", which needs --yes" } else { "" };
        assert_says(&output, &[&format!("will be dropped first{heading}\n  {counts}")]);
        if rows == 3 {
            assert_code(&output, 4);
            assert_says(&output, &[&format!("{flag} would drop rows or tables"), &counts]);
            assert_says(&output, &[&format!("{flag} --yes\n")]);
            assert_eq!(psql(&database.url, "SELECT count(*) FROM t"), "3");
            assert_code(&source.migrate(&database.url, &[flag, "--yes"]), 0);
        } else {
            assert_code(&output, 0);
        }
        assert_eq!(psql(&database.url, "SELECT count(*) FROM t"), "2");
    }
}

#[test]
fn restart_is_no_consent_for_what_drop_all_drops() {
    let source = Source::of_sql("CREATE TABLE t (a INT); INSERT INTO t VALUES (1)");
    let database = server();
    psql(&database.url, "CREATE TABLE precious (a int); INSERT INTO precious VALUES (1)");
    let output = source.migrate(&database.url, &["--drop-all", "--restart"]);
    assert_code(&output, 4);
    assert_says(&output, &["table \"precious\" (1 row; not in the source)"]);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM precious"), "1");
}

#[test]
fn a_file_is_replaced_without_consent_only_if_the_source_has_as_many_rows() {
    let (database, target) = (server(), Target::new());
    psql(&database.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (1), (2)");
    sqlite3_script(&target.path, "CREATE TABLE t (a); INSERT INTO t VALUES (1), (2), (3)");
    let output = back(&database, &target.path, &["--clean"]);
    assert_code(&output, 4);
    assert_says(&output, &["--clean would drop rows or tables", "(3 rows; 2 in the source)"]);
    assert_eq!(sqlite3(&target.path, "SELECT count(*) FROM t"), "3");
    back_report(&database, &target.path, &["--clean", "--yes"], 0);
    sqlite3_script(&target.path, "DELETE FROM t WHERE a = 1");
    back_report(&database, &target.path, &["--clean"], 0);
    assert_eq!(sqlite3(&target.path, "SELECT count(*) FROM t"), "2");
}

/// A source with three rows in `t` and none in `e`, and a server that has them.
fn copied() -> (Source, Database) {
    let (source, database) = (
        Source::of_sql(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); \
             INSERT INTO t VALUES (1, 'x'), (2, 'y'), (3, 'z'); CREATE TABLE e (a INT)",
        ),
        server(),
    );
    assert_code(&source.migrate(&database.url, &[]), 0);
    (source, database)
}

#[test]
fn rows_that_others_wrote_are_counted_and_restart_drops_them_only_with_consent() {
    let (source, database) = copied();
    let add = "INSERT INTO t SELECT g, 'new' FROM generate_series(4, 103) g";
    let again = "INSERT INTO migrate_ledger \
                 SELECT data_set, table_name, chunk + 9, row_count, digest, detail FROM migrate_ledger WHERE chunk > 0";
    for (sql, rows) in [
        (add, "103 rows, 100 by others"),
        // A transaction wrote several chunks.
        (&format!("{add}; {again}"), "103 rows, 100 by others"),
        ("UPDATE t SET a = 'changed' WHERE id = 2", "3 rows, 1 by others"),
        // The ledger does not show that the rows are ours.
        ("DELETE FROM migrate_ledger WHERE chunk > 0", "3 rows, 3 by others"),
    ] {
        psql(&database.url, sql);
        let refused = source.migrate(&database.url, &["--restart"]);
        assert_code(&refused, 4);
        let counts = format!("table \"t\" ({rows}; 3 in the source)");
        assert_says(&refused, &["--restart would drop rows or tables", &counts]);
        assert_says(&refused, &[" --restart --yes\n"]);
        assert!(!text(&refused).contains("the target has table \"e\""), "{}", text(&refused));
        let kept = rows.split(' ').next().unwrap();
        assert_eq!(psql(&database.url, "SELECT count(*) FROM t"), kept);
        assert_code(&source.migrate(&database.url, &["--restart", "--yes"]), 0);
        let count = "SELECT count(*), count(*) FILTER (WHERE a > 'w') FROM t";
        assert_eq!(psql(&database.url, count), "3|3");
    }
    psql(&database.url, add);
    for (answer, code, left) in [("n\n", 4, "103"), ("y\n", 0, "3")] {
        let from = source.argument();
        let mut command = migrate_command();
        command.args(["database", "--from", &from, "--to", &database.url, "--restart"]);
        let (found, screen) = run_on_terminal(command, answer);
        assert_eq!(found, code, "{screen}");
        // A progress bar may be drawn over the question once it was answered with yes.
        let asked = screen.contains("100 by others; 3 in the source)? [y/N]");
        assert!(asked || code == 0, "{screen}");
        assert_eq!(psql(&database.url, "SELECT count(*) FROM t"), left);
    }
    psql(&database.url, add);
    for flag in ["--clean", "--drop-all"] {
        let refused = source.migrate(&database.url, &[flag]);
        assert_code(&refused, 4);
        assert_says(&refused, &["(103 rows, 100 by others; 3 in the source)"]);
    }
}

#[test]
fn rows_that_the_ledger_shows_to_be_our_own_are_dropped_without_consent() {
    let (source, database) = copied();
    // Frozen rows keep their transaction.
    psql(&database.url, "VACUUM FREEZE t");
    let ours = "SELECT count(*) FROM t JOIN migrate_ledger l \
                ON l.chunk > 0 AND t.xmin = l.detail::xid8::xid";
    assert_eq!(psql(&database.url, ours), "3", "the ledger keeps the transactions");
    let fewer = Source::of_sql("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    for (source, flag) in [(&source, "--restart"), (&fewer, "--restart"), (&fewer, "--clean")] {
        assert_code(&source.migrate(&database.url, &[flag]), 0);
    }
}

#[test]
fn verified_rows_that_the_source_does_not_have_are_dropped_only_with_consent() {
    let fewer = "CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)";
    let other = "CREATE TABLE other (a INT); INSERT INTO other VALUES (1)";
    for (sql, flag, counts) in [
        (fewer, "--clean", "table \"t\" (3 rows; 1 in the source)"),
        (fewer, "--drop-all", "table \"t\" (3 rows; 1 in the source)"),
        (other, "--drop-all", "table \"t\" (3 rows; not in the source)"),
    ] {
        let (_source, database) = copied();
        let other = Source::of_sql(sql);
        let refused = other.migrate(&database.url, &[flag]);
        assert_code(&refused, 4);
        assert_says(&refused, &[&format!("{flag} would drop rows or tables"), counts]);
        assert_eq!(psql(&database.url, "SELECT count(*) FROM t"), "3");
        assert_code(&other.migrate(&database.url, &[flag, "--yes"]), 0);
    }
}

#[test]
fn a_verdict_ends_where_another_data_set_replaces_one_of_its_tables() {
    let (folder, database) = (tempfile::tempdir().unwrap(), server());
    let run = |name: &str, tables: &[&str], more: &[&str]| {
        let path = folder.path().join(name);
        if !path.exists() {
            let sql =
                tables.iter().map(|t| format!("CREATE TABLE {t} (a); INSERT INTO {t} VALUES (1);"));
            sqlite3_script(&path, &sql.collect::<String>());
        }
        let from = path.to_str().unwrap();
        migrate([&["database", "--from", from, "--to", &database.url], more].concat())
    };
    assert_code(&run("a.db", &["t", "u"], &[]), 0);
    assert_code(&run("b.db", &["t"], &["--clean"]), 0);
    let states = "SELECT string_agg(data_set || ' ' || (detail::json ->> 'state'), ', ' ORDER BY data_set) \
                  FROM migrate_ledger WHERE chunk = -1";
    assert_eq!(psql(&database.url, states), "a.db differs, b.db verified");
    let refused = run("a.db", &[], &[]);
    assert_code(&refused, 4);
    assert_says(&refused, &["is not empty", "it differs from the source"]);
    assert_code(&run("c.db", &["t", "u"], &["--clean"]), 0);
    assert_eq!(psql(&database.url, states), "c.db verified");
}
