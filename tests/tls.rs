//! Connecting to real servers, with and without TLS, in every `sslmode`, with certificates made
//! here.

mod certificates;
mod server;

use certificates::Certificates;
use migrate::internals::Environment;
use migrate::internals::TupleReader;
use migrate::internals::{Connection, Defaults};
use migrate::internals::{Driver, Session, connect, create_database};
use migrate::{Kind, Result};
use postgres::Client;
use server::Server;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const PASSWORD: &str = "tr0ub4dor&3";

/// Users of the server with TLS and how each may connect.
const RULES: &str = "\
local all all trust
hostssl all tls_only 127.0.0.1/32 scram-sha-256
hostnossl all plain_only 127.0.0.1/32 scram-sha-256
host all either 127.0.0.1/32 scram-sha-256
hostssl all certified 127.0.0.1/32 scram-sha-256 clientcert=verify-full
host all old_style 127.0.0.1/32 md5
";

fn parse(text: &str, environment: &Environment) -> Connection {
    Connection::parse(text, environment, Defaults::default())
        .unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn connect_in<D: Driver>(text: &str, environment: &Environment) -> Result<Session<D>> {
    Connection::parse(text, environment, Defaults::default())
        .and_then(|connection| connect(&connection, "test"))
}

/// The result of connecting: a word, or the error's text with its hints.
fn outcome(text: &str) -> String {
    let result = connect_in::<Client>(text, &Environment::default());
    // The driver that reads tuples connects in the same way.
    let reader = connect_in::<TupleReader>(text, &Environment::default());
    // Without digits: rustls prints the time in seconds, which may differ between the two.
    let ends = |error: &migrate::Error| error.to_string().replace(|c: char| c.is_ascii_digit(), "");
    assert_eq!(
        result.as_ref().map(|session| session.encrypted).map_err(ends),
        reader.as_ref().map(|session| session.encrypted).map_err(ends)
    );
    match result {
        Ok(session) if session.encrypted => "encrypted".to_owned(),
        Ok(_) => "plain".to_owned(),
        Err(error) => {
            let shown = format!("{error} {error:?}");
            assert!(!shown.contains("tr0ub4dor"), "{shown}");
            format!("{error}; {}", error.hints().join("; "))
        }
    }
}

fn expect(text: &str, expected: &str) {
    let outcome = outcome(text);
    assert!(outcome.contains(expected), "{text}\n wanted {expected}\n found  {outcome}");
}

fn make_roles(server: &Server) {
    let mut session = server.session();
    let mut make = |role: &str, method: &str| {
        let statements = format!(
            "SET password_encryption = '{method}'; CREATE ROLE {role} LOGIN PASSWORD '{PASSWORD}'"
        );
        session.client.batch_execute(&statements).unwrap();
    };
    for role in ["tls_only", "plain_only", "either", "certified"] {
        make(role, "scram-sha-256");
    }
    make("old_style", "md5");
}

#[test]
fn every_sslmode_has_libpq_s_meaning() {
    let made = Certificates::make();
    let mut server = Server::start(Some(&made), RULES);
    make_roles(&server);
    let port = server.port;
    let ca = made.path("ca.crt");
    let to = |user: &str, mode: &str, more: &str| {
        format!(
            "host=localhost hostaddr=127.0.0.1 port={port} dbname=postgres user={user} \
             password='{PASSWORD}' sslmode={mode} {more}"
        )
    };
    let with_ca = format!("sslrootcert={ca}");
    let with_other = format!("sslrootcert={}", made.path("other-ca.crt"));

    for (user, mode, expected) in [
        ("tls_only", "disable", "no encryption"),
        ("tls_only", "allow", "encrypted"),
        ("tls_only", "prefer", "encrypted"),
        ("tls_only", "require", "encrypted"),
        ("plain_only", "disable", "plain"),
        ("plain_only", "allow", "plain"),
        ("plain_only", "prefer", "plain"),
        ("plain_only", "require", "pg_hba.conf"),
        ("either", "disable", "plain"),
        ("either", "allow", "plain"),
        ("either", "prefer", "encrypted"),
        ("either", "require", "encrypted"),
        ("either", "verify-ca", "sslrootcert=FILE"),
        ("either", "verify-full", "sslrootcert=FILE"),
    ] {
        expect(&to(user, mode, ""), expected);
    }
    // A named root certificate is read in every mode; `prefer` then connects without TLS.
    for (mode, expected) in
        [("require", "encrypted"), ("verify-ca", "encrypted"), ("verify-full", "encrypted")]
    {
        expect(&to("either", mode, &with_ca), expected);
    }
    for (mode, expected) in [
        ("allow", "plain"),
        ("prefer", "plain"),
        ("require", "UnknownIssuer"),
        ("verify-ca", "UnknownIssuer"),
        ("verify-full", "authority that signed"),
    ] {
        expect(&to("either", mode, &with_other), expected);
    }
    expect(&to("either", "require", "sslrootcert=/nonexistent/root.crt"), "/nonexistent/root.crt");
    let by_address = |mode: &str| {
        format!(
            "hostaddr=127.0.0.1 port={port} dbname=postgres user=either password='{PASSWORD}' sslmode={mode} {with_ca}"
        )
    };
    expect(&by_address("verify-ca"), "encrypted");
    expect(&by_address("verify-full"), "needs a host name");
    expect(&by_address("verify-full host=127.0.0.1"), "encrypted");
    expect(&to("either", "verify-full ssl_max_protocol_version=TLSv1.2", &with_ca), "encrypted");
    expect(
        &to("either", "require", &format!("{with_ca} sslcrl={}", made.path("empty.crl"))),
        "encrypted",
    );
    expect(
        &to("either", "require", &format!("{with_ca} sslcrl={}", made.path("full.crl"))),
        "Revoked",
    );

    for (certificate, mode, more, expected) in [
        ("expired", "require", "", "encrypted"),
        ("expired", "prefer", &*with_ca, "plain"),
        ("expired", "require", &*with_ca, "renew the server's certificate"),
        ("expired", "verify-ca", &*with_ca, "expired"),
        ("expired", "verify-full", &*with_ca, "expired"),
        ("wrong-host", "require", &*with_ca, "encrypted"),
        ("wrong-host", "verify-ca", &*with_ca, "encrypted"),
        ("wrong-host", "verify-full", &*with_ca, "use the host name of the certificate"),
        // As PostgreSQL's documentation makes them: version 1 and the host in the common name.
        ("version-1", "require", "", "encrypted"),
        ("version-1", "verify-ca", &*with_ca, "encrypted"),
        ("version-1", "verify-full", &*with_ca, "encrypted"),
        ("version-1", "verify-full ssl_max_protocol_version=TLSv1.2", &*with_ca, "encrypted"),
        ("version-1", "verify-ca", &*with_other, "UnknownIssuer"),
        ("self-signed", "require", "", "encrypted"),
        ("self-signed", "verify-ca", &*with_ca, "UnknownIssuer"),
    ] {
        server.use_certificate(&made, certificate);
        expect(&to("either", mode, more), expected);
    }
    let itself = format!("sslrootcert={}", made.path("self-signed.crt"));
    expect(&to("either", "verify-ca", &itself), "encrypted");
    expect(&to("either", "verify-full", &itself), "encrypted");
}

#[test]
fn a_client_proves_itself_with_certificate_and_bound_password() {
    let made = Certificates::make();
    let server = Server::start(Some(&made), RULES);
    make_roles(&server);
    let port = server.port;
    let to = |user: &str, more: &str| {
        format!(
            "postgres://{user}:tr0ub4dor%263@localhost:{port}/postgres?hostaddr=127.0.0.1&{more}"
        )
    };
    expect(&to("either", "sslmode=require&channel_binding=require"), "encrypted");
    expect(&to("either", "sslmode=require&channel_binding=disable"), "encrypted");
    expect(
        &to("either", "sslmode=disable&channel_binding=require"),
        "needs TLS and a scram-sha-256",
    );
    expect(&to("old_style", "sslmode=require"), "encrypted");
    expect(
        &to("old_style", "sslmode=require&channel_binding=require"),
        "needs TLS and a scram-sha-256",
    );

    let certificate = |name: &str| {
        format!(
            "sslmode=require&sslcert={}&sslkey={}",
            made.path(&format!("{name}.crt")),
            made.path(&format!("{name}.key"))
        )
    };
    expect(&to("certified", "sslmode=require"), "valid client certificate");
    expect(&to("certified", &certificate("client")), "encrypted");
    expect(&to("certified", &certificate("stranger")), "does not accept the client certificate");
    let disabled = format!("{}&sslcertmode=disable", certificate("client"));
    expect(&to("certified", &disabled), "valid client certificate");
    let encrypted = certificate("client").replace("client.key", "encrypted.key");
    expect(&to("certified", &encrypted), "openssl pkey");
    let key = made.path("client.key");
    std::fs::set_permissions(&key, std::fs::Permissions::from_mode(0o644)).unwrap();
    expect(&to("certified", &certificate("client")), &format!(" {key}"));
    expect(&to("certified", &certificate("client")), "other users can read it");
}

#[test]
fn a_password_is_found_in_its_usual_sources_and_named_when_it_is_wrong() {
    let server = Server::start(None, RULES);
    make_roles(&server);
    let port = server.port;
    let home = tempfile::tempdir().unwrap();
    let environment =
        || Environment { home: Some(home.path().to_owned()), ..Environment::default() };
    let text = format!("postgres://either@127.0.0.1:{port}/postgres");
    let try_it =
        |environment: &Environment, text: &str| connect_in::<Client>(text, environment).map(|_| ());

    let error = try_it(&environment(), &text).unwrap_err();
    let shown = error.to_string();
    assert!(
        shown.contains("none was found")
            && shown.contains("PGPASSWORD")
            && shown.contains(".pgpass"),
        "{shown}"
    );

    try_it(&environment().with("PGPASSWORD", PASSWORD), &text).unwrap();
    let error = try_it(&environment().with("PGPASSWORD", "wrong-one"), &text).unwrap_err();
    assert!(error.hints().iter().any(|hint| hint.contains("variable PGPASSWORD")), "{error:?}");
    assert!(!format!("{error:?}").contains("wrong-one"));

    let private = |name: &str, text: String| {
        let file = home.path().join(name);
        std::fs::write(&file, text).unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        file.display().to_string()
    };
    private(
        ".pg_service.conf",
        format!("[app]\nhost=127.0.0.1\nport={port}\npassword={PASSWORD}\n"),
    );
    try_it(&environment(), "postgres://either@/postgres?service=app").unwrap();
    private(".pgpass", format!("127.0.0.1:{port}:*:either:{PASSWORD}\n"));
    try_it(&environment(), &text).unwrap();
}

#[test]
fn a_server_without_tls_takes_the_modes_that_do_without() {
    let made = Certificates::make();
    let server = Server::start(None, RULES);
    make_roles(&server);
    let (port, ca) = (server.port, made.path("ca.crt"));
    for (mode, expected) in [
        ("disable", "plain"),
        ("allow", "plain"),
        ("prefer", "plain"),
        ("require", "does not support TLS"),
        ("verify-ca", "enable TLS on the server"),
        ("verify-full", "does not support TLS"),
    ] {
        let text = format!(
            "postgres://either:tr0ub4dor%263@localhost:{port}/postgres?hostaddr=127.0.0.1&sslmode={mode}&sslrootcert={ca}"
        );
        expect(&text, expected);
    }
    // A unix socket needs no TLS in any mode.
    let socket = format!("{} sslmode=verify-full", server.socket_text());
    expect(&socket, "plain");
    // The password is tried once if TLS cannot be the cause.
    let wrong = outcome(&format!("postgres://either:wrong@127.0.0.1:{port}/postgres"));
    assert_eq!(wrong.matches("password authentication failed").count(), 1, "{wrong}");
}

#[test]
fn hosts_are_tried_in_turn_until_one_answers() {
    let server = Server::start(None, RULES);
    make_roles(&server);
    let (port, nobody) = (server.port, server::free_port());
    let to = |hosts: &str, more: &str| {
        format!("postgres://either:tr0ub4dor%263@{hosts}/postgres?{more}")
    };
    expect(&to(&format!("127.0.0.1:{nobody}"), ""), "no server listens on this address");
    expect(&to(&format!("host.invalid:{port}"), ""), "cannot resolve the host name `host.invalid`");
    expect(&to(&format!("127.0.0.1:{nobody},host.invalid:1,127.0.0.1:{port}"), ""), "plain");
    expect("host=/nonexistent user=either", "no server listens on this socket");
    // A server that answers and refuses has the last word.
    let refused =
        outcome(&format!("postgres://either:wrong@127.0.0.1:{port},127.0.0.1:{nobody}/postgres"));
    assert!(
        refused.contains("password authentication failed") && !refused.contains("listens"),
        "{refused}"
    );
    for (target, expected) in [
        ("read-write", "plain"),
        ("primary", "plain"),
        ("prefer-standby", "plain"),
        ("standby", "the server is not a standby"),
        ("read-only", "target_session_attrs"),
    ] {
        expect(
            &to(&format!("127.0.0.1:{port}"), &format!("target_session_attrs={target}")),
            expected,
        );
    }
    // Something that accepts and never says a word.
    let mute = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = mute.local_addr().unwrap().port();
    expect(
        &to(&format!("127.0.0.1:{silent}"), "connect_timeout=2&sslmode=disable"),
        "no answer within 2 s",
    );
}

#[test]
fn a_session_is_pinned_and_knows_the_schema_it_came_for() {
    let server = Server::start(None, RULES);
    make_roles(&server);
    let mut client = server.session().client;
    for statement in [
        "CREATE SCHEMA second",
        "ALTER SYSTEM SET statement_timeout = '1h'",
        "ALTER ROLE ALL SET timezone = 'Asia/Tokyo'",
        "ALTER ROLE ALL SET datestyle = 'German'",
        "ALTER ROLE ALL SET search_path = missing, second, public",
        "ALTER ROLE ALL SET lock_timeout = '1h'",
        "SELECT pg_catalog.pg_reload_conf()",
    ] {
        client.batch_execute(statement).unwrap();
    }
    let socket = server.socket_text();
    let mut session = connect_in::<Client>(&socket, &Environment::default()).unwrap();
    assert_eq!(session.schema.as_deref(), Some("second"));
    assert!((140_000..1_000_000).contains(&session.server_version));
    assert!(!session.encrypted);
    for (name, value) in [
        ("row_security", "off"),
        ("jit", "off"),
        ("search_path", "\"\""),
        ("TimeZone", "UTC"),
        ("DateStyle", "ISO, DMY"),
        ("IntervalStyle", "postgres"),
        ("extra_float_digits", "1"),
        ("client_encoding", "UTF8"),
        ("statement_timeout", "0"),
        ("lock_timeout", "0"),
        ("idle_in_transaction_session_timeout", "0"),
        ("idle_session_timeout", "0"),
        ("standard_conforming_strings", "on"),
        ("application_name", "migrate test"),
    ] {
        let row = session.client.query_one(&format!("SHOW {name}"), &[]).unwrap();
        assert_eq!(row.get::<_, String>(0), value, "{name}");
    }
    let schema = |more: &str| {
        connect_in::<Client>(&format!("{socket} {more}"), &Environment::default()).unwrap().schema
    };
    assert_eq!(schema("search_path=public").as_deref(), Some("public"));
    assert_eq!(schema("options=-csearch_path=public").as_deref(), Some("public"));
    assert_eq!(schema("search_path=missing"), None);
    let error = connect_in::<Client>(
        &format!("{socket} options=-cno_such_setting=1"),
        &Environment::default(),
    );
    assert!(error.err().unwrap().to_string().contains("no_such_setting"));
}

#[test]
fn a_missing_database_is_named_and_can_be_created() {
    let server = Server::start(None, RULES);
    let environment = Environment::default();
    let connection =
        parse(&server.socket_text().replace("dbname=postgres", "dbname='new \"db'"), &environment);
    let error = connect::<Client>(&connection, "test").err().unwrap();
    assert_eq!(error.message(), "the database `new \"db` does not exist");
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.hints()[0].starts_with("create it: createdb -h "), "{error}");
    assert!(create_database(&connection).unwrap());
    assert!(!create_database(&connection).unwrap());
    let mut session = connect::<Client>(&connection, "test").unwrap();
    let encoding = session.client.query_one("SHOW server_encoding", &[]).unwrap();
    assert_eq!(encoding.get::<_, String>(0), "UTF8");

    server
        .session()
        .client
        .batch_execute("CREATE DATABASE latin ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0")
        .unwrap();
    let latin =
        parse(&server.socket_text().replace("dbname=postgres", "dbname=latin"), &environment);
    let error = connect::<Client>(&latin, "test").err().unwrap();
    assert_eq!(error.kind(), Kind::Refused);
    assert!(error.message().contains("LATIN1"), "{error}");
}

#[test]
fn an_error_of_the_server_never_holds_a_cell() {
    use migrate::internals::errors;
    let server = Server::start(None, RULES);
    let mut client = server.session().client;
    client
        .batch_execute(
            "CREATE TABLE public.t (a text PRIMARY KEY, b int CHECK (b < 5)); \
             INSERT INTO public.t VALUES ('cell-4711', 1)",
        )
        .unwrap();
    for (statement, state, named) in [
        (
            "INSERT INTO public.t VALUES ('cell-4711', 1)",
            "23505",
            "table public.t, constraint t_pkey",
        ),
        ("INSERT INTO public.t VALUES ('cell-4711-b', 9)", "23514", "constraint t_b_check"),
        ("SELECT 'cell-4711'::int", "22P02", "invalid text representation"),
        ("DO $$ BEGIN RAISE 'cell-4711'; END $$", "P0001", "raised by a function"),
        ("SELECT * FROM public.nowhere", "42P01", "public.nowhere"),
    ] {
        let error = client.batch_execute(statement).unwrap_err();
        let shown = errors::describe(&error);
        assert!(shown.contains(named) && !shown.contains("4711"), "{shown}");
        assert_eq!(errors::sqlstate(&error), Some(state));
        assert!(!errors::is_connection_lost(&error));
    }
    let mut other = server.session().client;
    let me = "SELECT pg_catalog.pg_terminate_backend(pg_catalog.pg_backend_pid())";
    let error = other.batch_execute(me).unwrap_err();
    assert!(errors::is_connection_lost(&error), "{}", errors::describe(&error));
    let error = other.batch_execute("SELECT 1").unwrap_err();
    assert!(errors::is_connection_lost(&error), "{}", errors::describe(&error));
}

/// Gives a file to the user that the server runs as.
fn hand_over(path: &Path) {
    if let Some(user) = server::unprivileged_user() {
        std::os::unix::fs::chown(path, Some(user), Some(user)).unwrap();
    }
}
