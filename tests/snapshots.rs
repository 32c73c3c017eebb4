//! Whole outputs of the program, without a terminal and on a terminal of 80 columns, compared with
//! the files in `tests/snapshots`. To accept a change, run the tests with `INSTA_UPDATE=always` and
//! read the difference.

use crate::harness::{Database, migrate_command, psql, server, sqlite3_script};
use crate::terminal::run_on_terminal;
use std::process::Command;
use tempfile::TempDir;

/// A source with a value that is rounded, a declared type that does not fit, a trigger and a view.
pub const SOURCE: &str = "
    CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, score INT);
    INSERT INTO users VALUES (1, 'ada', 10), (2, 'grace', 20), (3, 'edsger', NULL);
    CREATE TABLE visits (id INTEGER PRIMARY KEY, user_id INTEGER REFERENCES users, at DATETIME);
    INSERT INTO visits VALUES (1, 1, '2024-01-02 03:04:05'), (2, 2, '2024-01-02 03:04:05.123456789');
    CREATE INDEX visits_at ON visits (at);
    CREATE TRIGGER log AFTER INSERT ON users BEGIN SELECT 1; END;
    CREATE VIEW names AS SELECT name FROM users;
";

/// A source with a NUL character in a text, which PostgreSQL cannot hold.
pub const MISFIT: &str = "
    CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);
    INSERT INTO notes VALUES (1, 'fine'), (2, 'a' || char(0) || 'b');
";

/// An empty folder, which is the working directory, and an empty database.
pub struct Scenario {
    pub folder: TempDir,
    pub database: Database,
}

impl Scenario {
    /// A scenario with the source `app.db`.
    pub fn new(sql: &str) -> Self {
        let scenario = Self { folder: TempDir::new().unwrap(), database: server() };
        sqlite3_script(&scenario.folder.path().join("app.db"), sql);
        scenario
    }

    /// The program with `arguments`, of which `URL` is replaced by the database's.
    pub fn command(&self, arguments: &[&str]) -> Command {
        let mut command = migrate_command();
        let url = &self.database.url;
        command.args(arguments.iter().map(|argument| argument.replace("URL", url)));
        for variable in ["CLICOLOR", "CLICOLOR_FORCE", "COLUMNS", "NO_COLOR"] {
            command.env_remove(variable);
        }
        command.current_dir(self.folder.path());
        command
    }

    /// Runs the program and expects `code`.
    pub fn run(&self, arguments: &[&str], code: i32) {
        let output = self.command(arguments).output().unwrap();
        assert_eq!(output.status.code(), Some(code), "{}", crate::harness::text(&output));
    }

    pub fn sql(&self, sql: &str) {
        psql(&self.database.url, sql);
    }

    /// Output without what differs between two runs: locations, times, rates.
    fn redact(&self, text: &str) -> String {
        let folder = self.folder.path().canonicalize().unwrap();
        let mut text = text.to_owned();
        for (from, to) in [
            (env!("CARGO_BIN_EXE_migrate"), "migrate"),
            (&format!("'{}'", self.database.url), "URL"),
            (self.database.url.as_str(), "URL"),
            (self.database.name.as_str(), "DATABASE"),
            (folder.to_str().unwrap(), "/FOLDER"),
            (self.folder.path().to_str().unwrap(), "/FOLDER"),
        ] {
            text = text.replace(from, to);
        }
        text
    }
}

pub const DATABASE: [&str; 5] = ["database", "--from", "app.db", "--to", "URL"];
pub const BACK: [&str; 5] = ["database", "--from", "URL", "--to", "back.db"];

pub fn with<'a>(arguments: &[&'a str], more: &[&'a str]) -> Vec<&'a str> {
    [arguments, more].concat()
}

/// Runs `arguments` in two new scenarios, without and with a terminal, and compares the outputs
/// with the snapshot `name`.
fn snapshot(name: &str, sql: &str, arguments: &[&str], prepare: impl Fn(&Scenario)) {
    let scenario = Scenario::new(sql);
    prepare(&scenario);
    let output = scenario.command(arguments).output().unwrap();
    let text = |bytes| scenario.redact(&String::from_utf8(bytes).unwrap());
    let mut all =
        format!("$ migrate {}\nexit code {}\n", arguments.join(" "), output.status.code().unwrap());
    for (title, text) in [("output", text(output.stdout)), ("error", text(output.stderr))] {
        if !text.is_empty() {
            all.push_str(&format!("-------- standard {title}\n{text}"));
        }
    }
    let scenario = Scenario::new(sql);
    prepare(&scenario);
    let (code, screen) = run_on_terminal(scenario.command(arguments), "n\n");
    assert_eq!(Some(code), output.status.code(), "{screen}");
    all.push_str(&format!("-------- terminal\n{}", scenario.redact(&screen)));

    let mut settings = insta::Settings::clone_current();
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    // Lines of progress, which only a slow machine writes.
    settings.add_filter(r"(?m)^(open|profile|plan|measure|copy|finish|verify)(: .*)?\n", "");
    settings.add_filter(
        r"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z| UTC|[+-]\d\d:\d\d(\[.*?\])?)?",
        "TIME",
    );
    settings.add_filter(r"\d+\.\d\d s\b|\b\d+m \d\ds", "SECONDS");
    settings.add_filter(r"( B|kB|MB) +\d+\.\d\d +[\d,]+\b", "$1  SECONDS  RATE");
    settings.add_filter(r"( B|kB|MB) +0\.00\b", "$1  SECONDS  RATE");
    settings.add_filter(r"bytes +seconds +rows/s", "bytes  SECONDS  RATE");
    settings.add_filter(r"( B|kB|MB) {4,}(\S)", "$1  SECONDS  RATE  $2");
    // A comparison does not count bytes.
    settings.add_filter(r"(?m)^(  \S.*[\d,]) {8,}\d+\.\d\d\b.*$", "$1  SECONDS  RATE");
    settings.add_filter(r"postgres://[^/\s]+/DATABASE", "postgres://HOST/DATABASE");
    settings.add_filter(r"PostgreSQL \d+(\.\d+)?( \([^)]*\))?", "PostgreSQL VERSION");
    settings.add_filter(r"migrate [0-9]+\.[0-9]+\.[0-9]+\b", "migrate VERSION");
    settings.bind(|| insta::assert_snapshot!(name, all));
}

#[test]
fn help() {
    let nothing = |_: &Scenario| {};
    snapshot("help", "", &["help"], nothing);
    for command in [
        "database",
        "plan",
        "provider",
        "encrypt-config-value",
        "generate-key",
        "fingerprint",
        "bench",
        "help",
    ] {
        snapshot(&format!("help-{command}"), "", &["help", command], nothing);
    }
    snapshot("help-missing-command", "", &[], nothing);
    snapshot("man", "", &["man"], nothing);
}

#[test]
fn plans() {
    let plan = |database: &[&'static str]| with(&["plan"], &database[1..]);
    snapshot("plan", SOURCE, &plan(&DATABASE), |_| {});
    snapshot("plan-back", SOURCE, &plan(&BACK), |it| it.run(&DATABASE, 0));
    snapshot("plan-empty", "PRAGMA user_version = 1", &plan(&DATABASE), |_| {});
}

#[test]
fn reports() {
    snapshot("report", SOURCE, &DATABASE, |_| {});
    snapshot("report-back", SOURCE, &BACK, |it| it.run(&DATABASE, 0));
    snapshot("report-verified-already", SOURCE, &DATABASE, |it| it.run(&DATABASE, 0));
    snapshot("report-not-verified", SOURCE, &with(&DATABASE, &["--no-verify"]), |_| {});
    let reject = ["--on-misfit", "reject", "--reject-file", "rejects.db"];
    snapshot("report-rejected-rows", MISFIT, &with(&DATABASE, &reject), |_| {});
}

#[test]
fn verifications() {
    let verify = with(&DATABASE, &["--verify"]);
    snapshot("verify", SOURCE, &verify, |it| it.run(&DATABASE, 0));
    let tamper = |it: &Scenario, users: &str| {
        it.run(&DATABASE, 0);
        it.sql("DELETE FROM visits WHERE id = 1; DROP INDEX visits_at");
        it.sql(&format!("UPDATE users SET name = 'eve' WHERE {users}"));
    };
    snapshot("verify-differences", SOURCE, &verify, |it| tamper(it, "id = 2"));
    let values = with(&verify, &["--show-values", "--max-differences", "2"]);
    snapshot("verify-differences-values", SOURCE, &values, |it| tamper(it, "true"));
}

#[test]
fn usage_errors() {
    let nothing = |_: &Scenario| {};
    for (name, arguments) in [
        ("unknown-flag", &["database", "--frm", "app.db"][..]),
        ("unknown-command", &["databse"]),
        ("wrong-value", &["database", "--on-misfit", "drop"]),
        ("conflict", &["database", "--verify", "--drop-all"]),
        ("no-location", &["database", "--from", "app.db"]),
        ("same-kind", &["database", "--from", "app.db", "--to", "other.db"]),
        ("no-command", &["--from", "app.db"]),
        ("no-value", &["database", "--from", "--to", "URL"]),
        (
            "deadline",
            &["database", "--from", "app.db", "--to", "URL", "--deadline", "2020-01-01T00:00:00Z"],
        ),
    ] {
        snapshot(&format!("usage-{name}"), "", arguments, nothing);
    }
}

#[test]
fn refusals() {
    let nothing = |_: &Scenario| {};
    let refused = |name: &str, sql: &str, more: &[&str], prepare: &dyn Fn(&Scenario)| {
        snapshot(&format!("refused-{name}"), sql, &with(&DATABASE, more), prepare);
    };
    refused("misfit", MISFIT, &[], &nothing);
    refused("exact", SOURCE, &["--exact"], &nothing);
    refused("strict", SOURCE, &["--strict"], &nothing);
    let occupied =
        |it: &Scenario| it.sql("CREATE TABLE users (x int); INSERT INTO users VALUES (1)");
    refused("existing-table", SOURCE, &[], &occupied);
    let lost = |it: &Scenario| it.sql("CREATE TABLE pets (x int)");
    refused("lost-table", SOURCE, &["--drop-all"], &lost);
    refused("no-table-matches", SOURCE, &["--tables", "nothing*"], &nothing);
    refused("cast", SOURCE, &["--cast", "users.nothing=text"], &nothing);
    let no_file = ["database", "--from", "missing.db", "--to", "URL"];
    snapshot("refused-missing-source", SOURCE, &no_file, nothing);
    let garbage =
        |it: &Scenario| std::fs::write(it.folder.path().join("text"), "x".repeat(5000)).unwrap();
    snapshot(
        "refused-not-a-database",
        SOURCE,
        &["database", "--from", "text", "--to", "URL"],
        garbage,
    );
    let no_server = ["database", "--from", "app.db", "--to", "postgres://u:secret@127.0.0.1:1/d"];
    snapshot("refused-connection", SOURCE, &with(&no_server, &["--retry-for", "0"]), nothing);
    snapshot("refused-existing-file", SOURCE, &with(&BACK, &[]), |it| {
        it.run(&DATABASE, 0);
        sqlite3_script(&it.folder.path().join("back.db"), "CREATE TABLE t (x)");
    });
    snapshot("refused-half-loaded", SOURCE, &with(&DATABASE, &["--verify"]), |it| {
        it.run(&DATABASE, 0);
        it.sql(
            "UPDATE migrate_ledger SET detail = replace(detail, '\"verified\"', '\"copying\"') \
             WHERE chunk = -1",
        );
    });
}
