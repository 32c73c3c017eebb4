//! A server that is killed and started again, in whole or one of its processes.

use super::*;
use migrate::postgres::server::{Halt, Options, PrivateServer};

fn server() -> PrivateServer {
    PrivateServer::start(&Options::default()).unwrap()
}

/// The number of the server's process behind a session of the run.
fn backend(url: &str, purpose: &str) -> String {
    let sql = format!(
        "SELECT pid FROM pg_stat_activity WHERE application_name LIKE 'migrate {purpose} %'"
    );
    psql(url, &sql)
}

#[test]
fn a_killed_process_of_the_server_takes_nothing_away_for_good() {
    let (source, server) = (Source::new(), server());
    let url = server.url("postgres");
    let child = source.start(&url, &[]);
    let _somebody = hold_the_copy(&url);
    // The server restarts all its processes, and what was not on the disk is lost.
    let victim = backend(&url, "copy");
    assert!(Command::new("kill").args(["-9", &victim]).status().unwrap().success());
    assert_whole(&source, &url, &child.wait_with_output().unwrap());
}

#[test]
fn a_killed_server_is_waited_for() {
    for hold in [hold_the_copy, hold_the_finish, hold_the_verdict] {
        let (source, mut server) = (Source::new(), server());
        let url = server.url("postgres");
        let child = source.start(&url, &[]);
        let somebody = hold(&url);
        server.halt(Halt::Kill).unwrap();
        drop(somebody);
        server.restart().unwrap();
        assert_whole(&source, &url, &child.wait_with_output().unwrap());
    }
}

#[test]
fn a_server_that_stays_away_ends_the_run_in_time_and_the_next_one_goes_on() {
    let (source, mut server) = (Source::new(), server());
    let url = server.url("postgres");
    let child = source.start(&url, &["--retry-for", "2s"]);
    let somebody = hold_the_copy(&url);
    server.halt(Halt::Immediate).unwrap();
    drop(somebody);
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(20), "{:?}", since.elapsed());
    assert_code(&output, 1);
    assert_says(&output, &["it was tried again for 2 s", "the source is unchanged"]);
    server.restart().unwrap();
    let output = source.run(&url, &[]);
    assert_says(&output, &["continues the run"]);
    assert_whole(&source, &url, &output);
}
