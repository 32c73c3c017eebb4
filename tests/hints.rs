//! The commands that a refusal suggests.

use crate::harness::{sqlite3_script, text};
use crate::snapshots::{BACK, DATABASE, MISFIT, SOURCE, Scenario, with};
use std::process::Command;

/// The commands of the hints "to ..., run: ...".
fn suggested(errors: &str) -> Vec<String> {
    let hints = errors.lines().filter(|line| line.starts_with("hint: to "));
    hints.filter_map(|line| line.split_once(", run: ")).map(|(_, line)| line.to_owned()).collect()
}

/// Runs `arguments`, which are refused, and then each command that the refusal suggests, each in a
/// new scenario. They end with `codes`: none is refused again.
fn follow(sql: &str, arguments: &[&str], codes: &[i32], prepare: &dyn Fn(&Scenario)) {
    let refused = || {
        let scenario = Scenario::new(sql);
        prepare(&scenario);
        let output = scenario.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(4), "{}", text(&output));
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
    follow(&wide, &DATABASE, &[0, 0], &nothing);
    let wide_key = "CREATE TABLE k (t TEXT PRIMARY KEY); \
        INSERT INTO k SELECT group_concat(hex(randomblob(50)), '') FROM \
        (WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 99) SELECT i FROM n)";
    follow(wide_key, &DATABASE, &[0, 0], &nothing);
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
    // The comparison finds the new row; the other two load it.
    follow(SOURCE, &DATABASE, &[3, 0, 0], &changed);
    let existing_file = |it: &Scenario| {
        it.run(&DATABASE, 0);
        sqlite3_script(&it.folder.path().join("back.db"), "CREATE TABLE users (x)");
    };
    follow(SOURCE, &BACK, &[0], &existing_file);
}

#[test]
fn a_plan_suggests_only_its_own_flags() {
    let occupied = |it: &Scenario| {
        it.run(&DATABASE, 0);
        let insert = "INSERT INTO users (name) VALUES ('new')";
        sqlite3_script(&it.folder.path().join("app.db"), insert);
    };
    // --restart and --drop-all, not --verify.
    follow(SOURCE, &with(&["plan"], &DATABASE[1..]), &[0, 0], &occupied);
}
