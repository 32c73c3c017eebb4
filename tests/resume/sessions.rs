//! Sessions that outlive their client, sessions that are ended, and two runs at once.

use super::*;
use crate::harness::server;
use crate::waiting::signal;

/// Ends the sessions of a run whose name begins with a prefix; returns their number.
fn terminate(url: &str, purpose: &str) -> u64 {
    let sql = format!(
        "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
         WHERE datname = current_database() AND application_name LIKE 'migrate {purpose} %'"
    );
    psql(url, &sql).parse().unwrap()
}

#[test]
fn sessions_that_are_ended_in_the_copy_are_opened_again() {
    for purpose in ["copy", "control", "pulse", "%"] {
        let (source, database) = (Source::new(), server());
        let child = source.start(&database.url, &[]);
        let somebody = hold_the_copy(&database.url);
        assert!(terminate(&database.url, purpose) > 0, "{purpose}");
        drop(somebody);
        let output = child.wait_with_output().unwrap();
        assert_whole(&source, &database.url, &output);
    }
}

#[test]
fn sessions_that_are_ended_in_the_finish_are_opened_again() {
    for purpose in ["finish", "control"] {
        let (source, database) = (Source::new(), server());
        let child = source.start(&database.url, &[]);
        let somebody = hold_the_finish(&database.url);
        assert!(terminate(&database.url, purpose) > 0, "{purpose}");
        drop(somebody);
        assert_whole(&source, &database.url, &child.wait_with_output().unwrap());
    }
}

#[test]
fn a_verification_whose_sessions_are_ended_begins_again() {
    for purpose in ["snapshot", "verify", "%"] {
        let (source, database) = (Source::new(), server());
        let mut somebody = Client::connect(&database.url, NoTls).unwrap();
        let child = source.start(&database.url, &[]);
        let end = format!(
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity \
             WHERE datname = current_database() AND application_name LIKE 'migrate {purpose} %' \
             AND EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database() \
               AND application_name LIKE 'migrate verify %' AND query LIKE 'COPY%')"
        );
        wait_until("the tables are read again", || {
            somebody.query_one(&end, &[]).unwrap().get::<_, i64>(0) > 0
        });
        assert_whole(&source, &database.url, &child.wait_with_output().unwrap());
    }
}

#[test]
fn retry_for_zero_retries_nothing_and_the_next_run_resumes() {
    let (source, database) = (Source::new(), server());
    let child = source.start(&database.url, &["--retry-for", "0"]);
    let somebody = hold_the_copy(&database.url);
    assert_eq!(terminate(&database.url, "copy"), 1);
    let output = child.wait_with_output().unwrap();
    drop(somebody);
    assert_code(&output, 1);
    assert_says(
        &output,
        &[
            "cannot write chunk",
            "the source is unchanged",
            "after fixing the cause, run: ",
            "that command resumes the run",
            "--restart",
        ],
    );
    assert_whole(&source, &database.url, &source.run(&database.url, &[]));
}

#[test]
fn a_run_right_after_one_that_was_killed_while_stopped_resumes() {
    let (source, database) = (Source::new(), server());
    let child = source.start(&database.url, &[]);
    let somebody = hold_the_copy(&database.url);
    signal(&child, "-STOP");
    kill(child);
    // Somebody's lock still holds the dead run's session in the middle of its statement.
    let next = source.start(&database.url, &[]);
    let copies = "SELECT count(*) = 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                  AND datname = current_database() AND application_name LIKE 'migrate copy%' \
                  AND backend_start > (SELECT min(backend_start) FROM pg_stat_activity \
                    WHERE application_name LIKE 'migrate pulse%' \
                    AND datname = current_database())";
    wait_until("the next run is where the first one was", || holds(&database.url, copies));
    drop(somebody);
    assert_whole(&source, &database.url, &next.wait_with_output().unwrap());
}

#[test]
fn sessions_whose_client_cannot_be_reached_are_ended() {
    let (source, database) = (Source::new(), server());
    let child = source.start(&database.url, &[]);
    let somebody = hold_the_copy(&database.url);
    // To the server this looks like a machine without power: connections stay open and are silent.
    signal(&child, "-STOP");
    drop(somebody);
    let output = source.run(&database.url, &["--allow-running"]);
    assert_says(&output, &["resumes the run"]);
    assert_whole(&source, &database.url, &output);
    // It continues, and must detect that another run has replaced it.
    let before = psql(&database.url, "SELECT count(*), max(xmin::text::bigint) FROM event");
    signal(&child, "-CONT");
    let late = child.wait_with_output().unwrap();
    assert_code(&late, 1);
    assert_says(&late, &["another run replaced this one"]);
    let after = psql(&database.url, "SELECT count(*), max(xmin::text::bigint) FROM event");
    assert_eq!(before, after);
}

#[test]
fn the_second_of_two_concurrent_runs_is_refused() {
    let (source, database) = (Source::new(), server());
    // Slow enough that neither ends before the other one has checked.
    let slow = ["--max-rate", "4MB/s"];
    for more in [&[][..], &["--drop-all", "--allow-running"]] {
        let more = &[more, &slow].concat();
        let runs = [source.start(&database.url, more), source.start(&database.url, more)];
        let outputs = runs.map(|run| run.wait_with_output().unwrap());
        let [one, other] = &outputs;
        let (worked, refused) = if one.status.success() { (one, other) } else { (other, one) };
        assert_code(refused, 4);
        assert_whole(&source, &database.url, worked);
    }
}

#[test]
fn a_run_that_is_stopped_for_a_while_does_not_count_as_dead() {
    let (source, database) = (Source::new(), server());
    let child = source.start(&database.url, &[]);
    let somebody = hold_the_copy(&database.url);
    for more in [&[][..], &["--restart"], &["--drop-all"]] {
        let refused = source.run(&database.url, more);
        assert_code(&refused, 4);
        assert_says(&refused, &["app.db open"]);
        let refused = source.run(&database.url, &[more, &["--allow-running"]].concat());
        assert_code(&refused, 4);
        assert_says(&refused, &["another run of migrate uses schema \"public\""]);
    }
    drop(somebody);
    assert_whole(&source, &database.url, &child.wait_with_output().unwrap());
}
