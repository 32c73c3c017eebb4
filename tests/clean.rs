//! `--clean` and `--drop-all`: what a run drops, and what it leaves.

use crate::back::{Target, back, back_report};
use crate::harness::{
    Database, assert_code, assert_says, psql, server, sqlite3, sqlite3_script, text,
};
use crate::source::Source;

/// A target with rows in the tables `users`, `audit` and `theirs`.
fn occupied() -> Database {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE users (id bigserial PRIMARY KEY, name text); INSERT INTO users (name) VALUES ('x'); \
         CREATE TABLE audit (x int); INSERT INTO audit VALUES (1), (2); \
         CREATE TABLE theirs (x int); INSERT INTO theirs VALUES (1), (2), (3)",
    );
    database
}

fn source() -> Source {
    Source::of_sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT); \
         INSERT INTO users VALUES (1, 'ada'), (2, 'grace'); \
         CREATE TABLE audit (x INT); INSERT INTO audit VALUES (5), (6), (7)",
    )
}

/// The rows of `users`, `audit` and `theirs`.
fn rows(database: &Database) -> String {
    let count = |table| format!("(SELECT count(*) FROM {table})");
    psql(&database.url, &format!("SELECT {}", ["users", "audit", "theirs"].map(count).join(", ")))
}

fn rows_of(database: &Database, table: &str) -> String {
    psql(&database.url, &format!("SELECT count(*) FROM {table}"))
}

#[test]
fn clean_drops_only_the_tables_that_the_run_creates_again() {
    for (more, expected) in [
        (&["--clean"][..], "2|3|3"),
        (&["--clean", "--tables", "users"], "2|2|3"),
        (&["--clean", "--exclude", "audit"], "2|2|3"),
    ] {
        let database = occupied();
        let output = source().migrate(&database.url, more);
        assert_code(&output, 0);
        assert_says(&output, &["will be dropped first\n", "table \"users\""]);
        assert!(!text(&output).contains("not in the source"), "{}", text(&output));
        assert_eq!(rows(&database), expected, "{more:?}");
    }
}

#[test]
fn drop_all_with_a_selection_of_tables_is_a_usage_error_that_names_clean() {
    for selection in [["--tables", "users"], ["--exclude", "audit"]] {
        for more in [&[][..], &["--yes"]] {
            let database = occupied();
            let output =
                source().migrate(&database.url, &[&selection[..], &["--drop-all"], more].concat());
            assert_code(&output, 2);
            assert_says(&output, &["--drop-all cannot be used with --tables or --exclude"]);
            let yes = more.iter().map(|flag| format!(" {flag}")).collect::<String>();
            let flags = format!(" {}{yes} --clean\n", selection.join(" "));
            assert_says(&output, &["to drop only what the run creates again, run: ", &flags]);
            assert_eq!(rows(&database), "1|2|3");
        }
    }
    let both = source().migrate("postgres://h/d", &["--clean", "--drop-all"]);
    assert_code(&both, 2);
}

#[test]
fn clean_never_drops_an_object_of_another_kind_than_the_one_that_it_creates() {
    for (object, sql) in [
        ("sequence", "CREATE SEQUENCE users"),
        ("view", "CREATE VIEW users AS SELECT 1 AS x"),
        ("materialized view", "CREATE MATERIALIZED VIEW users AS SELECT 1 AS x"),
        ("type", "CREATE TYPE users AS ENUM ('a')"),
    ] {
        let database = server();
        psql(&database.url, sql);
        for more in [&[][..], &["--clean"], &["--clean", "--yes"]] {
            let output = source().migrate(&database.url, more);
            assert_code(&output, 4);
            assert_says(&output, &["is not empty", &format!("rename or drop {object} \"users\"")]);
        }
        // The hint is followed.
        psql(&database.url, &format!("DROP {object} users"));
        assert_code(&source().migrate(&database.url, &[]), 0);
    }
}

#[test]
fn a_restart_keeps_a_complete_table_that_is_excluded_now() {
    let (source, database) = (source(), server());
    assert_code(&source.migrate(&database.url, &[]), 0);
    psql(&database.url, "INSERT INTO audit VALUES (8)");
    for more in [&[][..], &["--clean"]] {
        let restart = [&["--restart", "--exclude", "audit"], more].concat();
        assert_code(&source.migrate(&database.url, &restart), 0);
        assert_eq!(psql(&database.url, "SELECT sum(x) FROM audit"), "26", "{more:?}");
    }
}

#[test]
fn a_table_that_replaced_the_one_of_an_earlier_run_is_named_and_restart_is_not_suggested() {
    let (source, database) = (source(), server());
    assert_code(&source.migrate(&database.url, &[]), 0);
    let replace = "ALTER TABLE users RENAME TO old; CREATE TABLE users AS SELECT * FROM old";
    psql(&database.url, replace);
    let output = source.migrate(&database.url, &["--restart"]);
    assert_code(&output, 4);
    assert_says(&output, &["table \"users\" is not the one that an earlier run created"]);
    assert!(!text(&output).contains("to drop what that run created"), "{}", text(&output));
    assert_code(&source.migrate(&database.url, &["--restart", "--clean"]), 0);
    assert_eq!(rows_of(&database, "old"), "2");
}

#[test]
fn tables_can_be_copied_one_at_a_time() {
    let (source, database) = (source(), server());
    assert_code(&source.migrate(&database.url, &["--tables", "users"]), 0);
    psql(&database.url, "INSERT INTO users VALUES (9, 'by the application')");
    assert_code(&source.migrate(&database.url, &["--tables", "audit"]), 0);
    assert_eq!(
        psql(&database.url, "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM audit)"),
        "3|3"
    );
    let again = source.migrate(&database.url, &[]);
    assert_code(&again, 4);
    assert_says(
        &again,
        &["an earlier run with another selection of tables copied and verified it"],
    );
}

#[test]
fn a_pattern_of_exclude_that_matches_nothing_is_an_error() {
    let database = occupied();
    for pattern in ["audti", "AUDIT", "public.audit", "users,audit", ""] {
        let output = source().migrate(&database.url, &["--clean", "--exclude", pattern]);
        assert_code(&output, 2);
        assert_says(&output, &[&format!("--exclude {pattern} matches no table or view")]);
    }
    assert_eq!(rows(&database), "1|2|3");
}

#[test]
fn clean_drops_no_partition_of_another_schema() {
    let database = server();
    psql(
        &database.url,
        "CREATE SCHEMA arch; CREATE TABLE users (id int, n text) PARTITION BY RANGE (id); \
         CREATE TABLE users_1 PARTITION OF users FOR VALUES FROM (0) TO (10); \
         CREATE TABLE arch.users_2 PARTITION OF users FOR VALUES FROM (10) TO (20); \
         INSERT INTO users VALUES (1, 'p'), (12, 'q')",
    );
    for flag in ["--clean", "--drop-all"] {
        let output = source().migrate(&database.url, &[flag, "--yes"]);
        assert_code(&output, 4);
        let way = "ALTER TABLE public.users DETACH PARTITION arch.users_2";
        assert_says(&output, &["would drop partitions that are not in schema \"public\"", way]);
    }
    psql(&database.url, "ALTER TABLE public.users DETACH PARTITION arch.users_2");
    assert_code(&source().migrate(&database.url, &["--clean", "--yes"]), 0);
    assert_eq!(psql(&database.url, "SELECT id FROM arch.users_2"), "12");
}

#[test]
fn clean_keeps_a_view_whose_namesake_in_the_source_cannot_be_migrated() {
    let source = Source::of_sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY); INSERT INTO users VALUES (1); \
         CREATE VIEW report AS SELECT julianday('now') AS day",
    );
    let database = server();
    psql(&database.url, "CREATE TABLE users (id int); CREATE VIEW report AS SELECT 7 AS day");
    assert_code(&source.migrate(&database.url, &[]), 4);
    assert_code(&source.migrate(&database.url, &["--clean"]), 0);
    assert_eq!(psql(&database.url, "SELECT day, (SELECT count(*) FROM users) FROM report"), "7|1");
}

#[test]
fn clean_drops_the_partitions_of_a_table_with_it() {
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE users (id bigserial, name text) PARTITION BY RANGE (id); \
         CREATE TABLE audit PARTITION OF users DEFAULT PARTITION BY RANGE (id); \
         CREATE TABLE u2 PARTITION OF audit DEFAULT; CREATE INDEX ON users (name); \
         INSERT INTO users VALUES (1, 'x')",
    );
    assert_code(&source().migrate(&database.url, &["--clean"]), 0);
    assert_eq!(
        psql(
            &database.url,
            "SELECT (SELECT count(*) FROM users), (SELECT count(*) FROM audit), to_regclass('u2') IS NULL"
        ),
        "2|3|t"
    );
    // A partition is not dropped without its table.
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE parent (id int) PARTITION BY RANGE (id); \
         CREATE TABLE users PARTITION OF parent DEFAULT; INSERT INTO parent VALUES (1)",
    );
    let output = source().migrate(&database.url, &["--clean"]);
    assert_code(&output, 4);
    assert_says(&output, &["rename or drop table \"users\""]);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM parent"), "1");
}

#[test]
fn clean_drops_nothing_that_a_remaining_table_or_view_depends_on() {
    for (object, sql) in [
        ("orders", "CREATE TABLE orders (u bigint REFERENCES users (id))"),
        ("names", "CREATE VIEW names AS SELECT name FROM users"),
    ] {
        let database = occupied();
        psql(&database.url, sql);
        let output = source().migrate(&database.url, &["--clean", "--yes"]);
        assert_code(&output, 4);
        assert_says(&output, &["another object depends on it", object]);
        assert_eq!(rows(&database), "1|2|3");
    }
}

#[test]
fn clean_starts_from_scratch_and_leaves_other_tables() {
    let (database, source) = (server(), source());
    assert_code(&source.migrate(&database.url, &["--no-verify"]), 0);
    psql(&database.url, "CREATE TABLE theirs (x int); INSERT INTO theirs VALUES (1), (2), (3)");
    psql(&database.url, "DELETE FROM users");
    assert_code(&source.migrate(&database.url, &["--clean"]), 0);
    assert_eq!(rows(&database), "2|3|3");
    // A half-loaded data set that cannot be resumed, and one that is complete.
    let half = "UPDATE migrate_ledger SET detail = replace(detail, '\"verified\"', '\"copying\"')";
    for sql in [&format!("{half}; TRUNCATE users")[..], "SELECT 1"] {
        psql(&database.url, sql);
        assert_code(&source.migrate(&database.url, &["--clean"]), 0);
        assert_eq!(rows(&database), "2|3|3");
    }
}

#[test]
fn a_plan_with_clean_lists_what_would_be_dropped() {
    let (database, source) = (occupied(), source());
    let from = source.argument();
    let plan = ["plan", "--from", &from, "--to", &database.url, "--exclude", "audit", "--clean"];
    let output = crate::harness::migrate(plan);
    assert_code(&output, 0);
    assert_says(&output, &["will be dropped first\n  table \"users\""]);
    assert_says(&output, &["unchanged in the target schema: table \"audit\", table \"theirs\""]);
    assert_eq!(rows(&database), "1|2|3");
}

#[test]
fn clean_replaces_a_sqlite_file_only_if_it_holds_nothing_else() {
    let database = server();
    psql(&database.url, "CREATE TABLE t (a int); INSERT INTO t VALUES (1)");
    let target = Target::new();
    sqlite3_script(&target.path, "CREATE TABLE T (old)");
    let output = back(&database, &target.path, &[]);
    assert_code(&output, 4);
    assert_says(&output, &["is not empty", "--clean\n"]);
    back_report(&database, &target.path, &["--clean"], 0);
    assert_eq!(sqlite3(&target.path, "SELECT a FROM t"), "1");
    for other in ["CREATE TABLE u (x); INSERT INTO u VALUES (7)", "CREATE VIEW u AS SELECT 7"] {
        let target = Target::new();
        sqlite3_script(&target.path, &format!("CREATE TABLE t (old); {other}"));
        for more in [&[][..], &["--clean"], &["--clean", "--yes"]] {
            let output = back(&database, &target.path, more);
            assert_code(&output, 4);
            assert_says(&output, &["\"u\", which this run does not create again"]);
            assert!(!text(&output).contains("hint: to "), "{}", text(&output));
            assert_eq!(sqlite3(&target.path, "SELECT * FROM u"), "7");
        }
    }
}

#[test]
fn a_file_with_a_view_alone_is_not_replaced_silently() {
    let database = server();
    psql(&database.url, "CREATE TABLE t (a int)");
    let target = Target::new();
    sqlite3_script(&target.path, "CREATE VIEW v AS SELECT 7");
    let output = back(&database, &target.path, &[]);
    assert_code(&output, 4);
    assert_says(&output, &["it has view \"v\""]);
    assert_eq!(sqlite3(&target.path, "SELECT * FROM v"), "7");
}
