//! The command line from outside: arguments, output streams and exit codes.

use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_migrate");

fn migrate(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_remove("CLICOLOR_FORCE").output().unwrap()
}

/// Exit code, standard output, standard error.
fn run(arguments: &[&str]) -> (i32, String, String) {
    let output = migrate(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_goes_to_standard_output_and_without_a_command_to_standard_error() {
    let (code, help, err) = run(&["help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(help.lines().count() <= 24, "{help}");
    assert_eq!(run(&[]), (2, String::new(), help.clone()));
    for arguments in ["--help", "-help", "-h"] {
        assert_eq!(run(&[arguments]), (0, help.clone(), String::new()), "{arguments}");
    }
}

#[test]
fn help_of_a_command_has_its_flags() {
    let (code, help, _) = run(&["help", "database"]);
    assert_eq!(code, 0);
    for text in ["--max-differences <N>", "[default: 20]", "--from <SOURCE>", "[default: sqlite3]"]
    {
        assert!(help.contains(text), "{text}");
    }
    for arguments in [["database", "--help"], ["db", "-h"], ["help", "db"]] {
        assert_eq!(run(&arguments).1, help, "{arguments:?}");
    }
    assert!(run(&["help", "plan"]).1.contains("--write-casts <FILE>"));
    assert_eq!(run(&["help", "nothing"]).0, 2);
}

#[test]
fn the_version_is_printed() {
    let expected = format!("migrate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(run(&["--version"]), (0, expected, String::new()));
    assert_eq!(run(&["-V"]).0, 0);
}

#[test]
fn the_manual_page_is_roff() {
    let (code, page, err) = run(&["man"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(page.contains(".TH migrate 1"));
}

#[test]
fn a_usage_error_is_code_two_in_one_form() {
    let (code, out, err) = run(&["database", "--frm", "a.db"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: there is no flag --frm\n\nhint: did you mean --from?\n\
         hint: list its flags: migrate help database\n"
    );
    for arguments in [
        &["databse"][..],
        &["database", "--readers", "0"],
        &["database", "--memory", "1M"],
        &["database", "--from", "a.db", "--to", "pgx", "--cast", "nonsense"],
        &["database", "--from"],
        &["database", "--verify", "--drop-all"],
        &["database", "extra"],
        &["database"],
        &["plan"],
    ] {
        let (code, out, err) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

#[test]
fn two_of_one_kind_are_a_usage_error() {
    let (code, _, err) = run(&["database", "--from", "a.db", "--to", "b.db"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("error: source and target are both SQLite databases\n"), "{err}");
    assert_eq!(run(&["db", "-from", "postgres"]).0, 2);
}

#[test]
fn flags_may_have_one_dash_and_stand_before_the_command() {
    let both = "error: source and target are both SQLite databases\n";
    for arguments in [
        &["-from", "a.db", "-to=b.db", "database"][..],
        &["--from", "a.db", "db", "-to", "b.db"],
        &["--color", "never", "--to=b.db", "database", "-from=a.db"],
    ] {
        let (code, _, err) = run(arguments);
        assert_eq!(code, 2);
        assert!(err.starts_with(both), "{err}");
    }
}

#[test]
fn a_password_is_never_printed() {
    let url = "postgres://u:hunter2@127.0.0.1:1/d";
    for arguments in [
        &["database", url][..],
        &["database", "--from", url, "--to", url],
        &["database", "--form", url],
        &["database", "--from", "/nowhere/app.db", "--to", url],
        &[
            "database",
            "--from",
            "/nowhere/app.db",
            "--to",
            "host=127.0.0.1 port=1 password=hunter2",
        ],
    ] {
        let (code, out, err) = run(arguments);
        assert_ne!(code, 0);
        assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{arguments:?}: {err}");
    }
}

#[test]
fn json_on_standard_output_is_alone_there() {
    let to = "postgres://u@127.0.0.1:1/d";
    let arguments = ["database", "--from", "/nowhere/app.db", "--to", to, "--json", "-"];
    let (code, out, err) = run(&arguments);
    let value: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(value["exit_code"], code);
    assert!(err.starts_with("error: "), "{err}");
    assert!(err.contains("hint: the source is unchanged"), "{err}");
    assert!(
        err.contains(&format!(" database --from /nowhere/app.db --to {to} --json=-\n")),
        "{err}"
    );
}

#[test]
fn color_is_for_terminals_and_can_be_forbidden_or_forced() {
    // The variables of CI or of a user (CLICOLOR, SHELL) must not decide.
    let colored = |command: &mut Command| {
        let output = command.output().unwrap();
        let text = [output.stdout, output.stderr].concat();
        assert!(!text.is_empty(), "{command:?} printed nothing");
        (text.contains(&0x1b), String::from_utf8_lossy(&text).into_owned())
    };
    // script(1), which is part of every Debian, runs its command on a terminal of its own.
    let on_terminal = |variables: &[(&str, &str)], flags: &str| {
        let mut command = Command::new("script");
        command.args(["-qec", &format!("{PROGRAM} database -frm {flags}"), "/dev/null"]);
        command
            .env_clear()
            .env("SHELL", "/bin/sh")
            .env("PATH", "/usr/bin:/bin")
            .env("TERM", "xterm");
        colored(command.envs(variables.iter().copied()))
    };
    let plain = || {
        let mut command = Command::new(PROGRAM);
        command.env_clear();
        command
    };
    let (is_colored, text) = on_terminal(&[], "");
    assert!(is_colored, "{text}");
    assert!(!on_terminal(&[("NO_COLOR", "1")], "").0);
    assert!(!on_terminal(&[("TERM", "dumb")], "").0);
    assert!(!on_terminal(&[("CLICOLOR", "0")], "").0);
    assert!(!on_terminal(&[], "--color never").0);
    assert!(!colored(plain().arg("help")).0);
    assert!(colored(plain().args(["help", "--color=always"])).0);
}

#[test]
fn a_closed_pipe_is_not_a_failure() {
    let status = Command::new("sh")
        .args(["-c", &format!("{{ {PROGRAM} help; echo $? >&2; }} | true")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(status.stderr).unwrap(), "0\n");
}
