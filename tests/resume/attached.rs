//! What was attached to dropped tables survives the end of the run that has dropped them.

use super::changed::cut_off_in;
use super::*;
use crate::harness::server;

#[test]
fn policies_and_grants_that_a_killed_run_has_dropped_are_restored_by_the_next_one() {
    for flags in [&["--clean"][..], &["--clean", "--restart"], &["--restart"]] {
        let database = server();
        let reader = format!("{}_reader", database.name);
        psql(
            &database.url,
            &format!(
                "CREATE ROLE {reader}; CREATE TABLE event (id int, who int); \
                 GRANT SELECT ON event TO {reader}; CREATE POLICY mine ON event USING (who = 1); \
                 ALTER TABLE event ENABLE ROW LEVEL SECURITY; COMMENT ON TABLE event IS 'events'; \
                 ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader}"
            ),
        );
        let (source, database) = cut_off_in(database, &["--clean"]);
        let access = format!("SELECT has_table_privilege('{reader}', 'event', 'SELECT')");
        assert_eq!(psql(&database.url, &access), "f", "no access before the policy is back");
        let output = source.run(&database.url, flags);
        assert_whole(&source, &database.url, &output);
        assert_eq!(psql(&database.url, &access), "t");
        let policies = "SELECT policyname, qual, split_part(obj_description('event'::regclass), chr(10), 1) FROM pg_policies";
        assert_eq!(psql(&database.url, policies), "mine|(who = 1)|events");
        assert_says(&output, &["row-level security, 1 policy, 1 comment, 1 grant"]);
    }
}

#[test]
fn a_policy_that_is_lost_during_the_copy_withholds_the_grants_and_fails_with_strict() {
    for is_fixed in [true, false] {
        fail_with_strict(is_fixed);
    }
}

/// The next run completes the copy: the cause `is_fixed`, or `--strict` is not given any more.
fn fail_with_strict(is_fixed: bool) {
    let (source, database) = (Source::new(), server());
    let reader = format!("{}_reader", database.name);
    psql(
        &database.url,
        &format!(
            "CREATE ROLE {reader}; CREATE TABLE event (id int); GRANT SELECT ON event TO {reader}; \
             CREATE FUNCTION mine() RETURNS boolean LANGUAGE sql AS 'SELECT true'; \
             CREATE POLICY mine ON event USING (mine()); ALTER TABLE event ENABLE ROW LEVEL SECURITY"
        ),
    );
    let child = source.start(&database.url, &["--clean", "--strict"]);
    let somebody = hold_the_copy(&database.url);
    psql(&database.url, "DROP FUNCTION mine()");
    drop(somebody);
    let output = child.wait_with_output().unwrap();
    assert_code(&output, 1);
    let words = [
        "not migrated\n  1 grant: withheld, because policy \"mine\" cannot be restored",
        "error: --strict: not everything arrived as it is declared",
        "policy \"mine\" of \"event\": cannot be restored: function public.mine() does not exist",
        "hint: to accept these changes",
    ];
    assert_says(&output, &words);
    let access = format!("SELECT has_table_privilege('{reader}', 'event', 'SELECT')");
    assert_eq!(psql(&database.url, &access), "f");
    assert_code(&source.run(&database.url, &["--clean", "--strict"]), 1);
    if !is_fixed {
        let output = source.run(&database.url, &["--clean"]);
        assert_code(&output, 0);
        assert_says(&output, &["resumes the run", words[0], "1 grant not restored"]);
        assert_eq!(psql(&database.url, &access), "f");
        return;
    }
    psql(&database.url, "CREATE FUNCTION mine() RETURNS boolean LANGUAGE sql AS 'SELECT true'");
    assert_code(&source.run(&database.url, &["--clean", "--strict"]), 0);
    assert_eq!(psql(&database.url, &access), "t");
}

#[test]
fn what_a_killed_run_has_dropped_for_good_is_reported_by_the_next_one() {
    let database = server();
    let reader = format!("{}_reader", database.name);
    psql(
        &database.url,
        &format!(
            "CREATE ROLE {reader}; CREATE TABLE gone (id int); GRANT SELECT ON gone TO {reader}"
        ),
    );
    let flags = ["--drop-all", "--yes"];
    let (source, database) = cut_off_in(database, &flags);
    let lost = "1 table: dropped with 1 grant; the ledger keeps them";
    let output = source.run(&database.url, &flags);
    assert_code(&output, 0);
    assert_says(&output, &["resumes the run", lost]);
    let output = source.run(&database.url, &flags);
    assert_code(&output, 0);
    assert!(!text(&output).contains(lost), "it was reported: {}", text(&output));
}
