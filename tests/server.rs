//! The private PostgreSQL server: found, started, stopped, and gone when its parent is.

use crate::harness::{migrate_command, psql, run_psql, server, text};
use crate::terminal::run_on_terminal;
use crate::waiting::wait_until;
use migrate::internals::{Options, PrivateServer, Shutdown};
use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

fn quick() -> Options {
    Options { durable: false, ..Options::default() }
}

/// The processes whose working folder is a server's data folder.
fn processes_in(data: &Path) -> Vec<String> {
    let in_it = |entry: &fs::DirEntry| {
        fs::read_link(entry.path().join("cwd")).is_ok_and(|cwd| cwd.starts_with(data))
    };
    fs::read_dir("/proc")
        .unwrap()
        .flatten()
        .filter(in_it)
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The folder in a private server's URL.
fn folder_of(url: &str) -> PathBuf {
    let (_, host) = url.split_once("host=").unwrap();
    PathBuf::from(host.split('&').next().unwrap().replace("%2F", "/"))
}

/// The program, keeping a server until its standard input ends; and the server's URL.
fn child_with_a_server() -> (Child, String) {
    let mut command = migrate_command();
    command.args(["private-server", "--volatile"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut url = String::new();
    BufReader::new(child.stdout.take().unwrap()).read_line(&mut url).unwrap();
    (child, url.trim_end().to_owned())
}

#[test]
fn a_server_answers_and_leaves_nothing_behind() {
    let private = PrivateServer::start(&quick()).unwrap();
    let folder = private.folder().to_owned();
    let url = private.url("postgres");
    assert_eq!(psql(&url, "SHOW server_encoding"), "UTF8");
    assert_eq!(psql(&url, "SHOW listen_addresses"), "");
    assert_eq!(psql(&url, "SHOW fsync"), "off");
    let meta = fs::metadata(&folder).unwrap();
    assert_eq!(meta.permissions().mode() & 0o777, 0o700);
    let postmaster = format!("/proc/{}", private.postmaster_pid().unwrap());
    assert_ne!(fs::metadata(&postmaster).unwrap().uid(), 0, "a server must not run as root");
    assert!(private.tcp_url("postgres").is_none());
    private.stop().unwrap();
    assert!(!folder.exists());
    assert!(!Path::new(&postmaster).exists());
}

#[test]
fn a_durable_server_has_the_default_settings() {
    let private = PrivateServer::start(&Options::default()).unwrap();
    let changed = "SELECT string_agg(name, ' ' ORDER BY name) FROM pg_settings
                   WHERE source = 'configuration file' AND setting IS DISTINCT FROM boot_val
                   AND category !~ '(Locale|Reporting|Connection Settings)'";
    let url = private.url("postgres");
    // initdb itself sets these two for the machine at hand.
    let ours = psql(&url, changed).replace("max_wal_size", "").replace("min_wal_size", "");
    assert!(!ours.contains("fsync") && !ours.contains("full_page_writes"), "{ours}");
    assert_eq!(psql(&url, "SHOW fsync"), "on");
    assert_eq!(psql(&url, "SHOW synchronous_commit"), "on");
}

#[test]
fn settings_and_initdb_arguments_are_passed_on() {
    let settings = vec![
        ("cluster_name".to_owned(), "it's \\ mine".to_owned()),
        ("work_mem".to_owned(), "5MB".to_owned()),
        ("work_mem".to_owned(), "6MB".to_owned()),
    ];
    let initdb = vec!["--locale=C".to_owned(), "--encoding=SQL_ASCII".to_owned()];
    let private = PrivateServer::start(&Options { settings, initdb, ..quick() }).unwrap();
    let url = private.url("postgres");
    assert_eq!(psql(&url, "SHOW cluster_name"), "it's \\ mine");
    assert_eq!(psql(&url, "SHOW work_mem"), "6MB");
    assert_eq!(psql(&url, "SHOW server_encoding"), "SQL_ASCII");
}

#[test]
fn a_server_on_tcp_wants_its_password() {
    let private = PrivateServer::start(&Options { tcp: true, ..quick() }).unwrap();
    let url = private.tcp_url("postgres").unwrap();
    assert_eq!(psql(&url, "SELECT inet_server_addr()"), "127.0.0.1");
    let (_, after) = url.split_once('@').unwrap();
    let refused = run_psql(&format!("postgres://postgres:wrong@{after}"), "SELECT 1");
    assert!(text(&refused).contains("password authentication failed"), "{}", text(&refused));
    assert!(!private.folder().join("password").exists());
}

#[test]
fn a_setting_the_server_refuses_is_reported_with_the_log() {
    let settings = vec![("work_mem".to_owned(), "a lot".to_owned())];
    let error = PrivateServer::start(&Options { settings, ..quick() }).unwrap_err();
    assert!(error.message().contains("did not start"), "{error}");
    assert!(error.to_string().contains("invalid value for parameter \"work_mem\""), "{error}");
    assert!(error.hints().iter().any(|hint| hint.contains("PG_BIN")), "{error:?}");
}

#[test]
fn committed_rows_survive_a_killed_and_an_immediately_stopped_server() {
    let mut private = PrivateServer::start(&quick()).unwrap();
    let url = private.url("postgres");
    psql(&url, "CREATE TABLE t (a int)");
    for (how, rows) in [(Shutdown::Kill, "1"), (Shutdown::Immediate, "2"), (Shutdown::Fast, "3")] {
        psql(&url, "INSERT INTO t VALUES (1)");
        let before = private.postmaster_pid().unwrap();
        private.shut_down(how).unwrap();
        assert_eq!(private.postmaster_pid(), None);
        assert!(!Path::new(&format!("/proc/{before}")).exists());
        assert!(!run_psql(&url, "SELECT 1").status.success());
        private.restart().unwrap();
        assert_ne!(private.postmaster_pid(), Some(before));
        assert_eq!(psql(&url, "SELECT count(*) FROM t"), rows);
    }
}

#[test]
fn a_server_keeps_running_when_the_thread_that_started_it_has_ended() {
    let private = std::thread::spawn(|| PrivateServer::start(&quick()).unwrap()).join().unwrap();
    assert_eq!(psql(&private.url("postgres"), "SELECT 1"), "1");
}

#[test]
fn a_server_ends_with_its_killed_parent_and_takes_its_folder_along() {
    let (mut parent, url) = child_with_a_server();
    assert_eq!(psql(&url, "SELECT 1"), "1");
    let folder = folder_of(&url);
    // A session that is busy must go, too.
    let mut busy = Command::new("psql")
        .args(["-X", "-d", &url, "-c", "SELECT pg_sleep(600)"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let sleeping = "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'PgSleep'";
    wait_until("the session", || psql(&url, sleeping) == "1");
    assert!(!processes_in(&folder.join("data")).is_empty());
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("the folder's end", || !folder.exists());
    assert_eq!(processes_in(&folder.join("data")), Vec::<String>::new());
    assert!(!busy.wait().unwrap().success());
}

#[test]
fn nothing_is_left_when_the_server_and_then_its_parent_are_killed() {
    let (mut parent, url) = child_with_a_server();
    let folder = folder_of(&url);
    let file = fs::read_to_string(folder.join("data/postmaster.pid")).unwrap();
    let lines: Vec<&str> = file.lines().collect();
    let segment = lines[6].split_whitespace().nth(1).unwrap().to_owned();
    let exists = |segment: &str| {
        let all = fs::read_to_string("/proc/sysvipc/shm").unwrap();
        all.lines().any(|line| line.split_whitespace().nth(1) == Some(segment))
    };
    assert!(exists(&segment));
    // A session that computes does not notice the end of the server's first process.
    let endless = "SELECT count(*) FROM generate_series(1, 100000000000)";
    let mut busy = Command::new("psql")
        .args(["-X", "-d", &url, "-c", endless])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let running = "SELECT count(*) FROM pg_stat_activity WHERE query LIKE '%generate_series%'
                   AND pid <> pg_backend_pid()";
    wait_until("the session", || psql(&url, running) == "1");
    let killed = Command::new("kill").args(["-s", "KILL", lines[0]]).status().unwrap();
    assert!(killed.success());
    parent.kill().unwrap();
    parent.wait().unwrap();
    wait_until("the folder's end", || !folder.exists());
    assert_eq!(processes_in(&folder.join("data")), Vec::<String>::new());
    assert!(!exists(&segment));
    assert!(!busy.wait().unwrap().success());
}

#[test]
fn nothing_is_left_of_a_server_whose_parent_is_killed_while_it_starts() {
    let temporary = tempfile::tempdir().unwrap();
    // Afterwards, as the umask has a say in how folders are made.
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let count = || fs::read_dir(temporary.path()).unwrap().count();
    // Whatever the machine's speed, one of these moments is in the middle of each step.
    for pause in [0, 20, 100, 300, 600, 900, 1200, 1600] {
        let mut command = migrate_command();
        command.args(["private-server", "--volatile"]).env("TMPDIR", temporary.path());
        let mut parent = command.stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
        // From here on the watchdog owns the folder. Before, there is at most an empty folder.
        wait_until("the watchdog at work", || {
            let mut folders = fs::read_dir(temporary.path()).unwrap().flatten();
            folders.any(|folder| folder.path().join("log").exists())
        });
        std::thread::sleep(Duration::from_millis(pause));
        parent.kill().unwrap();
        parent.wait().unwrap();
        wait_until("the folder's end", || count() == 0);
        assert_eq!(processes_in(temporary.path()), Vec::<String>::new());
    }
}

#[test]
fn a_server_ends_when_its_parent_ends_by_itself() {
    let (mut parent, url) = child_with_a_server();
    let folder = folder_of(&url);
    drop(parent.stdin.take());
    assert!(parent.wait().unwrap().success());
    assert!(!folder.exists());
}

#[test]
fn a_command_finds_the_server_and_its_exit_code_is_passed_on() {
    let script = r#"test "$(psql -XAtc 'SELECT 6 * 7')" = 42 &&
        test "$(psql -XAt -d "$DATABASE_URL" -c 'SHOW work_mem')" = 7MB && echo "$PGHOST" && exit 9"#;
    let output = migrate_command()
        .args(["private-server", "--volatile", "--setting", "work_mem=7MB"])
        .args(["--", "sh", "-c", script])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(9), "{}", text(&output));
    let folder = String::from_utf8(output.stdout).unwrap();
    assert!(!Path::new(folder.trim_end()).exists());
}

#[test]
fn a_server_on_a_terminal_ends_at_the_end_of_the_input() {
    let mut command = migrate_command();
    command.args(["private-server", "--volatile"]);
    let (code, screen) = run_on_terminal(command, "\u{4}");
    assert_eq!(code, 0, "{screen}");
    assert!(screen.starts_with("postgres"), "{screen}");
    assert!(!folder_of(screen.trim_end()).exists());
}

/// Starts a server in a program with `PATH` and `PG_BIN` as given; what it says.
fn start_with(path: &str, pg_bin: Option<&Path>) -> (bool, String) {
    let mut command = migrate_command();
    command.args(["private-server", "--volatile", "--", "/bin/true"]).env("PATH", path);
    match pg_bin {
        Some(bin) => command.env("PG_BIN", bin),
        None => command.env_remove("PG_BIN"),
    };
    let output = command.output().unwrap();
    (output.status.success(), text(&output))
}

#[test]
fn the_programs_are_found_without_path_by_path_and_by_pg_bin() {
    let bin = PrivateServer::start(&quick()).unwrap().programs().to_owned();
    if Path::new("/usr/lib/postgresql").is_dir() {
        let (ok, said) = start_with("/nowhere", None);
        assert!(ok, "{said}");
    }
    // A link to the server alone, as a person may have made it.
    let folder =
        tempfile::Builder::new().permissions(fs::Permissions::from_mode(0o755)).tempdir().unwrap();
    std::os::unix::fs::symlink(bin.join("postgres"), folder.path().join("postgres")).unwrap();
    let (ok, said) = start_with(folder.path().to_str().unwrap(), None);
    assert!(ok, "{said}");
    let (ok, said) = start_with("/nowhere", Some(&bin));
    assert!(ok, "{said}");
}

#[test]
fn a_pg_bin_without_programs_is_refused_by_name() {
    let (ok, said) = start_with("/usr/bin:/bin", Some(Path::new("/nowhere/bin")));
    assert!(!ok);
    assert!(said.contains("/nowhere/bin") && said.contains("apt install postgresql"), "{said}");
}

#[test]
fn the_harness_gives_each_test_a_database_of_its_own() {
    let (a, b) = (server(), server());
    psql(&a.url, "CREATE TABLE t (a int)");
    assert_eq!(psql(&b.url, "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    let (name, url) = (a.name.clone(), b.url.clone());
    drop(a);
    let left = format!("SELECT count(*) FROM pg_database WHERE datname = '{name}'");
    assert_eq!(psql(&url, &left), "0");
}
