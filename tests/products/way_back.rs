//! From PostgreSQL to the products' SQLite files.

use super::tree::{Tree, url};
use crate::harness::{assert_code, assert_says, psql, server, sqlite3, sqlite3_script};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Output;

/// Runs a command that may change SQLite files.
fn run(tree: &Tree, arguments: &[&str]) -> Output {
    tree.command(arguments).output().unwrap()
}

const BACK: [&str; 3] = ["database", "--from=pgx", "--to=sqlite3"];

#[test]
fn package_manager_migrates_back_when_postgresql_is_its_provider() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["database", "--switch-provider"]), 0);
    // The service runs on PostgreSQL for a while.
    psql(&database.url, "INSERT INTO users (name) VALUES ('late')");
    let file = tree.path("var/lib/rstudio-pm/db/packages.db");
    let count = "SELECT count(*) FROM users";
    let before: i64 = sqlite3(&file, count).parse().unwrap();
    assert_code(&tree.run(&BACK), 4);
    tree.service("active");
    let running = tree.run(&[&BACK[..], &["--drop-all"]].concat());
    assert_code(&running, 4);
    assert_says(&running, &["the service is running"]);
    tree.service("inactive");
    let backups = tree.path("backups");
    fs::create_dir(&backups).unwrap();
    let folder = backups.to_str().unwrap();
    let output =
        run(&tree, &[&BACK[..], &["--drop-all", "--backup", folder, "--switch-provider"]].concat());
    assert_code(&output, 0);
    assert_says(&output, &["verdict: match", "Database.Provider is now sqlite", "backup created"]);
    assert_eq!(sqlite3(&file, count), (before + 1).to_string());
    let backup = fs::read_dir(backups).unwrap().next().unwrap().unwrap().path();
    assert_eq!(sqlite3(&backup, count), before.to_string());
    // The replaced file is not taken for the database.
    assert_eq!(replaced(&file), 1);
    assert_code(&run(&tree, &[&BACK[..], &["--verify"]].concat()), 0);
    assert_eq!(names(&file), ["packages.db"]);
}

#[test]
fn a_file_that_a_run_verified_is_replaced_without_consent_only_if_the_source_has_as_many_rows() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["database", "--switch-provider"]), 0);
    let replace = [&BACK[..], &["--drop-all"]].concat();
    assert_code(&run(&tree, &replace), 0);
    assert_code(&run(&tree, &replace), 0);
    psql(&database.url, "DELETE FROM users WHERE id = 2");
    let refused = run(&tree, &replace);
    assert_code(&refused, 4);
    assert_says(&refused, &["table \"users\" (2 rows; 1 in the source)", "--yes"]);
    assert_code(&run(&tree, &[&replace[..], &["--yes"]].concat()), 0);
}

/// The names of the files in the folder of a file, without replaced files.
fn names(file: &Path) -> Vec<String> {
    let entries = fs::read_dir(file.parent().unwrap()).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !name.contains(".replaced-")).collect()
}

/// The number of replaced files in the folder of a file.
fn replaced(file: &Path) -> usize {
    fs::read_dir(file.parent().unwrap()).unwrap().count() - names(file).len()
}

#[test]
fn the_provider_goes_back_to_sqlite_only_after_a_good_verdict_on_an_unchanged_file() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["database", "--switch-provider"]), 0);
    let back = [&BACK[..], &["--drop-all"]].concat();
    let provider = ["provider", "sqlite"];
    assert_code(&run(&tree, &provider), 4);
    assert_code(&run(&tree, &[&back[..], &["--no-verify"]].concat()), 0);
    assert_code(&run(&tree, &provider), 4);
    assert_code(&run(&tree, &back), 0);
    let file = tree.path("var/lib/rstudio-pm/db/packages.db");
    sqlite3_script(&file, "INSERT INTO users (name) VALUES ('late')");
    let changed = run(&tree, &provider);
    assert_code(&changed, 4);
    assert_says(&changed, &["the target has changed since the verification"]);
    let refused = run(&tree, &back);
    assert_code(&refused, 4);
    assert_says(&refused, &["table \"users\" (3 rows; 2 in the source)", "--yes"]);
    assert_code(&run(&tree, &[&back[..], &["--yes"]].concat()), 0);
    let switched = run(&tree, &provider);
    assert_code(&switched, 0);
    assert_says(&switched, &["Database.Provider", "is now sqlite"]);
    assert_eq!(names(&file), ["packages.db"]);
}

#[test]
fn a_live_sqlite_file_is_not_replaced_unless_allowed() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["database"]), 0);
    let back = [&BACK[..], &["--drop-all"]].concat();
    let refused = tree.run(&back);
    assert_code(&refused, 4);
    assert_says(&refused, &["--allow-live-target"]);
    assert_code(&run(&tree, &[&back[..], &["--allow-live-target"]].concat()), 0);
}

#[test]
fn connect_refuses_sqlite_as_target_unless_allowed_and_the_new_file_is_for_its_owner_only() {
    let database = server();
    let tree = Tree::connect(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["db", "--data", "core"]), 0);
    assert_code(&tree.run(&["provider", "postgres", "--allow-unverified"]), 0);
    let back = ["db", "--from", "pgx", "--to", "sqlite3", "--data", "core"];
    let refused = tree.run(&back);
    assert_code(&refused, 4);
    assert_says(&refused, &["--allow-back"]);
    let file = tree.path("var/lib/rstudio-connect/db/connect.db");
    let rows = sqlite3(&file, "SELECT * FROM users ORDER BY id");
    fs::remove_file(&file).unwrap();
    assert_code(&run(&tree, &[&back[..], &["--allow-back"]].concat()), 0);
    assert_eq!(sqlite3(&file, "SELECT * FROM users ORDER BY id"), rows);
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn two_data_sets_are_migrated_back_together_or_not_at_all() {
    let database = server();
    psql(&database.url, "CREATE SCHEMA core; CREATE SCHEMA instrumentation");
    let (core, second) =
        (url(&database.url, Some("core")), url(&database.url, Some("instrumentation")));
    let tree = Tree::connect(&format!("URL = {core}\r\nInstrumentationURL = {second}"));
    assert_code(&tree.run(&["db"]), 0);
    assert_code(&tree.run(&["provider", "postgres"]), 0);
    let back = ["db", "--from", "pgx", "--to", "sqlite3", "--allow-back"];
    // The second file is in the way: neither is touched.
    let first = tree.path("var/lib/rstudio-connect/db/connect.db");
    fs::rename(&first, tree.path("kept.db")).unwrap();
    assert_code(&run(&tree, &back), 4);
    assert!(!first.exists());
    let output = run(&tree, &[&back[..], &["--drop-all"]].concat());
    assert_code(&output, 0);
    assert_says(&output, &["verdict: match; 5 rows in 2 tables"]);
    assert!(first.exists());
}
