//! Passwords of a configuration: opened in all forms, and never emitted.

use super::tree::{Tree, url};
use crate::harness::{assert_code, assert_says, migrate_command, server, text};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Output, Stdio};

const PASSWORD: &str = "tr0ub4dor&3";

/// Runs the program with `input` on standard input.
fn with_input(arguments: &[&str], input: &str) -> Output {
    let mut command = migrate_command();
    let command = command.args(arguments).stdin(Stdio::piped());
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

fn line(output: &Output) -> String {
    assert_code(output, 0);
    String::from_utf8_lossy(&output.stdout).trim_end().to_owned()
}

/// A key file, and the password encrypted with it in both forms.
fn encrypted(path: &Path) -> [String; 2] {
    let key = path.to_str().unwrap();
    let made = line(&with_input(&["generate-key", "--key-file", key], ""));
    assert_eq!(line(&with_input(&["fingerprint", "--key-file", key], "")), made);
    assert_eq!(made.len(), 64);
    let encrypt = |more: &[&str]| {
        let arguments = [&["encrypt-config-value", "--key-file", key], more].concat();
        line(&with_input(&arguments, &format!("{PASSWORD}\n")))
    };
    [encrypt(&[]), encrypt(&["--fips"])]
}

#[test]
fn no_secret_is_ever_emitted() {
    let database = server();
    let tree = Tree::package_manager("");
    let key_file = tree.path("var/lib/rstudio-pm/rstudio-pm.key");
    let values = encrypted(&key_file);
    let key = fs::read_to_string(&key_file).unwrap();
    let json = tree.path("report.json");
    let json = json.to_str().unwrap();
    let unreachable = "\"postgres://u@127.0.0.1:1/d?sslmode=disable\"";
    let reachable = url(&database.url, None);
    for value in [PASSWORD, &values[0], &values[1]] {
        for (target, code) in [(&reachable[..], 0), (unreachable, 1)] {
            tree.configure(&format!("[Postgres]\nURL = {target}\nPassword = \"{value}\"\n"));
            for arguments in [
                &["database", "--drop-all", "--json", json][..],
                &["database", "--verify", "--json", json],
                &["plan", "--drop-all", "--json", json],
            ] {
                let output = tree.run(arguments);
                assert_code(&output, code);
                let message = text(&output) + &fs::read_to_string(json).unwrap();
                for secret in [PASSWORD, &values[0], &values[1], key.trim_end()] {
                    assert!(!message.contains(secret), "{arguments:?}:\n{message}");
                }
            }
        }
    }
}

#[test]
fn a_wrong_key_a_missing_key_and_a_truncated_value_have_different_errors() {
    let tree = Tree::connect("URL = postgres://u@127.0.0.1:1/d");
    let other = tree.path("other.key");
    let [value, _] = encrypted(&other);
    let configure = |value: &str| {
        tree.configure(&format!(
            "[Postgres]\nURL = postgres://u@127.0.0.1:1/d\nPassword = {value}\n"
        ));
    };
    configure(&value);
    let output = tree.run(&["db"]);
    assert_code(&output, 4);
    assert_says(
        &output,
        &[
            "Postgres.Password cannot be decrypted",
            "no key file found",
            "db/secret.key",
            "--key-file",
        ],
    );
    let key_file = tree.path("var/lib/rstudio-connect/db/secret.key");
    encrypted(&key_file);
    let output = tree.run(&["db"]);
    assert_code(&output, 4);
    assert_says(&output, &["rstudio-connect.gcfg:3", "another key", "db/secret.key"]);
    let named = ["db", "--key-file", other.to_str().unwrap()];
    assert_says(&tree.run(&named), &["cannot connect to"]);
    configure(&value[..value.len() - 1]);
    assert_says(&tree.run(&named), &["a part may be missing"]);
    fs::set_permissions(&key_file, Permissions::from_mode(0o640)).unwrap();
    let output = tree.run(&["fingerprint"]);
    assert_code(&output, 4);
    assert_says(&output, &["is open to other users", &format!("chmod 600 {}", key_file.display())]);
    for output in [tree.run(&["db"]), tree.run(&named)] {
        assert!(!text(&output).contains(&value[..20]), "{}", text(&output));
    }
}

#[test]
fn the_key_of_package_manager_may_come_from_its_setting_or_a_variable() {
    let tree = Tree::package_manager("");
    let elsewhere = tree.path("keys/own.key");
    fs::create_dir_all(elsewhere.parent().unwrap()).unwrap();
    encrypted(&elsewhere);
    tree.configure("[Server]\nEncryptionKeyPath = /keys/own.key\n");
    let expected =
        line(&with_input(&["fingerprint", "--key-file", elsewhere.to_str().unwrap()], ""));
    assert_eq!(line(&tree.run(&["fingerprint"])), expected);
    tree.configure("");
    assert_code(&tree.run(&["fingerprint"]), 4);
    let key = fs::read_to_string(&elsewhere).unwrap();
    let mut command = tree.command(&["fingerprint"]);
    let output = command.env("PACKAGEMANAGER_ENCRYPTION_KEY", key).output().unwrap();
    assert_eq!(line(&output), expected);
}

#[test]
fn a_key_file_is_never_overwritten_and_an_empty_value_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("key");
    let key = path.to_str().unwrap();
    assert_code(&with_input(&["generate-key", "--key-file", key], ""), 0);
    let before = fs::read(&path).unwrap();
    assert_code(&with_input(&["generate-key", "--key-file", key], ""), 4);
    assert_eq!(fs::read(&path).unwrap(), before);
    assert_code(&with_input(&["encrypt-config-value", "--key-file", key], "\n"), 4);
    assert_code(&with_input(&["encrypt-config-value", "--key-file", key, PASSWORD], ""), 2);
}

#[test]
fn a_mistyped_location_is_named_by_file_line_and_column_and_no_value_is_shown() {
    for (value, why) in [
        ("\"postgers://u:hunter2@127.0.0.1:1/d?sslmode=disable\"", "the scheme is neither"),
        ("postgers://u:hunter2@127.0.0.1:1/d", "the scheme is neither"),
        ("hunter2=hunter2", "an unknown key at character 1"),
        ("host=h hunter2=x", "an unknown key at character 8, after `host`"),
        ("host=h pasword=hunter2", "`pasword`; did you mean `password`?"),
        ("host=h password=hunter2 hunter2", "a key without a value at character 25"),
        ("\"postgres://u:hunter2@h:x/d\"", "expected postgres://"),
        ("service=hunter2", "the PostgreSQL service (service, PGSERVICE) is not defined"),
    ] {
        let tree = Tree::connect(&format!("URL = {value}"));
        for arguments in [&["db"][..], &["plan"], &["db", "--verify"]] {
            let output = tree.run(arguments);
            assert_code(&output, 4);
            let message = text(&output);
            assert!(!message.contains("hunter2"), "{value}: {message}");
            assert!(message.contains(why), "{value}: {message}");
            let is_at =
                message.contains("rstudio-connect.gcfg:") && message.contains("Postgres.URL");
            assert!(is_at || value.starts_with("service"), "{value}: {message}");
        }
    }
}

#[test]
fn no_form_of_a_location_on_the_command_line_shows_its_password() {
    for value in [
        "host=h pasword=hunter2",
        "host=h hunter2=x",
        "host=h password hunter2",
        "Host=h;Username=u;Password=hunter2",
        "Server=h;User Id=u;Pwd=hunter2",
        "password=hunter2",
        "PASSWORD = hunter2",
        "host=h user=u password=hunter2 hunter2",
        "jdbc:postgresql://h/d?user=u&password=hunter2",
        "postgers://u:hunter2@h/d?sslmode=disable",
        "u:hunter2@h/d",
        "u:hunter2://h/d",
        "//u:hunter2@h/d",
        "postgres//u:hunter2@h/d",
        "Server=h;uid=u;pw=hunter2",
        "server=h pw=hunter2",
        "server=h pin=hunter2",
        "pin=hunter2",
        "pw=hunter2",
        "postgres://u@127.0.0.1:1/d?pin=hunter2",
    ] {
        for (flag, other, file) in [("--from", "--to", "none.db"), ("--to", "--from", "none.db")] {
            for command in ["database", "plan"] {
                let mut run = migrate_command();
                // No server answers: port 1.
                run.args([command, flag, value, other, file]).env("PGHOST", "127.0.0.1");
                let output = run.env("PGPORT", "1").output().unwrap();
                assert!(!output.status.success());
                assert!(!text(&output).contains("hunter2"), "{value}: {}", text(&output));
            }
        }
    }
    let shows_none = |arguments: &[&str]| {
        let output = migrate_command().args(arguments).output().unwrap();
        assert_code(&output, 2);
        assert!(!text(&output).contains("hunter2"), "{}", text(&output));
    };
    for positional in ["host=h pasword=hunter2", "host=h pw=hunter2", "u/hunter2@h"] {
        shows_none(&["database", positional]);
        shows_none(&[positional]);
        shows_none(&["provider", positional]);
    }
    for value in ["postgres://u:hunter2@h/d", "host=h password=hunter2"] {
        shows_none(&["help", value]);
        shows_none(&["fingerprint", "--key-file", value]);
        for flag in ["--backup", "--casts", "--config", "--json", "--key-file", "--tables"] {
            shows_none(&["database", flag, value]);
        }
    }
}
