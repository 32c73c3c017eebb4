//! `migrate bench`: its figures, and that it leaves nothing behind, however it ends.

use crate::harness::{
    Database, migrate, migrate_command, psql, run_psql, server, sha256, sqlite3_script, text,
};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// Every relation, schema and session setting of a database that a measurement could leave.
fn everything(database: &Database) -> String {
    psql(
        &database.url,
        "SELECT string_agg(c.oid || ' ' || n.nspname || '.' || c.relname || ' ' || c.relfilenode, \
           ', ' ORDER BY c.oid) \
         FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
         WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' \
         UNION ALL SELECT string_agg(nspname, ' ' ORDER BY nspname) FROM pg_namespace \
         WHERE nspname !~ '^pg_(toast_)?temp'",
    )
}

/// A file with more than plain tables: a text key, a generated column, a view, an index.
fn source(folder: &Path) -> PathBuf {
    let path = folder.join("app.db");
    sqlite3_script(
        &path,
        "CREATE TABLE event (id INTEGER PRIMARY KEY, what TEXT NOT NULL, body BLOB,
             twice AS (id * 2) STORED);
         CREATE TABLE word (word TEXT PRIMARY KEY, n REAL) WITHOUT ROWID;
         CREATE TABLE log_1 (a);
         WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
         INSERT INTO event (what, body) SELECT 'event ' || i, randomblob(100) FROM n;
         INSERT INTO word SELECT what, id / 3.0 FROM event;
         INSERT INTO log_1 VALUES ('text'), (x'00');
         CREATE VIEW recent AS SELECT id FROM event WHERE id > 400;
         CREATE INDEX event_what ON event (what);",
    );
    path
}

/// The names and digests of all files of a folder.
fn files(folder: &Path) -> Vec<(PathBuf, String)> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let mut files: Vec<_> = entries.map(|path| (path.clone(), sha256(&path))).collect();
    files.sort();
    files
}

/// Measures with temporary files and a private server in `folder`; asserts that it is empty afterwards.
fn measure(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = migrate_command();
    command.arg("bench").args(arguments).env("TMPDIR", folder);
    let output = command.output().unwrap();
    assert_eq!(fs::read_dir(folder).unwrap().count(), 0, "something is left in the folder");
    output
}

fn report(path: &Path) -> Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

/// Asserts that every stage has plausible figures.
fn assert_plausible(report: &Value, rounds: usize, rows: u64, ours: bool) {
    let stages = report["stages"].as_array().unwrap();
    let names: Vec<&str> = stages.iter().map(|stage| stage["stage"].as_str().unwrap()).collect();
    assert_eq!(names, ["scan", "encode", "hash", "limit", "copy_out", "insert", "copy", "whole"]);
    let bytes = report["subject"]["bytes"].as_u64().unwrap();
    for stage in stages {
        let number = |field: &str| stage[field].as_f64().unwrap();
        let (seconds, name) = (number("seconds"), &stage["stage"]);
        assert!(seconds > 0.0 && seconds < 60.0, "{stage}");
        assert_eq!(stage["seconds_of_rounds"].as_array().unwrap().len(), rounds, "{stage}");
        assert_eq!(stage["rows"], rows, "{stage}");
        assert!((number("rows_per_second") * seconds / rows as f64 - 1.0).abs() < 1e-6, "{stage}");
        assert!((number("bytes_per_second") * seconds / bytes as f64 - 1.0).abs() < 1e-6);
        assert!(number("client_cpu_seconds") > 0.0, "{stage}");
        assert!(number("peak_memory") > 1e6, "{stage}");
        let is_told = stage.get("server_cpu_seconds").is_some();
        assert_eq!(is_told, ours && name != "insert", "{stage}");
    }
    // One connection and two at least, and the best of them is the stage.
    let limits = report["limits"].as_array().unwrap();
    let seconds = |limit: &Value| limit["seconds"].as_f64().unwrap();
    let best = limits.iter().map(seconds).fold(f64::INFINITY, f64::min);
    assert!(limits.len() >= 2 && seconds(&stages[3]) == best, "{limits:?}");
    let phases = report["phases"].as_array().unwrap();
    let phases: Vec<&str> = phases.iter().map(|time| time["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["open", "profile", "plan", "copy", "finish", "verify"]);
    let ratio = |name: &str| report[name].as_f64().unwrap();
    assert!(ratio("copy_to_limit") > ratio("whole_to_limit") && ratio("whole_to_limit") > 0.0);
    assert_eq!(report.get("client_to_server_cpu").is_some(), ours);
    assert!(report["server_work"]["wal_bytes"].as_u64().unwrap() > bytes / 2);
    assert!(report["bottleneck"]["copy_reason"].as_str().unwrap().contains("MB/s"));
    assert_eq!(report["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(report["exit_code"], 0);
}

fn setting<'a>(report: &'a Value, name: &str) -> &'a Value {
    let mut all = report["settings"].as_array().unwrap().iter();
    all.find(|setting| setting["name"] == name).unwrap()
}

fn effects(setting: &Value) -> Vec<&str> {
    let effects = setting["effects"].as_array().unwrap().iter();
    effects.map(|effect| effect["work"].as_str().unwrap()).collect()
}

#[test]
fn a_private_server_is_measured_with_every_stage_the_sweep_and_its_settings() {
    let (folder, results) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let json = results.path().join("bench.json");
    let arguments = ["--rows", "400", "--rounds", "1", "--json", json.to_str().unwrap()];
    let output = measure(folder.path(), &arguments);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report = report(&json);
    assert_plausible(&report, 1, 400, true);
    assert_eq!(
        (&report["server"]["private"], &report["subject"]["seed"]),
        (&true.into(), &1.into())
    );
    let generator = &report["generator"];
    let rate = |field: &str| generator[field].as_f64().unwrap();
    let ratio = rate("rows_per_second") / rate("insert_rows_per_second");
    assert!((rate("of_the_limit") / ratio - 1.0).abs() < 1e-6, "{generator}");
    let cells = report["sweep"]["cells"].as_array().unwrap();
    assert_eq!(cells.len(), 4 * report["limits"].as_array().unwrap().len());
    let best = &report["sweep"]["best"];
    assert!(cells.iter().any(|cell| cell == best), "{best}");
    for (name, value, tried) in [
        ("wal_level", "replica", "minimal"),
        ("max_wal_size", "1GB", "16GB"),
        ("full_page_writes", "on", "off"),
    ] {
        let setting = setting(&report, name);
        assert_eq!((&setting["value"], &setting["tried"]), (&value.into(), &tried.into()));
        assert_eq!(effects(setting), ["limit", "copy", "finish"], "{setting}");
    }
    assert_eq!(effects(setting(&report, "synchronous_commit")), ["limit"]);
    for name in ["full_page_writes", "fsync"] {
        assert!(setting(&report, name)["advice"].as_str().unwrap().contains("RISKS THE DATA"));
    }
    assert!(effects(setting(&report, "fsync")).is_empty());
    let message = String::from_utf8(output.stdout).unwrap();
    for part in ["the server's limit", "verify ", "bottleneck", "--chunk-size", "max_wal_size"] {
        assert!(message.contains(part), "{part} in {message}");
    }
}

#[test]
fn a_user_s_own_file_is_measured_on_their_server_and_both_stay_as_they_were() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = source(data.path());
    let before = files(data.path());
    let database = server();
    psql(
        &database.url,
        "CREATE TABLE event (id bigint PRIMARY KEY); INSERT INTO event VALUES (7); \
         CREATE SCHEMA migrate_bench_of_somebody",
    );
    let there = everything(&database);
    let from = source.to_str().unwrap();
    let arguments = ["--from", from, "--to", &database.url, "--rounds", "2", "--json=-"];
    let output = measure(folder.path(), &[&arguments[..], &["--exclude", "log_*"]].concat());
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_plausible(&report, 2, 1_000, false);
    assert_eq!(
        (&report["subject"]["path"], &report["subject"]["tables"]),
        (&from.into(), &2.into())
    );
    assert!(report.get("generator").is_none());
    // On the user's server only settings of a session are tried.
    for name in ["wal_level", "max_wal_size", "shared_buffers", "full_page_writes"] {
        assert!(effects(setting(&report, name)).is_empty());
        assert!(setting(&report, name).get("tried").is_none());
    }
    assert_eq!(effects(setting(&report, "synchronous_commit")), ["limit"]);
    assert!(report["sweep"]["best"]["seconds_of_rounds"].as_array().unwrap().len() == 2);
    assert_eq!(everything(&database), there);
    assert_eq!(files(data.path()), before);
}

#[test]
fn schema_that_plain_sqlite_cannot_create_is_noted_and_the_rest_is_measured() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let path = data.path().join("app.db");
    sqlite3_script(
        &path,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT); INSERT INTO t VALUES (1, 'x');
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = replace(sql, 'a TEXT', 'a TEXT CHECK (a <> own(1))');",
    );
    let database = server();
    let arguments = ["--from", path.to_str().unwrap(), "--to", &database.url, "--quick"];
    let output = measure(folder.path(), &[&arguments[..], &["--rounds=1", "--json=-"]].concat());
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    assert_eq!(report["stages"].as_array().unwrap().len(), 7);
    let notes = report["notes"].to_string();
    assert!(notes.contains("insert limit was not measured: no such function"), "{notes}");
}

/// Starts a measurement that lasts for long, with temporary files in `folder`.
fn start(folder: &Path, arguments: &[&str]) -> Child {
    let mut command = migrate_command();
    command.args(["bench", "--rows", "60k"]).args(arguments).env("TMPDIR", folder);
    command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(120);
    while !is_so() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Sends SIGINT and waits for the end, which must come soon and say what it is.
fn interrupt(child: Child) -> Output {
    let sent = Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let since = Instant::now();
    let output = child.wait_with_output().unwrap();
    assert!(since.elapsed() < Duration::from_secs(30), "it took {:?}", since.elapsed());
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(text(&output).contains("error: interrupted"), "{}", text(&output));
    output
}

#[test]
fn an_interrupted_measurement_leaves_no_schema_and_no_file() {
    let folder = tempfile::tempdir().unwrap();
    let database = server();
    let there = everything(&database);
    // Once while rows are copied by a run, and once while ready blocks are sent.
    for table in ["migrate_ledger", "downloads"] {
        let child = start(folder.path(), &["--to", &database.url]);
        let sql = format!(
            "SELECT count(*) > 0 FROM pg_tables \
             WHERE schemaname LIKE 'migrate_bench_%' AND tablename = '{table}'"
        );
        wait_until("nothing was ever written", || {
            text(&run_psql(&database.url, &sql)).trim() == "t"
        });
        interrupt(child);
        assert_eq!(everything(&database), there);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}

#[test]
fn a_schema_that_cannot_be_dropped_is_named_with_the_statement_that_does() {
    let folder = tempfile::tempdir().unwrap();
    let database = server();
    let child = start(folder.path(), &["--to", &database.url]);
    // Somebody's view on a scratch table, which nothing here may take away.
    let sql = "DO $$ DECLARE it text; BEGIN \
               SELECT format('%I.%I', schemaname, tablename) INTO STRICT it FROM pg_tables \
               WHERE schemaname LIKE 'migrate_bench_%' AND tablename = 'users'; \
               EXECUTE 'CREATE VIEW public.theirs AS SELECT * FROM ' || it; END $$";
    wait_until("nothing was ever written", || run_psql(&database.url, sql).status.success());
    let output = child.wait_with_output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    let message = text(&output);
    let drop = message.split("drop it: ").nth(1).expect(&message).lines().next().unwrap();
    assert!(drop.starts_with("DROP SCHEMA \"migrate_bench_"), "{message}");
    psql(&database.url, drop);
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'migrate_bench_%'";
    assert_eq!(psql(&database.url, left), "0");
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_interrupted_measurement_ends_its_private_server() {
    let folder = tempfile::tempdir().unwrap();
    // Open to the user that the server runs as; made so afterwards, as the umask has no say then.
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let child = start(folder.path(), &[]);
    let in_folder = |beginning: &str, file: &str| {
        let entries = fs::read_dir(folder.path()).unwrap().flatten();
        let mut ours = entries
            .filter(|entry| entry.file_name().to_string_lossy().starts_with(beginning))
            .map(|entry| entry.path().join(file));
        ours.find(|path| path.exists())
    };
    // The rows are generated once the server runs.
    wait_until("no server was started", || in_folder("migrate-bench-", "usage.db").is_some());
    let pid_file = in_folder("migrate-pg-", "data/postmaster.pid").expect("a server");
    let pid_text = fs::read_to_string(pid_file).unwrap();
    let postmaster = PathBuf::from(format!("/proc/{}", pid_text.lines().next().unwrap()));
    assert!(postmaster.exists());
    interrupt(child);
    assert!(!postmaster.exists());
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_unmeasurable_source_is_refused_and_leaves_nothing() {
    let (folder, data) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let source = source(data.path());
    let source = source.to_str().unwrap();
    let other = data.path().join("other");
    fs::write(&other, "this is no database, and was never meant to be one").unwrap();
    let other = other.to_str().unwrap();
    let absent = "postgres://nobody@127.0.0.1:1/none";
    for (code, arguments, message) in [
        (1, &["--to", absent, "--rows", "100"][..], "cannot connect"),
        (4, &["--to", absent, "--from", "/nowhere/app.db"], "/nowhere/app.db"),
        (4, &["--to", absent, "--from", other], "not"),
        (2, &["--to", "app.db"], "--to is not a PostgreSQL server"),
        (2, &["--from", absent], "--from is not a SQLite file"),
        (2, &["--from", source, "--rows", "1M"], "--rows"),
        (2, &["--rows", "7"], "from 100"),
        (2, &["--rounds", "0"], "--rounds"),
        (2, &["--tables", "a*"], "need --from"),
        (2, &["--from", source, "--json", source], "belongs to a database"),
        (2, &["--temp-dir", "/nowhere"], "does not exist"),
    ] {
        let output = measure(folder.path(), arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {}", text(&output));
        assert!(text(&output).contains(message), "{arguments:?}: {}", text(&output));
    }
    let too_many =
        migrate(["bench", "--rows", "4G", "--temp-dir", folder.path().to_str().unwrap()]);
    assert_eq!(too_many.status.code(), Some(4), "{}", text(&too_many));
    assert!(text(&too_many).contains("too little space"), "{}", text(&too_many));
}

#[test]
fn a_role_that_may_not_create_a_schema_gets_a_message_with_the_missing_grant() {
    let folder = tempfile::tempdir().unwrap();
    let database = server();
    let role = format!("reader_of_{}", database.name);
    psql(&database.url, &format!("CREATE ROLE {role} LOGIN"));
    let (before, query) = database.url.split_once('?').unwrap();
    let (_, place) = before.rsplit_once('/').unwrap();
    let url = format!("postgres://{role}@/{place}?{query}");
    let output = measure(folder.path(), &["--to", &url, "--rows", "100"]);
    psql(&database.url, &format!("DROP ROLE {role}"));
    assert_eq!(output.status.code(), Some(4), "{}", text(&output));
    let message = text(&output);
    assert!(
        message.contains(&format!("GRANT CREATE ON DATABASE \"{}\"", database.name)),
        "{message}"
    );
}
