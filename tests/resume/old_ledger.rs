//! Ledgers that a version without a format number wrote.

use super::changed::{assert_refused_until_restart, cut_off};
use super::*;
use crate::harness::server;

/// Rewrites the data set's row as the old version wrote it. The keys and the options are those of a
/// real row.
fn make_old(url: &str, more: &str) {
    let options = r#"{"--cast":[],"--exact":false,"--exclude":[],"--on-misfit":"refuse",
                      "--reject-file":null,"--strict":false,"--tables":[]}"#;
    let row = format!(
        "UPDATE migrate_ledger SET detail = (detail::jsonb - 'format' {more} \
         || '{{\"options\": {options}}}')::text WHERE chunk = -1"
    );
    psql(url, &row);
    let old = "SELECT detail::jsonb ? 'format' FROM migrate_ledger WHERE chunk = -1";
    assert_eq!(psql(url, old), "f");
}

#[test]
fn an_interrupted_run_of_an_older_version_is_refused_until_restart() {
    let (source, database) = cut_off(&[]);
    make_old(&database.url, "- 'left_out' - 'rows_left_out' - 'types'");
    let cause = "another version of migrate started it (0.1.0, ledger format 1)";
    assert_refused_until_restart(&source, &database, &[], cause);
    assert_eq!(psql(&database.url, "SELECT count(*) FROM event"), "12000");
}

#[test]
fn a_verdict_of_an_older_version_still_holds() {
    let (source, database) = (Source::new(), server());
    assert_whole(&source, &database.url, &source.run(&database.url, &[]));
    make_old(&database.url, "");
    let again = source.run(&database.url, &[]);
    assert_code(&again, 0);
    assert_says(&again, &["app.db was already copied and verified", "verdict: match"]);
}

#[test]
fn a_ledger_of_a_newer_version_is_refused() {
    let (source, database) = cut_off(&[]);
    let newer = "UPDATE migrate_ledger SET detail = \
                 jsonb_set(detail::jsonb, '{format}', '99')::text WHERE chunk = -1";
    psql(&database.url, newer);
    for more in [&[][..], &["--restart"]] {
        let refused = source.run(&database.url, more);
        assert_code(&refused, 4);
        assert_says(&refused, &["a newer version of migrate wrote the ledger of schema"]);
    }
}
