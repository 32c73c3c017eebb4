//! Every fixture has the outcome that its expectation describes, value for value.
//!
//! `fixtures/NAME.sql` builds a database, `fixtures/NAME.expect` describes the outcome, and
//! `fixtures/NAME.VARIANT.expect` that of a run with other arguments.

use crate::expect::Expectation;
use crate::harness::{Database, server};
use crate::oracle;
use crate::outcome::{Target, facts, remarks};
use crate::source::{Source, fixture_path};
use serde_json::Value;
use std::fs;
use std::path::Path;
use tempfile::TempDir;

/// Runs a fixture and checks its expectation; `variant` is the name of other arguments, or "".
pub(crate) fn check(name: &str, variant: &str) {
    let source = Source::of_fixture(name);
    let file = match variant {
        "" => format!("{name}.expect"),
        _ => format!("{name}.{variant}.expect"),
    };
    let text = fs::read_to_string(fixture_path(&file)).unwrap();
    let database = server();
    check_source(&source, &database, &Expectation::parse(&text));
}

/// Moves `source` into `database` and checks the expectation; returns the report.
pub(crate) fn check_source(
    source: &Source,
    database: &Database,
    expectation: &Expectation,
) -> Value {
    let folder = TempDir::new().unwrap();
    let json = folder.path().join("report.json");
    let mut arguments = vec!["--json", json.to_str().unwrap()];
    // The expectation names a reject file, which is created next to the report.
    let arguments_of_run: Vec<String> = expectation
        .arguments
        .iter()
        .map(|word| word.replace("TEMPORARY", folder.path().to_str().unwrap()))
        .collect();
    arguments.extend(arguments_of_run.iter().map(String::as_str));

    let output = source.migrate(&database.url, &arguments);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(expectation.exit), "exit code; stderr:\n{errors}");
    for words in &expectation.errors {
        let missing: Vec<&String> = words.iter().filter(|word| !has_word(&errors, word)).collect();
        assert!(missing.is_empty(), "{missing:?} not in:\n{errors}");
    }

    let report = read_report(&json);
    let done = expectation.exit == 0;
    assert!(!done || report.is_some(), "no report was written");
    let report = report.filter(|_| done);
    let mut target = Target::open(&database.url);
    let found = facts(&mut target, report.as_ref());
    let differences = expectation.differences(&found);
    assert!(differences.is_empty(), "the outcome differs:\n{differences}");
    let Some(report) = report else { return Value::Null };

    assert_ne!(report["data_sets"][0]["verdict"], "differ");
    let mut remarks = remarks(&report);
    let printed = String::from_utf8_lossy(&output.stdout).into_owned() + &errors;
    remarks.extend(printed.lines().map(str::to_owned));
    for words in &expectation.notes {
        let found = remarks.iter().any(|text| words.iter().all(|word| has_word(text, word)));
        assert!(found, "no remark has {words:?}; there are: {remarks:#?}");
    }
    oracle::assert_same_values(&source.reading_copy(), &mut target, &report, &expectation.only);
    report
}

/// Whether `text` has `word`, not only as a part of another word.
fn has_word(text: &str, word: &str) -> bool {
    let part = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    text.match_indices(word).any(|(start, _)| {
        !part(text[..start].chars().next_back()) && !part(text[start + word.len()..].chars().next())
    })
}

fn read_report(path: &Path) -> Option<Value> {
    let text = fs::read_to_string(path).ok()?;
    Some(serde_json::from_str(&text).unwrap())
}

/// Creates a test for each line: its name, the fixture, the variant.
macro_rules! fixtures {
    ($($test:ident: $name:literal $variant:literal;)*) => {
        $(#[test]
        fn $test() {
            check($name, $variant);
        })*

        const CHECKED: &[(&str, &str)] = &[$(($name, $variant)),*];
    };
}

fixtures! {
    every_integer_type_keeps_64_bits: "integers" "";
    integers_and_reals_are_double_precision_until_that_would_lose_digits: "integers_and_reals" "";
    reals_arrive_bit_for_bit_and_infinity_with_them: "reals" "";
    decimals_keep_precision_and_scale_where_every_value_does: "decimals" "";
    only_clean_booleans_become_boolean: "booleans" "";
    iso_text_becomes_timestamps_with_and_without_zone: "timestamps" "";
    nanoseconds_are_refused_where_only_exact_values_may_arrive: "timestamps" "exact";
    numbers_in_date_columns_stay_numbers: "epochs" "";
    iso_dates_and_times_become_date_and_time: "dates_and_times" "";
    dates_that_postgresql_cannot_hold_stay_text: "odd_dates" "";
    varchar_keeps_its_length_only_where_it_was_true: "texts" "";
    only_canonical_uuids_become_uuid: "uuids" "";
    valid_json_keeps_its_text_and_anything_else_is_text: "json" "";
    blobs_arrive_byte_for_byte_and_text_among_them_as_its_bytes: "blobs" "";
    unknown_types_follow_their_values: "free_types" "";
    one_word_among_numbers_makes_the_column_text: "text_in_integers" "";
    strict_refuses_a_widened_column: "text_in_integers" "strict";
    a_value_that_an_override_cannot_hold_is_a_misfit: "text_in_integers" "cast";
    an_empty_column_follows_its_declared_type: "empty_columns" "";
    a_database_without_tables_succeeds: "no_tables" "";
    nul_and_invalid_utf8_are_refused_with_their_rows: "misfit_text" "";
    invalid_text_becomes_bytea_with_widen: "misfit_text" "widen";
    rows_with_misfits_are_skipped_with_reject: "misfit_text" "reject";
    text_never_becomes_json_without_a_declaration: "misfit_json" "";
    invalid_json_does_not_fit_a_jsonb_override: "misfit_json" "cast";
    identity_columns_continue_after_the_last_number_ever_given: "identities" "";
    rowids_from_end_to_end_and_out_of_reach_arrive: "rowids" "";
    tables_without_rowid_arrive_whatever_their_key: "without_rowid" "";
    nocase_and_rtrim_keys_become_unique_indexes_over_the_folded_text: "collations" "";
    a_primary_key_with_nulls_becomes_a_unique_constraint: "null_keys" "";
    indexes_keep_their_terms_directions_and_conditions: "indexes" "";
    names_of_indexes_and_constraints_never_collide: "index_names" "";
    foreign_keys_of_every_shape_are_kept: "foreign_keys" "";
    orphans_stay_under_a_key_that_is_not_valid_and_impossible_keys_are_left_out: "orphans" "";
    strict_refuses_orphans_before_anything_is_written: "orphans" "strict";
    columns_joined_by_a_foreign_key_share_one_type: "joined_types" "";
    a_text_child_of_an_integer_primary_key_keeps_its_foreign_key_if_it_is_all_numbers: "text_child" "";
    generated_columns_arrive_generated_or_as_plain_values: "generated" "";
    checks_that_mean_the_same_are_kept_and_the_others_listed: "checks" "";
    a_check_that_rows_break_stops_nothing: "checks_broken" "";
    defaults_that_mean_the_same_are_kept_and_the_others_listed: "defaults" "";
    virtual_tables_and_their_shadows_are_listed_and_not_copied: "virtual_tables" "";
    strict_tables_arrive: "strict" "";
    views_and_triggers_stop_nothing: "views_and_triggers" "";
    names_are_kept_exactly: "names" "";
    names_that_postgresql_cannot_hold_get_a_stable_suffix: "changed_names" "";
    an_index_with_a_value_that_is_too_wide_is_left_out: "wide_entries" "";
    a_key_with_a_value_that_is_too_wide_is_refused: "wide_keys" "";
    a_wide_key_is_built_over_a_hash_with_widen: "wide_keys" "widen";
    a_music_shop_arrives: "chinook" "";
    a_trader_arrives_spaces_and_circles_included: "northwind" "";
    a_django_project_arrives: "django" "";
    a_rails_application_arrives: "rails" "";
    services_written_in_go_arrive: "go_services" "";
    a_smart_home_arrives: "home_assistant" "";
    a_browsers_history_arrives: "places" "";
    a_phone_arrives: "android" "";
    a_little_endian_utf16_database_arrives: "utf16" "";
    a_big_endian_utf16_database_arrives: "utf16be" "";
}

#[test]
fn every_file_in_fixtures_is_checked_by_a_test() {
    for entry in fs::read_dir(fixture_path("")).unwrap() {
        let file = entry.unwrap().file_name().into_string().unwrap();
        // Test vectors of unit tests.
        if file.ends_with(".json") {
            continue;
        }
        let checked = CHECKED.iter().any(|(name, variant)| {
            let expect = match *variant {
                "" => format!("{name}.expect"),
                _ => format!("{name}.{variant}.expect"),
            };
            file == expect || file == format!("{name}.sql")
        });
        assert!(checked, "no test checks fixtures/{file}");
    }
}
