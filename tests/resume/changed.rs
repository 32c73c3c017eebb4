//! A change since a run was interrupted refuses the resumption and is named; `--restart` starts from
//! scratch.

use super::*;
use crate::harness::server;

/// A run that was killed in the copy.
pub(super) fn cut_off(more: &[&str]) -> (Source, Database) {
    cut_off_in(server(), more)
}

/// The same in a database that has tables already.
pub(super) fn cut_off_in(database: Database, more: &[&str]) -> (Source, Database) {
    let source = Source::new();
    let child = source.start(&database.url, more);
    let somebody = hold_the_copy(&database.url);
    kill(child);
    drop(somebody);
    assert_nobody_is_left(&database);
    (source, database)
}

/// Asserts that the run is refused with `cause` and changes nothing, and that `--restart` succeeds.
pub(super) fn assert_refused_until_restart(
    source: &Source,
    database: &Database,
    more: &[&str],
    cause: &str,
) {
    let state = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM migrate_ledger t";
    let before = psql(&database.url, state);
    for command in [&["--drop-ledger"][..], &[]] {
        let refused = source.run(&database.url, &[more, command].concat());
        assert_code(&refused, 4);
        assert_says(&refused, &["cannot be resumed", cause, "hint: to drop what that run created"]);
        let next = text(&refused);
        let next = next
            .lines()
            .find(|line| line.starts_with("hint: to drop what that run created"))
            .unwrap();
        assert!(next.ends_with("--restart"), "{next}");
    }
    assert_eq!(psql(&database.url, state), before, "the ledger was not touched");
    let output = source.run(&database.url, &[more, &["--restart"]].concat());
    assert!(!text(&output).contains("continues"), "{}", text(&output));
    assert_code(&output, 0);
}

#[test]
fn a_source_that_has_changed_is_copied_from_scratch() {
    let (source, database) = cut_off(&[]);
    sqlite3_script(&source.path, "UPDATE event SET what = 'changed' WHERE id = 7");
    assert_refused_until_restart(&source, &database, &[], "app.db has changed since");
    assert_eq!(psql(&database.url, "SELECT what FROM event WHERE id = 7"), "changed");
    assert_eq!(psql(&database.url, "SELECT count(*) FROM event"), "12000");
}

#[test]
fn clean_with_another_selection_leaves_no_table_half_loaded() {
    let (source, database) = cut_off(&[]);
    let refused = source.run(&database.url, &["--clean", "--exclude", "event"]);
    assert_code(&refused, 4);
    let cause = "created table \"event\", which this run does not create again";
    assert_says(&refused, &["is half loaded", cause, "--clean --exclude event --restart"]);
    assert_code(&source.run(&database.url, &["--clean", "--exclude", "event", "--restart"]), 0);
    assert_eq!(psql(&database.url, "SELECT to_regclass('event') IS NULL"), "t");
}

#[test]
fn a_missing_source_is_refused_and_a_restored_one_is_resumed() {
    let (source, database) = cut_off(&[]);
    let aside = source.path.with_extension("aside");
    std::fs::rename(&source.path, &aside).unwrap();
    let refused = source.run(&database.url, &[]);
    assert_code(&refused, 4);
    assert_says(&refused, &["does not exist"]);
    // Another file with the same name and content is another source.
    std::fs::copy(&aside, &source.path).unwrap();
    assert_refused_until_restart(&source, &database, &[], "app.db has changed since");
}

#[test]
fn an_emptied_table_is_not_resumed_as_half_full() {
    let (source, database) = cut_off(&[]);
    psql(&database.url, "TRUNCATE event");
    let cause = "table \"event\" of the target was emptied or rewritten";
    assert_refused_until_restart(&source, &database, &[], cause);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM event"), "12000");
}

#[test]
fn a_trigger_that_would_change_the_rows_is_noticed() {
    let (source, database) = cut_off(&[]);
    psql(
        &database.url,
        "CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql \
         AS 'BEGIN NEW.what := upper(NEW.what); RETURN NEW; END'; \
         CREATE TRIGGER shouts BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION shout()",
    );
    let cause = "table \"event\" of the target has the trigger \"shouts\"";
    assert_refused_until_restart(&source, &database, &[], cause);
}

#[test]
fn a_column_that_was_added_renamed_or_changed_is_noticed() {
    let cast = ["--cast", "event.what=varchar(99)"];
    let (source, database) = cut_off(&cast);
    let change = |change: &str| psql(&database.url, &format!("ALTER TABLE event {change}"));
    // None of these changes rewrites the table.
    for (forth, cause, back) in [
        ("ADD extra int", "\"extra\" of table \"event\" was added in the target", "DROP extra"),
        (
            "RENAME what TO why",
            "\"what\" of table \"event\" is missing in the target",
            "RENAME why TO what",
        ),
        (
            "ALTER what TYPE varchar(100)",
            "\"what\" of table \"event\" is character varying(100) in the target, not varchar(99)",
            "ADD extra int",
        ),
    ] {
        change(forth);
        let refused = source.run(&database.url, &cast);
        assert_code(&refused, 4);
        assert_says(&refused, &["cannot be resumed", &format!("column {cause}")]);
        change(back);
    }
    let cause = "column \"extra\" of table \"event\" was added in the target";
    assert_refused_until_restart(&source, &database, &cast, cause);
    let columns = "SELECT count(*) FROM pg_attribute WHERE attname = 'extra'";
    assert_eq!(psql(&database.url, columns), "0");
}

#[test]
fn a_table_that_was_dropped_is_missed() {
    let (source, database) = cut_off(&[]);
    psql(&database.url, "DROP TABLE event");
    let cause = "table \"event\" is missing in the target";
    assert_refused_until_restart(&source, &database, &[], cause);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM event"), "12000");
}

#[test]
fn a_table_of_somebody_else_is_no_table_of_ours_and_is_never_dropped() {
    let (source, database) = cut_off(&[]);
    psql(
        &database.url,
        "DROP TABLE event; CREATE TABLE event (a int); INSERT INTO event VALUES (1)",
    );
    let refused = source.run(&database.url, &[]);
    assert_code(&refused, 4);
    assert_says(
        &refused,
        &["table \"event\" of the target was dropped and created again", "--restart"],
    );
    let refused = source.run(&database.url, &["--restart"]);
    assert_code(&refused, 4);
    assert_says(&refused, &["not empty", "table \"event\"", "--clean"]);
    assert_eq!(psql(&database.url, "SELECT a FROM event"), "1");
    psql(&database.url, "DROP TABLE event; CREATE TABLE other (a int)");
    assert_whole(&source, &database.url, &source.run(&database.url, &["--restart"]));
    assert_eq!(psql(&database.url, "SELECT count(*) FROM other"), "0", "it was left alone");
}

#[test]
fn other_options_are_another_plan() {
    let (source, database) = cut_off(&[]);
    let cast = &["--cast", "event.what=varchar(99)"][..];
    for (more, flag) in
        [(&["--exclude", "person"][..], "--exclude"), (&["--strict"], "--strict"), (cast, "--cast")]
    {
        let refused = source.run(&database.url, more);
        assert_code(&refused, 4);
        assert_says(&refused, &["cannot be resumed", &format!("{flag} has changed")]);
    }
    assert_refused_until_restart(&source, &database, cast, "--cast has changed");
    let sql = "SELECT format_type(atttypid, atttypmod) FROM pg_attribute \
               WHERE attrelid = 'event'::regclass AND attname = 'what'";
    assert_eq!(psql(&database.url, sql), "character varying(99)");
}

#[test]
fn a_plan_of_another_version_is_not_read() {
    let (source, database) = cut_off(&[]);
    psql(
        &database.url,
        "UPDATE migrate_ledger SET detail = replace(detail, '\"version\":\"', '\"version\":\"9') \
         WHERE chunk = -1",
    );
    let cause = "another version of migrate started it";
    assert_refused_until_restart(&source, &database, &[], cause);
}

#[test]
fn drop_all_starts_from_scratch_if_the_plan_has_changed() {
    let (source, database) = cut_off(&[]);
    psql(&database.url, "TRUNCATE event");
    let output = source.run(&database.url, &["--drop-all"]);
    assert!(!text(&output).contains("continues"), "{}", text(&output));
    assert_whole(&source, &database.url, &output);
}

#[test]
fn the_plan_command_shows_what_would_be_resumed_and_changes_nothing() {
    let (source, database) = cut_off(&[]);
    let state = "SELECT md5(string_agg(t::text, '' ORDER BY t::text)) FROM migrate_ledger t";
    let before = psql(&database.url, state);
    let arguments = ["plan", "--from", path(&source.path), "--to", &database.url];
    let output = crate::harness::migrate(arguments);
    assert_code(&output, 0);
    assert_says(&output, &["resumes the run of 2", "chunks copied"]);
    let json = crate::harness::migrate([&arguments[..], &["--json", "-"]].concat());
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    assert!(json["data_sets"][0]["continues"]["chunks"].as_u64().unwrap() > 2, "{json}");
    psql(&database.url, "TRUNCATE event");
    let refused = crate::harness::migrate(arguments);
    assert_code(&refused, 4);
    assert_says(&refused, &["cannot be resumed"]);
    let restarted = crate::harness::migrate([&arguments[..], &["--restart"]].concat());
    assert_code(&restarted, 0);
    assert_says(&restarted, &["will be dropped first", "table \"event\""]);
    assert_eq!(psql(&database.url, state), before);
}

#[test]
fn rows_that_were_left_out_stay_in_their_file() {
    let (source, database) = (Source::new(), server());
    let bad = "PRAGMA ignore_check_constraints = on; \
               UPDATE event SET what = 'a' || char(0) || 'bcd' WHERE id = 9";
    sqlite3_script(&source.path, bad);
    let rejects = source.path.with_extension("rejects");
    let more = ["--on-misfit=reject", "--reject-file", path(&rejects)];
    let child = source.start(&database.url, &more);
    let somebody = hold_the_copy(&database.url);
    kill(child);
    drop(somebody);
    let ids = "SELECT id FROM event";
    assert_eq!(sqlite3(&rejects, ids), "9");
    let output = source.run(&database.url, &more);
    assert_code(&output, 0);
    assert_says(&output, &["resumes the run", "verdict: match"]);
    assert_eq!(sqlite3(&rejects, ids), "9");
    assert_eq!(psql(&database.url, "SELECT count(*) FROM event"), "11999");
}
