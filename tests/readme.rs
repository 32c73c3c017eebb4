//! The commands of README.md and the guide: each one works as it is written.
//!
//! `app.db` is a SQLite database, `postgres://user@host/dbname` a new database of the tests' server, and
//! the products' commands run on a tree of Package Manager's. CI runs the scripts that the README names.

use crate::harness::{migrate, psql, server, sqlite3_script, text};
use crate::products::tree::{Tree, url};
use std::env;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::process::{Command, Stdio};
use tempfile::TempDir;

const URL: &str = "postgres://user@host/dbname";
const PROGRAM: &str = env!("CARGO_BIN_EXE_migrate");

/// The commands of each `sh` block of a page.
fn blocks(page: &str) -> Vec<Vec<&str>> {
    let blocks = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap());
    blocks
        .map(|block| {
            let lines = block.lines().map(|line| line.split(" #").next().unwrap().trim());
            lines.filter(|line| !line.is_empty() && !line.starts_with('#')).collect()
        })
        .collect()
}

fn is_migrate(command: &str) -> bool {
    command.starts_with("migrate ")
}

/// A program on PATH.
fn script(path: &Path, body: &str) {
    fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
}

/// Runs a command line in `folder`, with the programs of its `bin` first on PATH.
fn run(command: &str, folder: &Path, prepare: impl FnOnce(&mut Command)) {
    let path = env::var("PATH").unwrap();
    let mut shell = Command::new("sh");
    shell.args(["-c", command]).current_dir(folder).stdin(Stdio::null());
    shell.env("PATH", format!("{}:{path}", folder.join("bin").display()));
    prepare(&mut shell);
    let output = shell.output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{command}\n{}", text(&output));
}

/// A time zone in which it is not about 04:30, so that the deadline of the page can be met.
fn time_zone() -> &'static str {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    if (3..6).contains(&(now.as_secs() / 3600 % 24)) { "UTC+12" } else { "UTC" }
}

/// Creates `app.db`.
fn app(folder: &Path) -> String {
    let path = folder.join("app.db");
    let _ = fs::remove_file(&path);
    sqlite3_script(
        &path,
        "CREATE TABLE visits (id INTEGER PRIMARY KEY, at INTEGER, page TEXT);
         INSERT INTO visits (at, page) VALUES (1700000000000, '/'), (1700000001000, '/about');
         CREATE TABLE log_2024 (line TEXT);",
    );
    path.to_str().unwrap().to_owned()
}

/// Runs the commands of a block that starts with `migrate`, each with a new target.
fn run_block(commands: &[&str]) {
    let folder = TempDir::new().unwrap();
    fs::create_dir(folder.path().join("bin")).unwrap();
    symlink(PROGRAM, folder.path().join("bin/migrate")).unwrap();
    for command in commands {
        assert!(is_migrate(command), "a block has migrate's commands or others: {command}");
        let database = server();
        let path = app(folder.path());
        let is_reverse = command.contains("--from postgres");
        if is_reverse || command.contains("--verify") {
            let output = migrate(["database", "--from", &path, "--to", &database.url]);
            assert_eq!(output.status.code(), Some(0), "{}", text(&output));
            psql(
                &database.url,
                "CREATE SCHEMA other; CREATE TABLE other.visits (LIKE visits INCLUDING ALL); \
                 CREATE TABLE other.log_2024 (LIKE log_2024)",
            );
        }
        if is_reverse
            && !["--clean", "--drop-all", "--verify"].iter().any(|flag| command.contains(flag))
        {
            fs::remove_file(&path).unwrap();
        }
        let mut line = command.replace(URL, &format!("'{}'", database.url));
        if line.starts_with("migrate bench") {
            // As little as can be measured.
            line = line.replace(" --rows 50M", "") + " --rounds 1 --quick";
            line += if line.contains("--from") { "" } else { " --rows 400" };
        }
        run(&line, folder.path(), |shell| {
            shell.env("TZ", time_zone());
        });
    }
}

#[test]
fn every_command_of_the_readme_works() {
    let blocks = blocks(include_str!("../README.md"));
    let count = blocks.iter().flatten().filter(|command| is_migrate(command)).count();
    assert!(count >= 10, "{count} commands were found");
    for block in blocks.iter().filter(|block| is_migrate(block[0])) {
        run_block(block);
    }
}

#[test]
fn every_command_of_the_guide_works() {
    for page in [include_str!("../docs/guide.md"), include_str!("../docs/types.md")] {
        for block in blocks(page) {
            run_block(&block);
        }
    }
}

#[test]
fn the_product_s_commands_of_the_readme_work_one_after_the_other() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    script(
        &tree.path("bin/migrate"),
        &format!("exec {PROGRAM} \"$@\" --root {}", tree.root().display()),
    );
    script(&tree.path("bin/sudo"), "exec \"$@\"");
    let blocks = blocks(include_str!("../README.md"));
    let commands: Vec<&str> =
        blocks.concat().into_iter().filter(|command| command.starts_with("sudo migrate")).collect();
    assert!(commands.len() >= 2, "{commands:?}");
    for command in commands {
        run(command, tree.root(), |_| {});
    }
    tree.assert_unchanged();
    let config = fs::read_to_string(tree.config()).unwrap();
    assert!(config.contains("Provider = postgres"), "{config}");
    assert_eq!(psql(&database.url, "SELECT count(*) FROM users"), "2");
}

#[test]
fn ci_runs_the_scripts_that_the_readme_names() {
    let test = include_str!("../scripts/test");
    for command in blocks(include_str!("../README.md")).concat() {
        let Some(script) = command.split(' ').next().filter(|word| word.starts_with("scripts/"))
        else {
            continue;
        };
        let ci = include_str!("../.ci/run");
        assert!(test.contains(&format!("\"{script} ")) || ci.contains(script), "{script}");
    }
}
