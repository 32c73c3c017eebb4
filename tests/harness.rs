//! Shared by all integration tests: databases of their own, the built program, and the databases' own
//! tools.
#![allow(dead_code, reason = "not every test uses every function")]

use migrate::internals::{Options, PrivateServer};
use std::env;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

/// The variable with the URL of a database on a server that all tests may share. Without it, each test
/// program starts a server of its own.
const SHARED: &str = "MIGRATE_TEST_SERVER";

/// An empty database on a shared server; dropping this drops it.
pub struct Database {
    /// Its name.
    pub name: String,
    /// Its URL, for `migrate`, the `postgres` crate and psql alike.
    pub url: String,
}

/// Creates a database.
pub fn server() -> Database {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let number = COUNT.fetch_add(1, Ordering::Relaxed);
    let name = format!("test_{}_{number}", std::process::id());
    psql(base_url(), &format!("CREATE DATABASE {name} TEMPLATE template0"));
    Database { url: url_of(&name), name }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A test that fails must not fail twice.
        let dropped =
            run_psql(base_url(), &format!("DROP DATABASE IF EXISTS {} WITH (FORCE)", self.name));
        if !dropped.status.success() && !std::thread::panicking() {
            panic!("cannot drop {}: {}", self.name, String::from_utf8_lossy(&dropped.stderr));
        }
    }
}

/// The URL of the database `postgres` on the shared server.
fn base_url() -> &'static str {
    static URL: OnceLock<String> = OnceLock::new();
    // Never dropped: the server ends with this process, as every private server does.
    static SERVER: OnceLock<PrivateServer> = OnceLock::new();
    URL.get_or_init(|| {
        env::var(SHARED).unwrap_or_else(|_| {
            let options = Options { durable: false, ..Options::default() };
            let server = PrivateServer::start(&options).expect("a private server");
            SERVER.get_or_init(|| server).url("postgres")
        })
    })
}

/// The URL of another database of the same server.
fn url_of(name: &str) -> String {
    let (before, query) = base_url().split_once('?').unwrap_or((base_url(), ""));
    let (server, _) = before.rsplit_once('/').expect("a URL with a database");
    format!("{server}/{name}?{query}")
}

/// Runs the built program without standard input and without the user's own settings.
pub fn migrate<I>(arguments: I) -> Output
where
    I: IntoIterator,
    I::Item: AsRef<OsStr>,
{
    migrate_command().args(arguments).output().expect("the program runs")
}

/// The built program, for tests that need more than its output.
pub fn migrate_command() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_migrate"));
    command.stdin(Stdio::null());
    for (name, _) in env::vars_os() {
        let name_bytes = name.as_encoded_bytes();
        if name_bytes.starts_with(b"PG") && name_bytes != b"PG_BIN" || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command
}

/// Both outputs of a run as one text.
pub fn text(output: &Output) -> String {
    let (out, err) = (&output.stdout, &output.stderr);
    format!("{}{}", String::from_utf8_lossy(out), String::from_utf8_lossy(err))
}

/// Asserts the exit code of a run.
#[track_caller]
pub fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "{}", text(output));
}

/// Asserts that the outputs of a run have all `words`.
#[track_caller]
pub fn assert_says(output: &Output, words: &[&str]) {
    let text = text(output);
    for word in words {
        assert!(text.contains(word), "no {word:?} in\n{text}");
    }
}

/// Returns the output of psql for `sql`: unaligned, without headings, values separated by `|`.
pub fn psql(url: &str, sql: &str) -> String {
    let output = run_psql(url, sql);
    assert!(output.status.success(), "psql: {sql}\n{}", text(&output));
    String::from_utf8(output.stdout).expect("UTF-8").trim_end_matches('\n').to_owned()
}

/// Runs psql; it may fail.
pub fn run_psql(url: &str, sql: &str) -> Output {
    Command::new(psql_program())
        .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", sql])
        .env("PGCLIENTENCODING", "UTF8")
        .stdin(Stdio::null())
        .output()
        .expect("psql runs")
}

/// The psql of `PG_BIN`, the newest one of Debian, or that on PATH. On Debian the one on PATH is a
/// wrapper in Perl, which takes six times as long.
fn psql_program() -> PathBuf {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut debian: Vec<PathBuf> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path().join("bin"))
        .collect();
    debian.sort();
    debian.reverse();
    env::var_os("PG_BIN")
        .map(PathBuf::from)
        .into_iter()
        .chain(debian)
        .chain(env::split_paths(&path))
        .map(|folder| folder.join("psql"))
        .find(|psql| psql.exists())
        .expect("psql: apt install postgresql")
}

/// Returns the result of `sql` on a SQLite database in the form of [`psql`]: one line per row,
/// values separated by `|`, NULL empty, BLOBs as `\x` and hexadecimal digits.
pub fn sqlite3(database: &Path, sql: &str) -> String {
    use rusqlite::types::ValueRef;
    let connection = rusqlite::Connection::open(database).expect("a SQLite database");
    let mut statement = connection.prepare(sql).expect(sql);
    let width = statement.column_count();
    let mut rows = statement.query([]).expect(sql);
    let mut lines = Vec::new();
    while let Some(row) = rows.next().expect(sql) {
        let values: Vec<String> = (0..width)
            .map(|column| match row.get_ref(column).expect(sql) {
                ValueRef::Null => String::new(),
                ValueRef::Integer(value) => value.to_string(),
                ValueRef::Real(value) => value.to_string(),
                ValueRef::Text(value) => String::from_utf8_lossy(value).into_owned(),
                ValueRef::Blob(value) => {
                    value.iter().fold("\\x".to_owned(), |hex, byte| hex + &format!("{byte:02x}"))
                }
            })
            .collect();
        lines.push(values.join("|"));
    }
    lines.join("\n")
}

/// Runs statements on a SQLite database; creates it if it is missing.
pub fn sqlite3_script(database: &Path, sql: &str) {
    let connection = rusqlite::Connection::open(database).expect("a SQLite database");
    connection.execute_batch(sql).expect(sql);
}

/// The SHA-256 of a file, by `sha256sum`.
pub fn sha256(path: &Path) -> String {
    let output = Command::new("sha256sum").arg("-b").arg("--").arg(path).output().unwrap();
    assert!(output.status.success(), "{}", text(&output));
    let line = String::from_utf8(output.stdout).unwrap();
    // sha256sum puts a backslash before the line if the name has a backslash or newline.
    line.trim_start_matches('\\').split(' ').next().unwrap().to_owned()
}
