//! The last step: the provider's switch.

use super::tree::{Tree, is_root, url};
use crate::harness::{assert_code, assert_says, psql, server};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};

fn lines_that_differ(a: &str, b: &str) -> Vec<(String, String)> {
    let lines = a.split_inclusive('\n').zip(b.split_inclusive('\n'));
    assert_eq!(a.matches('\n').count(), b.matches('\n').count());
    lines.filter(|(a, b)| a != b).map(|(a, b)| (a.to_owned(), b.to_owned())).collect()
}

#[test]
fn the_provider_is_switched_in_the_file_after_a_good_verdict() {
    let database = server();
    let tree = Tree::connect(&format!("URL = {}", url(&database.url, None)));
    let before = fs::read_to_string(tree.config()).unwrap();
    // Only root can give a file away.
    let metadata = fs::metadata(tree.config()).unwrap();
    let (uid, gid) = if is_root() { (12345, 54321) } else { (metadata.uid(), metadata.gid()) };
    chown(tree.config(), Some(uid), Some(gid)).unwrap();
    fs::set_permissions(tree.config(), Permissions::from_mode(0o640)).unwrap();
    let refused = tree.run(&["provider", "postgres"]);
    assert_code(&refused, 4);
    assert_says(
        &refused,
        &[
            "core: the target has no record of a migration",
            "instrumentation: ",
            "--allow-unverified",
        ],
    );
    assert_eq!(fs::read_to_string(tree.config()).unwrap(), before);

    assert_code(&tree.run(&["db"]), 0);
    tree.service("active");
    let running = tree.run(&["provider", "postgres"]);
    assert_code(&running, 4);
    assert_says(&running, &["systemd reports rstudio-connect as active"]);
    tree.service("inactive");
    let output = tree.run(&["provider", "postgres"]);
    assert_code(&output, 0);
    assert_says(&output, &["is now postgres", "systemctl start rstudio-connect"]);
    let after = fs::read_to_string(tree.config()).unwrap();
    let expected = ("Provider = \"sqlite\" ; for now\r\n", "Provider = \"postgres\" ; for now\r\n");
    assert_eq!(lines_that_differ(&before, &after), [(expected.0.into(), expected.1.into())]);
    let metadata = fs::metadata(tree.config()).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (uid, gid, 0o640));
    let states =
        "SELECT string_agg(detail::json ->> 'state', ' '), sum(row_count) FROM migrate_ledger";
    assert_eq!(psql(&database.url, states), "live live|5", "the verdicts end, the chunks stay");
    let backups: Vec<_> = fs::read_dir(tree.config().parent().unwrap())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| *path != tree.config())
        .collect();
    assert_eq!(backups.len(), 1, "{backups:?}");
    assert_eq!(fs::read_to_string(&backups[0]).unwrap(), before);
    let metadata = fs::metadata(&backups[0]).unwrap();
    assert_eq!((metadata.uid(), metadata.gid(), metadata.mode() & 0o777), (uid, gid, 0o640));

    let again = tree.run(&["provider", "pgx"]);
    assert_code(&again, 0);
    assert_says(&again, &["is already postgres"]);
    assert_eq!(fs::read_to_string(tree.config()).unwrap(), after);
    assert_code(&tree.run(&["provider", "sqlite"]), 4);
    assert_code(&tree.run(&["provider", "sqlite", "--allow-unverified"]), 0);
    assert_eq!(fs::read_to_string(tree.config()).unwrap(), before);
}

#[test]
fn a_verdict_counts_only_while_its_source_is_the_same_and_for_every_data_set() {
    let database = server();
    let tree = Tree::connect(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["db", "-data=core"]), 0);
    let output = tree.run(&["provider", "postgres"]);
    assert_code(&output, 4);
    let text = crate::harness::text(&output);
    assert!(text.contains("instrumentation: ") && !text.contains("core: "), "{text}");
    assert_code(&tree.run(&["db"]), 0);
    let path = tree.path("var/lib/rstudio-connect/db/connect.db");
    crate::harness::sqlite3_script(&path, "INSERT INTO users VALUES (9, 'late')");
    let output = tree.command(&["provider", "postgres"]).output().unwrap();
    assert_code(&output, 4);
    assert_says(&output, &["core: the source has changed since"]);
}

#[test]
fn a_run_switches_the_provider_itself_when_asked() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    let output = tree.run(&["database", "--switch-provider"]);
    assert_code(&output, 0);
    assert_says(&output, &["Database.Provider is now postgres", "systemctl start rstudio-pm"]);
    let text = fs::read_to_string(tree.config()).unwrap();
    assert!(text.ends_with("\n[Database]\nProvider = postgres\n"), "{text}");
    assert_code(&tree.run(&["database", "--switch-provider", "--no-verify"]), 2);
}

#[test]
fn the_example_for_systemd_runs_unattended() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    let unit = include_str!("../../examples/systemd/migrate-rstudio-pm.service");
    let start = unit.lines().find_map(|line| line.strip_prefix("ExecStart=")).unwrap();
    let backups = tree.path("backups");
    fs::create_dir(&backups).unwrap();
    let here = start
        .replace("/var/backups", backups.to_str().unwrap())
        .replace("/var/log/", &format!("{}/", tree.root().display()));
    let words: Vec<&str> = here.split(' ').skip(1).collect();
    assert_code(&tree.run(&words), 0);
    assert!(tree.path("migrate-rstudio-pm.json").exists());
    assert_eq!(fs::read_dir(backups).unwrap().count(), 1);
    assert!(fs::read_to_string(tree.config()).unwrap().contains("Provider = postgres"));
}

#[test]
fn a_variable_that_decides_is_said_and_the_file_stays() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["database"]), 0);
    let before = fs::read(tree.config()).unwrap();
    let mut command = tree.command(&["provider", "postgres"]);
    let output = command.env("PACKAGEMANAGER_DATABASE_PROVIDER", "sqlite").output().unwrap();
    assert_code(&output, 4);
    assert_says(&output, &["PACKAGEMANAGER_DATABASE_PROVIDER decides"]);
    assert_eq!(fs::read(tree.config()).unwrap(), before);
}

#[test]
fn a_bad_verdict_switches_nothing() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["database"]), 0);
    psql(&database.url, "UPDATE users SET name = 'x' WHERE id = 1");
    let before = fs::read(tree.config()).unwrap();
    let output = tree.run(&["database", "--verify", "--switch-provider"]);
    assert_code(&output, 3);
    let again = " database --verify --switch-provider --root";
    assert_says(&output, &["systemctl start rstudio-pm", "after fixing the cause, run: ", again]);
    assert_eq!(fs::read(tree.config()).unwrap(), before);
}
