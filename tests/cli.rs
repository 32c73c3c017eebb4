//! The command line as a shell sees it: what is typed, what comes out where, the exit code.

use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_migrate");

fn migrate(arguments: &[&str]) -> Output {
    Command::new(PROGRAM).args(arguments).env_remove("CLICOLOR_FORCE").output().unwrap()
}

/// Exit code, standard output, standard error.
fn told(arguments: &[&str]) -> (i32, String, String) {
    let output = migrate(arguments);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn help_goes_to_standard_output_and_no_command_to_standard_error() {
    let (code, help, err) = told(&["help"]);
    assert_eq!((code, err.as_str()), (0, ""));
    for word in ["database", "plan", "--from", "--drop-all", "--write-casts", "[default: sqlite3]"]
    {
        assert!(help.contains(word), "{word}");
    }
    assert_eq!(told(&[]), (2, String::new(), help.clone()));
    assert_eq!(told(&["--help"]).1, help);
    assert_eq!(told(&["-help"]).1, help);
}

#[test]
fn help_of_a_command_tells_its_flags() {
    let (code, help, _) = told(&["help", "database"]);
    assert_eq!(code, 0);
    assert!(help.contains("--max-differences <N>") && help.contains("[default: 20]"));
    assert_eq!(told(&["database", "--help"]).1, help);
    assert_eq!(told(&["help", "nothing"]).0, 2);
}

#[test]
fn the_version_is_told() {
    let expected = format!("migrate {}\n", env!("CARGO_PKG_VERSION"));
    assert_eq!(told(&["--version"]), (0, expected, String::new()));
    assert_eq!(told(&["-V"]).0, 0);
}

#[test]
fn the_manual_page_is_roff() {
    let (code, page, err) = told(&["man"]);
    assert_eq!((code, err.as_str()), (0, ""));
    assert!(page.contains(".TH migrate 1"));
}

#[test]
fn a_usage_error_is_code_two_in_one_form() {
    let (code, out, err) = told(&["database", "--frm", "a.db"]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert_eq!(
        err,
        "error: there is no flag --frm\n\nhint: did you mean --from?\n\
         hint: migrate help tells every command and flag\n"
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
        let (code, out, err) = told(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(err.starts_with("error: "), "{err}");
    }
}

#[test]
fn two_of_one_kind_are_a_usage_error() {
    let (code, _, err) = told(&["database", "--from", "a.db", "--to", "b.db"]);
    assert_eq!(code, 2);
    assert!(err.starts_with("error: source and target are both SQLite databases\n"), "{err}");
    assert_eq!(told(&["db", "-from", "postgres"]).0, 2);
}

#[test]
fn flags_may_have_one_dash_and_stand_before_the_command() {
    let both = "error: source and target are both SQLite databases\n";
    for arguments in [
        &["-from", "a.db", "-to=b.db", "database"][..],
        &["--from", "a.db", "db", "-to", "b.db"],
        &["--color", "never", "--to=b.db", "database", "-from=a.db"],
    ] {
        let (code, _, err) = told(arguments);
        assert_eq!(code, 2);
        assert!(err.starts_with(both), "{err}");
    }
}

#[test]
fn a_password_is_never_told() {
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
        let (code, out, err) = told(arguments);
        assert_ne!(code, 0);
        assert!(!out.contains("hunter2") && !err.contains("hunter2"), "{arguments:?}: {err}");
    }
}

#[test]
fn json_on_standard_output_stands_there_alone() {
    let to = "postgres://u@127.0.0.1:1/d";
    let arguments = ["database", "--from", "/nowhere/app.db", "--to", to, "--json", "-"];
    let (code, out, err) = told(&arguments);
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
fn colour_is_for_terminals_and_may_be_forbidden_or_forced() {
    // Nothing of what CI or a user set decides: their CLICOLOR, their SHELL.
    let coloured = |command: &mut Command| {
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
        coloured(command.envs(variables.iter().copied()))
    };
    let plain = || {
        let mut command = Command::new(PROGRAM);
        command.env_clear();
        command
    };
    let (is_coloured, text) = on_terminal(&[], "");
    assert!(is_coloured, "{text}");
    assert!(!on_terminal(&[("NO_COLOR", "1")], "").0);
    assert!(!on_terminal(&[("TERM", "dumb")], "").0);
    assert!(!on_terminal(&[("CLICOLOR", "0")], "").0);
    assert!(!on_terminal(&[], "--color never").0);
    assert!(!coloured(plain().arg("help")).0);
    assert!(coloured(plain().args(["help", "--color=always"])).0);
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let status = Command::new("sh")
        .args(["-c", &format!("{{ {PROGRAM} help; echo $? >&2; }} | true")])
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(status.stderr).unwrap(), "0\n");
}
