//! Who may run, and what must not be running.

use super::tree::{Tree, is_root, url};
use crate::harness::{Database, assert_code, assert_says, psql, run_psql, server, text};
use std::fs::{self, Permissions};
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Command, Stdio};

fn package_manager(database: &Database) -> Tree {
    Tree::package_manager(&format!("URL = {}", url(&database.url, None)))
}

/// The run is refused with `sign`, nothing is written, and --allow-running overrides.
#[track_caller]
fn refuses(tree: &Tree, database: &Database, sign: &str) {
    for arguments in [&["database"][..], &["database", "--verify"]] {
        let output = tree.run(arguments);
        assert_code(&output, 4);
        assert_says(
            &output,
            &["the service is running", sign, "systemctl stop rstudio-pm", "--allow-running"],
        );
    }
    assert_eq!(psql(&database.url, "SELECT to_regclass('users') IS NULL"), "t");
    let output = tree.run(&["database", "--allow-running"]);
    assert_code(&output, 0);
    assert_says(&output, &[sign, "verification may fail"]);
}

/// A process that has a file open, until it is dropped.
struct Holder(std::process::Child);

impl Holder {
    fn of(path: &Path) -> Self {
        let file = fs::File::open(path).unwrap();
        Self(Command::new("sleep").arg("600").stdin(file).spawn().unwrap())
    }
}

impl Drop for Holder {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_active_unit_is_a_running_service() {
    let database = server();
    let tree = package_manager(&database);
    tree.service("active");
    refuses(&tree, &database, "systemd reports rstudio-pm as active");
}

#[test]
fn an_accepting_socket_is_a_running_service() {
    let database = server();
    let tree = package_manager(&database);
    fs::create_dir_all(tree.path("var/run/rstudio-pm")).unwrap();
    let _listener = UnixListener::bind(tree.path("var/run/rstudio-pm/rstudio-pm.sock")).unwrap();
    refuses(&tree, &database, "rstudio-pm.sock accepts connections");
}

#[test]
fn a_socket_that_nobody_listens_on_is_none() {
    let database = server();
    let tree = package_manager(&database);
    fs::create_dir_all(tree.path("var/run/rstudio-pm")).unwrap();
    drop(UnixListener::bind(tree.path("var/run/rstudio-pm/rstudio-pm.sock")).unwrap());
    assert_code(&tree.run(&["database"]), 0);
}

#[test]
fn a_process_that_has_the_database_open_is_a_running_service() {
    let database = server();
    let tree = package_manager(&database);
    // Under another name: what counts is the file.
    let link = tree.path("link.db");
    fs::hard_link(tree.path("var/lib/rstudio-pm/db/packages.db"), &link).unwrap();
    let holder = Holder::of(&link);
    let sign = format!("process {} (sleep) has", holder.0.id());
    refuses(&tree, &database, &sign);
}

#[test]
fn without_a_product_a_process_that_has_the_database_open_counts_too() {
    let database = server();
    let source = crate::source::Source::of_sql("CREATE TABLE t (a)");
    let _holder = Holder::of(&source.path());
    let output = source.migrate(&database.url, &[]);
    assert_code(&output, 4);
    assert_says(&output, &["the database is in use", "(sleep) has"]);
    assert_code(&source.migrate(&database.url, &["--allow-running"]), 0);
}

#[test]
fn a_session_of_the_service_on_the_target_is_a_running_service() {
    let database = server();
    let tree = package_manager(&database);
    let join = if database.url.contains('?') { '&' } else { '?' };
    let named = format!("{}{join}application_name=rspm", database.url);
    let _client = postgres::Client::connect(&named, postgres::NoTls).unwrap();
    refuses(&tree, &database, "(rspm) of role");
}

#[test]
fn a_service_that_starts_during_the_run_fails_it_before_the_verdict() {
    let database = server();
    let tree = package_manager(&database);
    // The stand-in counts its calls: inactive before the copy, active from then on.
    let script = format!(
        "#!/bin/sh\necho x >> {0}/asked\n[ $(wc -l < {0}/asked) -le 3 ] && echo inactive || echo active\n",
        tree.root().display()
    );
    fs::write(tree.path("bin/systemctl"), script).unwrap();
    let output = tree.run(&["database"]);
    assert_code(&output, 1);
    assert_says(
        &output,
        &["it was started before the verification ended", "the source is unchanged"],
    );
    let state = "SELECT detail::json ->> 'state' FROM migrate_ledger WHERE chunk = -1";
    assert_eq!(psql(&database.url, state), "not_verified");
}

/// Runs the program as a user without rights who is a member of `group`, from a folder where that
/// user can reach it. Who is not root runs it as himself.
fn as_member(tree: &Tree, group: u32, arguments: &[&str]) -> std::process::Output {
    let program = tree.path("bin/migrate");
    if !program.exists() {
        fs::copy(env!("CARGO_BIN_EXE_migrate"), &program).unwrap();
    }
    fs::set_permissions(tree.root(), Permissions::from_mode(0o755)).unwrap();
    let mut command = match is_root() {
        true => {
            let mut command = Command::new("setpriv");
            command.args(["--reuid=65533", "--regid=65534"]).arg(format!("--groups={group}"));
            command.arg(&program);
            command
        }
        false => Command::new(&program),
    };
    command.args(arguments);
    if arguments[0] != "help" && arguments[0] != "--version" {
        command.arg("--root").arg(tree.root());
    }
    command.env_remove("HOME").stdin(Stdio::null());
    tree.surround(&mut command);
    command.output().unwrap()
}

#[test]
fn only_root_migrates_connect() {
    let tree = Tree::connect("URL = postgres://u@127.0.0.1:1/d");
    for arguments in [&["db"][..], &["db", "--verify"], &["plan"], &["provider", "postgres"]] {
        let output = as_member(&tree, 65534, arguments);
        assert_code(&output, 4);
        assert_says(&output, &["only root may migrate the databases of Connect", "sudo"]);
    }
    for arguments in [&["help"][..], &["help", "database"], &["--version"]] {
        assert_code(&as_member(&tree, 65534, arguments), 0);
    }
}

#[test]
fn members_of_the_service_s_group_migrate_package_manager() {
    let tree = Tree::package_manager("URL = postgres://u@127.0.0.1:1/d?sslmode=disable");
    let unit = tree.path("etc/systemd/system/rstudio-pm.service.d");
    fs::create_dir_all(&unit).unwrap();
    let group = if is_root() { 54321 } else { rustix::process::getegid().as_raw() };
    let serve_under = |group: u32| {
        let text = format!("[Service]\nUser=root\nGroup={group}\n");
        fs::write(unit.join("override.conf"), text).unwrap();
    };
    // The files that a member may read and write.
    for path in [
        "etc/rstudio-pm/rstudio-pm.gcfg",
        "var/lib/rstudio-pm/db/packages.db",
        "var/lib/rstudio-pm/db",
    ] {
        let path = tree.path(path);
        chown(&path, None, Some(group)).unwrap();
        let mode = if path.is_dir() { 0o770 } else { 0o660 };
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }
    serve_under(group + 1);
    let output = as_member(&tree, group, &["database"]);
    assert_code(&output, 4);
    assert_says(&output, &[&format!("members of the group {}", group + 1)]);
    serve_under(group);
    let output = as_member(&tree, group, &["database"]);
    // Accepted, until the connection to a missing server.
    assert_code(&output, 1);
    assert_says(&output, &["cannot connect to"]);
    tree.assert_unchanged();
}

#[test]
fn a_live_target_is_refused_and_only_warned_of_when_comparing() {
    let database = server();
    let tree = package_manager(&database);
    assert_code(&tree.run(&["database"]), 0);
    let mut config = fs::OpenOptions::new().append(true).open(tree.config()).unwrap();
    config.write_all(b"[Database]\nProvider = Postgres\n").unwrap();
    let output = tree.run(&["database", "--drop-all"]);
    assert_code(&output, 4);
    assert_says(&output, &["the target is the live database", "--allow-live-target"]);
    let output = tree.run(&["database", "--verify"]);
    assert_code(&output, 0);
    assert_says(&output, &["the target is the live database"]);
    assert_code(&tree.run(&["database", "--drop-all", "--allow-live-target"]), 0);
}

#[test]
fn connect_refuses_sqlite_as_target_unless_allowed() {
    let tree = Tree::connect("URL = postgres://u@127.0.0.1:1/d");
    let output = tree.run(&["db", "--from=pgx", "--to=sqlite3"]);
    assert_code(&output, 4);
    assert_says(&output, &["Connect does not support a migration back", "--allow-back"]);
    let output = tree.run(&["db", "--from=pgx", "--to=sqlite3", "--allow-back"]);
    assert!(!text(&output).contains("does not support a migration back"), "{}", text(&output));
}

#[test]
fn the_harness_sees_other_sessions() {
    // The tests above assume that a plain session on the database ends.
    let database = server();
    let count = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()";
    assert_eq!(text(&run_psql(&database.url, count)).trim(), "1");
}
