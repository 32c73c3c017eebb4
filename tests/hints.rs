//! The commands that a refusal suggests.

use crate::harness::{psql, sqlite3_script, text};
use crate::snapshots::{BACK, DATABASE, MISFIT, SOURCE, Scenario, with};
use std::cell::RefCell;
use std::fs::File;
use std::process::Command;

/// The commands of the hints "to ..., run: ...".
fn suggested(errors: &str) -> Vec<String> {
    let hints = errors.lines().filter(|line| line.starts_with("hint: to "));
    hints.filter_map(|line| line.split_once(", run: ")).map(|(_, line)| line.to_owned()).collect()
}

/// Runs `arguments`, which are refused, and then each command that the refusal suggests, each in a
/// new scenario. They end with `codes`: none is refused again.
fn follow(sql: &str, arguments: &[&str], codes: &[i32], prepare: &dyn Fn(&Scenario)) {
    follow_error(4, sql, arguments, codes, prepare);
}

fn follow_error(
    code: i32,
    sql: &str,
    arguments: &[&str],
    codes: &[i32],
    prepare: &dyn Fn(&Scenario),
) {
    let refused = || {
        let scenario = Scenario::new(sql);
        prepare(&scenario);
        let output = scenario.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", text(&output));
        let commands = suggested(&String::from_utf8(output.stderr).unwrap());
        (scenario, commands)
    };
    let (_, first) = refused();
    assert_eq!(first.len(), codes.len(), "{first:?}");
    for (number, code) in codes.iter().enumerate() {
        let (scenario, commands) = refused();
        let mut shell = Command::new("bash");
        shell.args(["-c", &commands[number]]).current_dir(scenario.folder.path());
        let output = shell.output().unwrap();
        assert_eq!(output.status.code(), Some(*code), "{}: {}", commands[number], text(&output));
    }
}

#[test]
fn a_command_that_a_refused_plan_of_the_source_suggests_is_not_refused_again() {
    let nothing = |_: &Scenario| {};
    follow(MISFIT, &DATABASE, &[0, 0, 0], &nothing);
    follow(SOURCE, &with(&DATABASE, &["--exact"]), &[0], &nothing);
    follow(SOURCE, &with(&DATABASE, &["--strict"]), &[0], &nothing);
    let odd_name = MISFIT.replace("notes", "\"a [b]*'c\"");
    follow(&odd_name, &with(&DATABASE, &["--on-misfit", "refuse"]), &[0, 0, 0], &nothing);
    let columns: Vec<String> = (0..1601).map(|number| format!("c{number}")).collect();
    let wide = format!("CREATE TABLE wide ({}); {SOURCE}", columns.join(", "));
    follow(&wide, &DATABASE, &[0], &nothing);
    follow(&wide, &with(&DATABASE, &["--on-misfit", "widen"]), &[0], &nothing);
    let wide_key = "CREATE TABLE k (t TEXT PRIMARY KEY); \
        INSERT INTO k SELECT group_concat(hex(randomblob(50)), '') FROM \
        (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT i FROM n)";
    follow(wide_key, &DATABASE, &[0, 0], &nothing);
    let reject = with(&DATABASE, &["--on-misfit", "reject", "--reject-file", "rejects.db"]);
    follow(wide_key, &reject, &[0, 0], &nothing);
    let wide_row = format!(
        "CREATE TABLE w (id INTEGER PRIMARY KEY, {}); INSERT INTO w (id) VALUES (1); \
         INSERT INTO w VALUES (2, {}); {SOURCE}",
        columns[..1100].join(", "),
        vec!["9e15"; 1100].join(", ")
    );
    // --on-misfit widen does not make the row shorter.
    follow(&wide_row, &DATABASE, &[0, 0], &nothing);
    follow(&wide_row, &with(&DATABASE, &["--on-misfit", "widen"]), &[0, 0], &nothing);
    follow("CREATE TABLE migrate_ledger (x)", &DATABASE, &[0], &nothing);
}

#[test]
fn a_command_that_a_refused_target_suggests_is_not_refused_again() {
    let occupied =
        |it: &Scenario| it.sql("CREATE TABLE users (x int); INSERT INTO users VALUES (1)");
    follow(SOURCE, &DATABASE, &[0], &occupied);
    let lost = |it: &Scenario| it.sql("CREATE TABLE pets (x int)");
    follow(SOURCE, &with(&DATABASE, &["--drop-all"]), &[0], &lost);
    let changed = |it: &Scenario| {
        it.run(&DATABASE, 0);
        let insert = "INSERT INTO users (name) VALUES ('new')";
        sqlite3_script(&it.folder.path().join("app.db"), insert);
    };
    // A usage error has no remedy: the same flag would be wrong again.
    let output = {
        let it = Scenario::new(SOURCE);
        it.run(&DATABASE, 0);
        it.command(&with(&DATABASE, &["--cast", "users.nothing=text"])).output().unwrap()
    };
    assert_eq!(output.status.code(), Some(2), "{}", text(&output));
    assert!(!text(&output).contains("run: "), "{}", text(&output));
    // The comparison finds the new row; the other two load it.
    follow(SOURCE, &DATABASE, &[3, 0, 0], &changed);
    // --verify conflicts with both flags.
    follow(SOURCE, &with(&DATABASE, &["--no-verify", "--create-database"]), &[3, 0, 0], &changed);
    let existing_file = |it: &Scenario| {
        it.run(&DATABASE, 0);
        sqlite3_script(&it.folder.path().join("back.db"), "CREATE TABLE users (x)");
    };
    follow(SOURCE, &BACK, &[0], &existing_file);
}

#[test]
fn a_suggested_selection_of_tables_has_clean_in_place_of_drop_all() {
    let others = |it: &Scenario| it.sql("CREATE TABLE notes (x int)");
    follow(MISFIT, &with(&DATABASE, &["--drop-all"]), &[0, 0, 0], &others);
    // A file that has the excluded table cannot be replaced without it.
    let bare = |it: &Scenario| {
        it.sql("CREATE TABLE bare (); CREATE TABLE t (a int)");
        let sql = "CREATE TABLE bare (a); CREATE TABLE t (a)";
        sqlite3_script(&it.folder.path().join("back.db"), sql);
    };
    follow(SOURCE, &with(&BACK, &["--drop-all"]), &[], &bare);
}

#[test]
fn a_missing_database_is_created_by_the_suggested_command_if_it_is_the_target() {
    let missing = |it: &Scenario| {
        let name = &it.database.name;
        psql(&it.database.url.replace(name, "postgres"), &format!("DROP DATABASE {name}"));
    };
    follow_error(1, SOURCE, &DATABASE, &[0], &missing);
    // A comparison creates nothing.
    follow_error(1, SOURCE, &with(&DATABASE, &["--verify"]), &[], &missing);
    follow_error(1, SOURCE, &BACK, &[], &missing);
}

#[test]
fn a_source_in_use_is_migrated_by_the_suggested_command_if_it_does_not_change() {
    let users = RefCell::new(Vec::new());
    let in_use = |it: &Scenario| {
        let file = File::open(it.folder.path().join("app.db")).unwrap();
        users.borrow_mut().push(Command::new("sleep").arg("60").stdin(file).spawn().unwrap());
    };
    follow(SOURCE, &DATABASE, &[0], &in_use);
    for mut user in users.into_inner() {
        user.kill().and_then(|()| user.wait()).unwrap();
    }
}

#[test]
fn a_plan_suggests_only_its_own_flags() {
    let occupied = |it: &Scenario| {
        it.run(&DATABASE, 0);
        let insert = "INSERT INTO users (name) VALUES ('new')";
        sqlite3_script(&it.folder.path().join("app.db"), insert);
    };
    // --restart and --clean, not --verify.
    follow(SOURCE, &with(&["plan"], &DATABASE[1..]), &[0, 0], &occupied);
}

#[test]
fn a_suggested_exclusion_works_with_casts_and_odd_names_and_is_missing_if_nothing_would_be_left() {
    let nothing = |_: &Scenario| {};
    let cast = with(&DATABASE, &["--cast", "notes.text=text"]);
    follow(MISFIT, &cast, &[0, 0, 0], &nothing);
    let odd_name = MISFIT.replace("notes", "\"back\\slash\"");
    follow(&odd_name, &DATABASE, &[0, 0, 0], &nothing);
    // Widening and skipping remain.
    follow(MISFIT, &with(&DATABASE, &["--tables", "notes"]), &[0, 0], &nothing);
    let output = Scenario::new(SOURCE)
        .command(&with(&DATABASE, &["--exclude", "users", "--cast", "user.id=text"]))
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(2), "a misspelled name: {}", text(&output));
}

#[test]
fn a_way_out_of_a_key_and_a_row_that_are_both_too_wide_is_suggested_with_each_flag() {
    let columns: Vec<String> = (0..1200).map(|number| format!("c{number}")).collect();
    let both = format!(
        "CREATE TABLE k (t TEXT PRIMARY KEY); \
         INSERT INTO k SELECT group_concat(hex(randomblob(50)), '') FROM \
         (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT i FROM n); \
         CREATE TABLE w (id INTEGER PRIMARY KEY, {}); INSERT INTO w VALUES (2, {});",
        columns.join(", "),
        vec!["9e15"; 1200].join(", ")
    );
    let nothing = |_: &Scenario| {};
    let reject = ["--on-misfit", "reject", "--reject-file", "rejects.db"];
    for more in [&[][..], &["--on-misfit", "widen"], &reject] {
        follow(&both, &with(&DATABASE, more), &[0, 0], &nothing);
    }
}

#[test]
fn a_table_that_was_renamed_in_the_target_keeps_its_sequence_and_its_indexes() {
    let it = Scenario::new(
        "CREATE TABLE audit (id INTEGER PRIMARY KEY, at TEXT UNIQUE); INSERT INTO audit VALUES (1, 'x')",
    );
    it.run(&DATABASE, 0);
    it.sql("ALTER TABLE audit RENAME TO audit_keep");
    it.run(&with(&DATABASE, &["--restart"]), 0);
    it.sql("INSERT INTO audit (at) VALUES ('y'); INSERT INTO audit_keep (at) VALUES ('z')");
    let rows = "SELECT (SELECT count(*) FROM audit) || ' ' || (SELECT count(*) FROM audit_keep)";
    assert_eq!(psql(&it.database.url, rows), "2 2");
}

#[test]
fn an_output_does_not_overwrite_another_database() {
    let it = Scenario::new(SOURCE);
    let other = it.folder.path().join("other.db");
    sqlite3_script(&other, "CREATE TABLE t (a)");
    let before = std::fs::read(&other).unwrap();
    it.run(&with(&DATABASE, &["--json", "other.db"]), 4);
    let plan = with(&["plan"], &DATABASE[1..]);
    it.run(&with(&plan, &["--json", "other.db"]), 4);
    it.run(&with(&plan, &["--write-casts", "other.db"]), 4);
    assert_eq!(std::fs::read(&other).unwrap(), before);
    std::fs::write(&other, "{}").unwrap();
    it.run(&with(&DATABASE, &["--json", "other.db"]), 0);
}

#[test]
fn tables_that_the_run_excluded_are_not_missing_in_a_later_comparison() {
    let it = Scenario::new(SOURCE);
    it.run(&with(&DATABASE, &["--exclude", "visits"]), 0);
    let output = it.command(&with(&DATABASE, &["--verify"])).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert!(text(&output).contains("1 table excluded"), "{}", text(&output));
    // The user asks for it, or had it copied.
    it.run(&with(&DATABASE, &["--verify", "--tables", "visits"]), 3);
    it.run(&with(&DATABASE, &["--restart"]), 0);
    it.sql("DROP TABLE visits");
    it.run(&with(&DATABASE, &["--verify"]), 3);
}

#[test]
fn a_name_has_one_spelling() {
    let sql = MISFIT.replace("notes", "\"Ödd \"\" tab\"");
    let it = Scenario::new(&sql);
    let refused = text(&it.command(&DATABASE).output().unwrap());
    assert_eq!(refused.matches("\"Ödd \"\" tab\"").count(), refused.matches("\"Ödd").count());
    let report = text(&it.command(&with(&DATABASE, &["--exclude", "Ödd*"])).output().unwrap());
    assert_eq!(report.matches("\"Ödd \"\" tab\"").count(), report.matches("\"Ödd").count());
}
