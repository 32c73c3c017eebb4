//! Which data sets are moved from where to where, and in which order.

use super::tree::{FIRST, SECOND, Tree, url};
use crate::harness::{Database, assert_code, assert_says, psql, server, sqlite3, sqlite3_script};
use crate::waiting::wait_until;
use std::fs;
use std::process::Stdio;

/// Connect with each data set in a schema of its own.
fn connect(database: &Database) -> Tree {
    psql(&database.url, "CREATE SCHEMA core; CREATE SCHEMA instrumentation");
    let (core, instrumentation) =
        (url(&database.url, Some("core")), url(&database.url, Some("instrumentation")));
    Tree::connect(&format!("URL = {core}\r\nInstrumentationURL = {instrumentation}"))
}

fn count(database: &Database, table: &str) -> String {
    psql(&database.url, &format!("SELECT count(*) FROM {table}"))
}

fn exists(database: &Database, table: &str) -> bool {
    psql(&database.url, &format!("SELECT to_regclass('{table}') IS NOT NULL")) == "t"
}

#[test]
fn connect_moves_core_and_instrumentation_into_two_schemas() {
    let database = server();
    let tree = connect(&database);
    let output = tree.run(&["db"]);
    assert_code(&output, 0);
    assert_eq!(
        (count(&database, "core.users"), count(&database, "instrumentation.visits")),
        ("2".into(), "3".into())
    );
    let config = tree.config().display().to_string();
    assert_says(
        &output,
        &[
            "core -> core",
            "instrumentation -> instrumentation",
            "verdict: match; 5 rows in 2 tables",
            &config,
            " provider",
            "systemctl start rstudio-connect",
            "it cannot return to SQLite",
        ],
    );
    let verified = tree.run(&["db", "--verify"]);
    assert_code(&verified, 0);
    assert_says(&verified, &["verdict: match"]);
    let written = "SELECT 'core.users'::regclass::oid, 'instrumentation.visits'::regclass::oid";
    let before = psql(&database.url, written);
    let again = tree.run(&["db"]);
    assert_code(&again, 0);
    assert_says(&again, &["core was already copied", "instrumentation was already copied"]);
    assert_eq!(psql(&database.url, written), before);
    for flag in ["--drop-all", "--restart"] {
        let before = psql(&database.url, written);
        assert_code(&tree.run(&[flag, "database"]), 0);
        assert_ne!(psql(&database.url, written), before, "{flag}");
    }
}

#[test]
fn one_data_set_can_be_moved_alone_and_a_later_run_moves_the_other() {
    let database = server();
    let tree = connect(&database);
    assert_code(&tree.run(&["db", "-data", "core"]), 0);
    assert!(!exists(&database, "instrumentation.visits"));
    let written = "SELECT xmin::text || ctid::text FROM core.users ORDER BY id";
    let before = psql(&database.url, written);
    let output = tree.run(&["db"]);
    assert_code(&output, 0);
    assert_says(&output, &["core was already copied and verified", "verdict: match; 5 rows"]);
    assert_eq!(psql(&database.url, written), before, "the rows of core were not written again");
    assert_eq!(count(&database, "instrumentation.visits"), "3");
}

#[test]
fn a_run_after_one_that_broke_in_the_second_data_set_does_only_that_again() {
    let database = server();
    let tree = connect(&database);
    assert_code(&tree.run(&["db"]), 0);
    let broken =
        "UPDATE instrumentation.migrate_ledger SET detail = replace(detail, 'verified', 'copying')";
    psql(&database.url, broken);
    let written = "SELECT xmin::text || ctid::text FROM core.users ORDER BY id";
    let before = psql(&database.url, written);
    let refused = tree.run(&["db"]);
    assert_code(&refused, 4);
    assert_says(
        &refused,
        &["schema \"instrumentation\" of the target is half loaded", "--restart"],
    );
    for flag in ["--restart", "--drop-all"] {
        psql(&database.url, broken);
        let output = tree.run(&["db", flag]);
        assert_code(&output, 0);
        assert_says(&output, &["core was already copied"]);
        assert_eq!(psql(&database.url, written), before, "{flag}");
    }
    assert_eq!(count(&database, "instrumentation.visits"), "3");
    // A change of the target since then is found; nothing is skipped without a check.
    psql(&database.url, &format!("{broken}; DELETE FROM core.users WHERE id = 1"));
    assert_code(&tree.run(&["db", "--drop-all"]), 3);
}

/// A run that is killed while it waits for the first chunk of the second data set.
fn kill_in_instrumentation(tree: &Tree, database: &Database, schema: &str, arguments: &[&str]) {
    let mut client = postgres::Client::connect(&database.url, postgres::NoTls).unwrap();
    // The test's own sessions are those of the role that the service would use.
    let mut command = tree.command(&[arguments, &["--allow-running"]].concat());
    let mut child = command.stdout(Stdio::null()).spawn().unwrap();
    let mut is = |sql: &str| client.query_one(sql, &[]).is_ok_and(|row| row.get(0));
    let begun = format!("SELECT count(*) > 0 FROM {schema}.migrate_ledger WHERE data_set = 'core'");
    wait_until("it begins", || is(&begun));
    let mut somebody = postgres::Client::connect(&database.url, postgres::NoTls).unwrap();
    let row =
        format!("INSERT INTO {schema}.migrate_ledger VALUES ('instrumentation', 'visits', 1)");
    somebody.batch_execute(&format!("BEGIN; {row}")).unwrap();
    let waits = "SELECT count(*) > 0 FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
                 AND application_name LIKE 'migrate copy%' AND datname = current_database()";
    wait_until("it comes to the second one", || is(waits));
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn a_run_killed_in_the_second_data_set_resumes_there_and_drops_nothing_again() {
    for more in [&["db"][..], &["db", "--drop-all"]] {
        let database = server();
        let tree = Tree::connect(&format!("URL = {}", url(&database.url, None)));
        kill_in_instrumentation(&tree, &database, "public", more);
        let written = "SELECT 'users'::regclass::oid, 'visits'::regclass::oid";
        let before = psql(&database.url, written);
        let output = tree.run(more);
        assert_code(&output, 0);
        assert_says(
            &output,
            &["core was already copied", "resumes the run of 2", ": 0 of 1 chunk copied"],
        );
        assert_eq!(psql(&database.url, written), before);
        assert_eq!(count(&database, "visits"), "3");
        assert_eq!(
            psql(&database.url, "SELECT count(*) FROM migrate_ledger WHERE chunk <= 0"),
            "2"
        );
    }
}

#[test]
fn a_restart_drops_the_second_data_set_without_the_first() {
    let database = server();
    let tree = Tree::connect(&format!("URL = {}", url(&database.url, None)));
    kill_in_instrumentation(&tree, &database, "public", &["db"]);
    let before = psql(&database.url, "SELECT 'users'::regclass::oid");
    assert_code(&tree.run(&["db", "--restart"]), 0);
    assert_eq!(psql(&database.url, "SELECT 'users'::regclass::oid"), before);
    assert_eq!((count(&database, "users"), count(&database, "visits")), ("2".into(), "3".into()));
}

#[test]
fn an_earlier_run_counts_only_while_its_source_is_unchanged() {
    let database = server();
    let mut tree = connect(&database);
    assert_code(&tree.run(&["db", "-data", "core"]), 0);
    tree.database("var/lib/rstudio-connect/db/other.db", FIRST);
    let other = tree.path("var/lib/rstudio-connect/db/other.db");
    let output = tree.run(&["db", "--sqlite", other.to_str().unwrap()]);
    assert_code(&output, 4);
    assert_says(&output, &["not empty", "table \"users\""]);
}

#[test]
fn a_data_set_that_the_product_does_not_have_is_a_usage_error() {
    let tree = Tree::connect("URL = postgres://u@h/d");
    let output = tree.run(&["db", "-data", "usage"]);
    assert_code(&output, 2);
    assert_says(&output, &["Connect has no data set \"usage\"", "core or instrumentation"]);
    let tree = Tree::package_manager("URL = postgres://u@h/d");
    assert_says(&tree.run(&["db", "-data", "core"]), &["main or usage"]);
}

#[test]
fn instrumentation_falls_back_to_the_core_url_and_shares_its_schema() {
    let database = server();
    let tree = Tree::connect(&format!("URL = {}", url(&database.url, None)));
    assert_code(&tree.run(&["db"]), 0);
    assert_eq!((count(&database, "users"), count(&database, "visits")), ("2".into(), "3".into()));
    // Dropped once, not again for the second data set; and no table of either is lost.
    assert_code(&tree.run(&["db", "--drop-all"]), 0);
    assert_eq!((count(&database, "users"), count(&database, "visits")), ("2".into(), "3".into()));
}

#[test]
fn a_table_of_both_data_sets_of_one_schema_is_refused_in_the_plan() {
    let database = server();
    let tree = Tree::connect(&format!("URL = {}", url(&database.url, None)));
    let other = tree.path("other.db");
    sqlite3_script(&other, FIRST);
    let output = tree.run(&["db", "--instrumentation-sqlite", other.to_str().unwrap()]);
    assert_code(&output, 4);
    assert_says(&output, &["table \"users\" is in core and in instrumentation", "search_path"]);
    assert!(!exists(&database, "users"));
}

#[test]
fn package_manager_moves_main_alone_where_no_usage_data_is_stored() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    let output = tree.run(&["database"]);
    assert_code(&output, 0);
    assert_says(&output, &["main -> public", "the SQLite files become outdated"]);
    assert_eq!(count(&database, "users"), "2");
}

#[test]
fn usage_data_is_never_left_behind_in_silence() {
    let database = server();
    let target = url(&database.url, None);
    let mut tree = Tree::package_manager(&format!("URL = {target}"));
    tree.database("var/lib/rstudio-pm/db/usage-data.db", SECOND);
    let output = tree.run(&["database"]);
    assert_code(&output, 4);
    assert_says(&output, &["Postgres.UsageDataURL (usage) is not set"]);
    assert!(!exists(&database, "users"));
    let usage = server();
    let second = url(&usage.url, None);
    tree.configure(&format!("[Postgres]\nURL = {target}\nUsageDataURL = {second}\n"));
    assert_code(&tree.run(&["database"]), 0);
    assert_eq!((count(&database, "users"), count(&usage, "visits")), ("2".into(), "3".into()));
    assert_code(&tree.run(&["database", "--verify"]), 0);
}

#[test]
fn a_switch_that_is_on_without_a_database_is_refused_by_its_key() {
    let tree = Tree::package_manager("URL = postgres://u@h/d\n[Server]\nUsageDataEnabled");
    let output = tree.run(&["database"]);
    assert_code(&output, 4);
    assert_says(
        &output,
        &["Postgres.UsageDataURL (usage)", "SQLite.UsageDataDir (usage)", "--usage-sqlite"],
    );
}

#[test]
fn everything_that_is_missing_is_named_at_once_also_for_verify() {
    let tree = Tree::connect("");
    fs::rename(
        tree.path("var/lib/rstudio-connect/db/connect-instrumentation.db"),
        tree.path("moved.db"),
    )
    .unwrap();
    for arguments in [&["db"][..], &["db", "--verify"], &["plan"]] {
        let output = tree.command(arguments).output().unwrap();
        assert_code(&output, 4);
        assert_says(
            &output,
            &[
                "Postgres.URL (core) is not set",
                "Postgres.InstrumentationURL (instrumentation)",
                "SQLite.Dir (instrumentation)",
                "connect-instrumentation.db",
            ],
        );
    }
}

#[test]
fn files_are_where_the_configuration_says() {
    let database = server();
    let mut tree = Tree::package_manager("");
    tree.database("data/sqlite/one.db", FIRST);
    tree.database("data/sqlite/two.db", FIRST);
    let target = url(&database.url, None);
    tree.configure(&format!("[Postgres]\nURL={target}\n[Sqlite]\nDir=/data/sqlite\n"));
    let output = tree.run(&["database"]);
    assert_code(&output, 4);
    assert_says(&output, &["several files", "one.db, two.db", "--sqlite FILE"]);
    let two = tree.path("data/sqlite/two.db");
    assert_code(&tree.run(&["database", "--sqlite", two.to_str().unwrap()]), 0);
}

#[test]
fn a_configuration_file_of_another_name_is_relative_to_the_current_folder() {
    let database = server();
    let tree = Tree::package_manager("");
    let folder = tree.path("etc/rstudio-pm");
    let text = format!("[Postgres]\nURL = {}\n", url(&database.url, None));
    fs::write(folder.join("mycustomconfig.gcfg"), text).unwrap();
    let mut command = tree.command(&["--config", "mycustomconfig.gcfg", "database"]);
    assert_code(&command.current_dir(&folder).output().unwrap(), 0);
    let output = tree.run(&["--config", "/nowhere/rstudio-pm.gcfg", "database"]);
    assert_code(&output, 4);
    assert_says(&output, &["cannot read the configuration file /nowhere/rstudio-pm.gcfg"]);
}

#[test]
fn a_variable_overrides_the_file_and_a_broken_file_is_reported_by_line() {
    let database = server();
    let tree = Tree::package_manager("URL = postgres://u@127.0.0.1:1/d");
    let mut command = tree.command(&["database"]);
    command.env("PACKAGEMANAGER_POSTGRES_URL", &database.url);
    assert_code(&command.output().unwrap(), 0);
    tree.configure("[Postgres]\nURL = \"tr0ub4dor\n");
    let output = tree.run(&["database"]);
    assert_code(&output, 4);
    assert_says(&output, &["rstudio-pm.gcfg:2:7: string not terminated"]);
    assert!(!crate::harness::text(&output).contains("tr0ub4dor"));
}

#[test]
fn two_products_ask_which_and_none_asks_for_locations() {
    let tree = Tree::connect("");
    fs::create_dir_all(tree.path("etc/rstudio-pm")).unwrap();
    fs::write(tree.path("etc/rstudio-pm/rstudio-pm.gcfg"), "").unwrap();
    let output = tree.run(&["db"]);
    assert_code(&output, 2);
    assert_says(&output, &["--product connect"]);
    assert_says(
        &tree.run(&["db", "--product=package-manager"]),
        &["cannot find all databases of", "rstudio-pm.gcfg"],
    );
    let empty = tempfile::tempdir().unwrap();
    let root = empty.path().to_str().unwrap();
    let output = crate::harness::migrate(["database", "--root", root]);
    assert_code(&output, 2);
    assert_says(&output, &["no database location given", "--config FILE"]);
}

#[test]
fn an_absent_database_is_named_and_connect_s_usual_name_suggested() {
    let database = server();
    let absent = database.url.replacen(&database.name, &format!("{}_absent", database.name), 1);
    let tree = Tree::connect(&format!("URL = {}", url(&absent, None)));
    let output = tree.run(&["db", "-data=core"]);
    assert_says(&output, &["_absent` does not exist", "calls the database `connect`"]);
}

#[test]
fn a_cut_connection_string_is_warned_of_by_its_line() {
    let tree = Tree::package_manager("URL = postgres://u@127.0.0.1:1/d#b");
    let output = tree.run(&["plan"]);
    assert_code(&output, 1);
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {};x", url(&database.url, None)));
    let output = tree.run(&["plan"]);
    assert_code(&output, 0);
    assert_says(&output, &["rstudio-pm.gcfg:5:7: the value of Postgres.URL ends at a comment"]);
}

#[test]
fn a_backup_is_written_before_anything_else() {
    let database = server();
    let tree = Tree::package_manager(&format!("URL = {}", url(&database.url, None)));
    let folder = tempfile::tempdir().unwrap();
    let to = folder.path().to_str().unwrap();
    let output = tree.run(&["database", "--backup", to]);
    assert_code(&output, 0);
    assert_says(&output, &["backup created"]);
    let backups: Vec<_> = fs::read_dir(to).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(backups.len(), 1);
    assert!(backups[0].to_str().unwrap().contains("/packages.db."));
    assert_eq!(crate::harness::sqlite3(&backups[0], "SELECT name FROM users"), "ada\ngrace");
    let output = tree.run(&["database", "--drop-all", "--backup", "/nowhere"]);
    assert_code(&output, 2);
    assert_eq!(count(&database, "users"), "2");
}

/// A server that has no TLS: it says so, and ends the conversation. Returns its port.
fn without_tls() -> u16 {
    use std::io::{Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut request = [0; 8];
            // A client that disconnects is not a failure.
            let _ = stream.read_exact(&mut request).and_then(|()| stream.write_all(b"N"));
            let _ = stream.read(&mut [0; 512]);
        }
    });
    port
}

#[test]
fn connect_insists_on_tls_unless_its_url_says_otherwise() {
    let url = format!("postgres://u@127.0.0.1:{}/d", without_tls());
    let no_tls = "does not support TLS";
    let says = |tree: Tree| crate::harness::text(&tree.run(&["database"])).contains(no_tls);
    assert!(says(Tree::connect(&format!("URL = {url}"))));
    assert!(!says(Tree::connect(&format!("URL = {url}?sslmode=prefer"))));
    assert!(!says(Tree::package_manager(&format!("URL = {url}"))));
}

#[test]
fn a_location_with_a_provider_s_name_is_for_one_data_set() {
    let database = server();
    let tree = connect(&database);
    let other = tree.path("other.db");
    crate::harness::sqlite3_script(&other, "CREATE TABLE other (a); INSERT INTO other VALUES (1)");
    let other = other.to_str().unwrap();
    assert_code(&tree.run(&["db", "--from", other]), 0);
    assert_eq!(count(&database, "core.other"), "1");
    assert_code(&tree.run(&["db", "--from", other, "--data=instrumentation"]), 0);
    assert_eq!(count(&database, "instrumentation.other"), "1");
    assert_code(&tree.run(&["db", "--to", &database.url]), 0);
    assert_eq!(count(&database, "public.users"), "2");
    let both = ["db", "--from", other, "--to", &database.url, "--data=core"];
    let output = tree.run(&both);
    assert_code(&output, 2);
    assert_says(&output, &["--data cannot be used here"]);
}

/// Adds a table of the same name to both data sets, with a row that PostgreSQL cannot hold.
fn add_misfits(tree: &Tree) {
    for file in ["connect.db", "connect-instrumentation.db"] {
        let sql = "CREATE TABLE notes (id INTEGER PRIMARY KEY, \"migrate place\" TEXT); \
            INSERT INTO notes VALUES (1, 'fine'), (2, 'a' || char(0))";
        sqlite3_script(&tree.path("var/lib/rstudio-connect/db").join(file), sql);
    }
}

#[test]
fn rejected_rows_of_equally_named_tables_are_kept_apart() {
    let database = server();
    let tree = connect(&database);
    add_misfits(&tree);
    let rejects = tree.path("rejects.db");
    let flags = ["db", "--on-misfit", "reject", "--reject-file", rejects.to_str().unwrap()];
    let output = tree.command(&flags).output().unwrap();
    assert_code(&output, 0);
    for data_set in ["core", "instrumentation"] {
        let sql = format!("SELECT id, \"migrate place_\" FROM \"{data_set}.notes\"");
        assert_eq!(sqlite3(&rejects, &sql), "2|2");
        assert_eq!(count(&database, &format!("{data_set}.notes")), "1");
    }
}

#[test]
fn a_refusal_names_its_data_set_and_an_exclusion_says_that_it_concerns_all() {
    let database = server();
    let tree = connect(&database);
    add_misfits(&tree);
    let output = tree.command(&["db"]).output().unwrap();
    assert_code(&output, 4);
    assert_says(
        &output,
        &["this is in data set core", "to exclude \"notes\" of every data set, run: "],
    );
}
