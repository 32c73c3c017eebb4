use crate::config::connection::*;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

const PASSWORD: &str = "tr0ub4dor&3";

fn environment() -> Environment {
    Environment { user: Some("os-user".to_owned()), ..Environment::default() }
}

/// The environment of a user with this home folder.
fn at_home(home: &Path) -> Environment {
    Environment { home: Some(home.to_owned()), ..environment() }
}

fn parse_in(text: &str, environment: &Environment) -> Result<Connection> {
    Connection::parse(text, environment, Defaults::default())
}

fn parse(text: &str) -> Connection {
    parse_in(text, &environment()).unwrap_or_else(|error| panic!("{text}: {error}"))
}

fn password(connection: &Connection) -> Option<&str> {
    connection.hosts[0].password.as_ref().map(Secret::reveal)
}

fn write(folder: &Path, name: &str, text: &str, mode: u32) -> String {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode)).unwrap();
    file.display().to_string()
}

#[test]
fn accepted_strings_have_libpq_s_meaning() {
    let cases = [
        ("postgres://", "postgres://os-user@localhost:5432/os-user"),
        ("postgresql://h", "postgres://os-user@h:5432/os-user"),
        ("POSTGRES://u@h/d", "postgres://u@h:5432/d"),
        ("postgres://u@h", "postgres://u@h:5432/u"),
        ("postgres://u:p@h:5433/d", "postgres://u@h:5433/d"),
        ("postgres://u:p@ss@h/d", "postgres://u@h:5432/d"),
        ("postgres://u%40x:p%2F@h/d%20e", "postgres://u%40x@h:5432/d%20e"),
        ("postgres://u@[::1]:5433/d", "postgres://u@[::1]:5433/d"),
        ("postgres://u@a:1,b,[::1]:3/d", "postgres://u@a:1,b:5432,[::1]:3/d"),
        ("postgres://u@%2Ftmp%2Fpg:5433/d", "postgres://u@%2Ftmp%2Fpg:5433/d"),
        ("postgres:///d?host=/tmp/pg&user=a@b", "postgres://a%40b@%2Ftmp%2Fpg:5432/d"),
        ("postgres://u@h?dbname=d&port=1", "postgres://u@h:1/d"),
        ("postgres://u@h/d?pool_max_conns=4&sslmode=require", "postgres://u@h:5432/d"),
        ("postgres://u@/d?hostaddr=10.0.0.1", "postgres://u@10.0.0.1:5432/d"),
        ("host=h user=u dbname=d", "postgres://u@h:5432/d"),
        ("  host = h user='u u'  dbname=d\\ e ", "postgres://u%20u@h:5432/d%20e"),
        ("host=a,b port=1,2 user=u", "postgres://u@a:1,b:2/u"),
        ("host=a,b port=7 user=u", "postgres://u@a:7,b:7/u"),
        ("host='' user=u dbname=''", "postgres://u@localhost:5432/u"),
        ("user=u pool_max_conns=3", "postgres://u@localhost:5432/u"),
        ("", "postgres://os-user@localhost:5432/os-user"),
    ];
    for (text, expected) in cases {
        assert_eq!(parse(text).display(), expected, "{text}");
    }
}

#[test]
fn refused_strings_are_refused_by_the_name_of_the_key() {
    let cases = [
        ("postgres://u@h:x/d", "expected"),
        ("postgres://u@[::1/d", "expected"),
        ("postgres://u%zz@h/d", "expected"),
        ("postgres://u%ff@h/d", "expected"),
        ("postgres://u@h/d?novalue", "expected"),
        ("postgres://u@h/d?bad-name=1", "expected"),
        ("postgres://u@h/d?sslmode=maybe", "`sslmode`"),
        ("postgres://u@h/d?connect_timeout=soon", "`connect_timeout`"),
        ("postgres://u%00@h/d", "`user`"),
        ("postgres://u@h:0/d", "`port`"),
        ("postgres://u@a,b/d?port=1,2,3", "`port`"),
        ("postgres://u@a/d?hostaddr=1.1.1.1,2.2.2.2", "`hostaddr`"),
        ("postgres://u@a/d?hostaddr=name", "`hostaddr`"),
        ("postgres://u@a/d?require_auth=scram-sha-256", "`require_auth`"),
        ("postgres://u@a/d?gssencmode=require", "`gssencmode`"),
        ("postgres://u@a/d?sslnegotiation=direct&sslmode=prefer", "`sslnegotiation`"),
        ("postgres://u@a/d?sslrootcert=system&sslmode=require", "`sslmode`"),
        ("postgres://u@a/d?ssl_max_protocol_version=TLSv1.1", "`ssl_max_protocol_version`"),
        ("postgres://u@a/d?channel_binding=yes", "`channel_binding`"),
        ("postgres://u@a/d?target_session_attrs=master", "`target_session_attrs`"),
        ("host=h hst=x", "`hst`; did you mean `host`?"),
        ("host=h pasword=x", "`pasword`; did you mean `password`?"),
        ("host=h unrelated=x", "an unknown key at character 8, after `host`"),
        ("  é=1", "an unknown key at character 3"),
        ("postgers://u@h/d?sslmode=disable", "the scheme is neither"),
        ("host=h port", "`host`"),
        ("host='h", "`host`"),
        ("host=h port=65536", "`port`"),
        ("host=@abstract", "`host`"),
        // In libpq's syntax the second quote ends the value. The rest has no `=`.
        ("host=a user=x user=u application_name='it''s'", "`application_name`"),
    ];
    for (text, named) in cases {
        let error = parse_in(text, &environment()).expect_err(text);
        assert_eq!(error.kind(), crate::Kind::Refused, "{text}");
        assert!(error.to_string().contains(named), "{text}: {error}");
    }
}

#[test]
fn a_password_is_in_no_error_whatever_is_wrong_with_the_string() {
    let texts = [
        "postgres://u:SECRET@h:x/d",
        "postgres://u:SECRET/SECRET@h/d",
        "postgres://u:12/SECRET@h/d",
        "postgres://u:12/3?SECRET=SECRET@h/d",
        "postgres://u:1?SECRET@h/d",
        "postgres://u:SECRET",
        "postgres://u:SECRET%@h/d",
        "postgres://u:SECRET@h/d?sslmode=SECRET",
        "postgres://u:SECRET@h/d?connect_timeout=SECRET",
        "postgres://u@h/d?password=SECRET&port=SECRET",
        "postgres://u@h/d?password=SECRET&SECRET",
        "postgres://u@h/d?password=SECRET%00",
        "host=h password=SECRET SECRET",
        "host=h password=SECRET SECRET=SECRET",
        "host=h password='SECRET",
        "host=h password SECRET",
        "host=h port=SECRET",
        "postgers://u:SECRET@h/d",
        "postgers://u:SECRET@h/d?sslmode=disable",
        "jdbc:postgresql://h/d?user=u&password=SECRET",
        "postgres://u@h/d?SECRET=%00",
        "SECRET=SECRET",
        "SECRET = 'SECRET",
        "u:SECRET@h/d=x",
        "Server=h;Password=SECRET",
        "host=h SECRET=x",
        "service=SECRET",
        "sslmode=SECRET",
        "hostaddr=SECRET",
    ];
    // The replacement of SECRET could also be a key.
    for text in texts.map(|text| text.replace("SECRET", "tr0ub4dor")) {
        let error = parse_in(&text, &environment()).expect_err(&text);
        let shown = format!("{error} {error:?}");
        assert!(!shown.contains("tr0ub4dor"), "{text}: {shown}");
    }
}

#[test]
fn a_connection_never_shows_its_password() {
    let connection = parse("postgres://u:tr0ub4dor%263@h/d");
    assert_eq!(password(&connection), Some(PASSWORD));
    let shown = format!("{connection:?} {:#?} {}", connection.hosts, connection.display());
    assert!(!shown.contains("tr0ub4dor"), "{shown}");
}

#[test]
fn passwords_keep_their_odd_characters() {
    for (text, expected) in [
        ("postgres://u:p%20a%2Fb@h/d", "p a/b"),
        ("postgres://u:a:b@h/d", "a:b"),
        ("postgres://u:a#b@h/d", "a#b"),
        ("postgres://u:a+b@h/d", "a+b"),
        ("postgres://u@h/d?password=a=b", "a=b"),
        (r"password='it\'s \\ it' user=u", r"it's \ it"),
        (r"password=a\ b'c user=u", "a b'c"),
        ("password=pä user=u", "pä"),
    ] {
        assert_eq!(password(&parse(text)), Some(expected), "{text}");
    }
}

#[test]
fn a_setting_of_the_server_becomes_an_option() {
    let options = |text| parse(text).options;
    let raw = "postgres://u@h/d?options=-csearch_path=instrumentation&sslmode=require";
    assert_eq!(options(raw).as_deref(), Some("-csearch_path=instrumentation"));
    assert_eq!(parse(raw).tls.mode, SslMode::Require);
    assert_eq!(
        options("postgres://u@h/d?options=-c%20a%3Db&search_path=x,%20y&work_mem=1MB").as_deref(),
        Some(r"-c a=b -c search_path=x,\ y -c work_mem=1MB"),
    );
    assert_eq!(options(r"search_path='a\\b' user=u").as_deref(), Some(r"-c search_path=a\\b"));
    assert_eq!(options("user=u"), None);
}

#[test]
fn the_environment_fills_only_what_is_missing() {
    let environment = environment()
        .with("PGHOST", "env-host")
        .with("PGPORT", "7777")
        .with("PGUSER", "env-user")
        .with("PGDATABASE", "env-db")
        .with("PGPASSWORD", PASSWORD)
        .with("PGSSLMODE", "disable");
    let connection = parse_in("", &environment).unwrap();
    assert_eq!(connection.display(), "postgres://env-user@env-host:7777/env-db");
    assert_eq!(password(&connection), Some(PASSWORD));
    assert_eq!(connection.password_origin, Some(Origin::Variable("PGPASSWORD")));
    assert_eq!(connection.tls.mode, SslMode::Disable);
    let connection = parse_in("postgres://u:p@h:1/d?sslmode=allow", &environment).unwrap();
    assert_eq!(connection.display(), "postgres://u@h:1/d");
    assert_eq!(password(&connection), Some("p"));
    assert_eq!(connection.tls.mode, SslMode::Allow);
    let error = parse_in("", &environment.with("PGPORT", "x")).unwrap_err();
    assert!(error.message().contains("PGPORT"), "{error}");
}

#[test]
fn a_missing_sslmode_is_the_one_that_the_caller_names() {
    let defaults = Defaults { sslmode: SslMode::Require, ..Defaults::default() };
    let mode = |text, defaults| Connection::parse(text, &environment(), defaults).unwrap().tls.mode;
    assert_eq!(mode("postgres://h", Defaults::default()), SslMode::Prefer);
    assert_eq!(mode("postgres://h", defaults.clone()), SslMode::Require);
    assert_eq!(mode("postgres://h?sslmode=disable", defaults.clone()), SslMode::Disable);
    assert_eq!(mode("postgres://h?ssl=true", Defaults::default()), SslMode::Require);
    assert_eq!(mode("postgres://h?sslrootcert=system", defaults), SslMode::VerifyFull);
}

#[test]
fn the_configurations_password_replaces_a_missing_one_in_the_string() {
    let environment = environment().with("PGPASSWORD", "from-variable");
    for (text, expected) in
        [("postgres://u@h", "configured"), ("postgres://u:written@h", "written")]
    {
        let configured = Some(Secret::new("configured".to_owned()));
        let defaults = Defaults { password: configured, ..Defaults::default() };
        let connection = Connection::parse(text, &environment, defaults).unwrap();
        assert_eq!(password(&connection), Some(expected), "{text}");
    }
}

#[test]
fn a_password_file_gives_each_host_its_own_password() {
    let home = tempfile::tempdir().unwrap();
    let text = "a:*:*:u:one\nb:5433:d:u:two\nlocalhost:*:*:u:local\n/other:*:*:u:other\n";
    write(home.path(), ".pgpass", text, 0o600);
    let socket_folders = vec![home.path().to_owned()];
    let environment = Environment { socket_folders, ..at_home(home.path()) };
    let found = |text: &str| -> Vec<Option<String>> {
        let connection = parse_in(text, &environment).unwrap();
        let hosts = connection.hosts.into_iter();
        hosts.map(|host| host.password.map(|password| password.reveal().to_owned())).collect()
    };
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(found("postgres://u@a,b:5433,c/d"), [some("one"), some("two"), None]);
    assert_eq!(found(&format!("host={} user=u", home.path().display())), [some("local")]);
    assert_eq!(found("host=/other user=u"), [some("other")]);
    assert_eq!(found("postgres://u:given@a/d"), [some("given")]);
    let connection = parse_in("postgres://v@a/d", &environment).unwrap();
    assert!(connection.password_sources[2].ends_with(".pgpass: no line fits"));
}

#[test]
fn a_password_file_that_others_can_read_is_refused_with_the_fix() {
    let home = tempfile::tempdir().unwrap();
    let file = write(home.path(), "passwords", "*:*:*:*:tr0ub4dor\n", 0o640);
    let environment = environment().with("PGPASSFILE", &file);
    let error = parse_in("postgres://u@h", &environment).unwrap_err();
    assert_eq!(error.hints(), [format!("chmod 600 {file}")]);
    assert!(parse_in("postgres://u:p@h", &environment).is_ok(), "read though not needed");
    write(home.path(), "passwords", "*:*:*:*:tr0ub4dor\n", 0o600);
    let connection = parse_in("postgres://u@h", &environment).unwrap();
    assert_eq!(connection.password_origin, Some(Origin::PasswordFile));
    assert!(parse_in("postgres://u@h?passfile=/dev/null", &environment).is_ok());
}

#[test]
fn a_service_fills_what_the_string_leaves_open_and_goes_before_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let user = "# a comment\n[other]\nhost=no\n\n[app]\nhost=service-host\nport=7\npassword=s3rv1ce\nuser=su\n[last]\n";
    let user = write(folder.path(), "user.conf", user, 0o600);
    write(folder.path(), "pg_service.conf", "[system]\nhost=system-host\n", 0o644);
    let environment = environment()
        .with("PGSERVICEFILE", user)
        .with("PGSYSCONFDIR", folder.path().display().to_string())
        .with("PGHOST", "env-host");
    let connection = parse_in("postgres://?service=app&user=u", &environment).unwrap();
    assert_eq!(connection.display(), "postgres://u@service-host:7/u");
    assert_eq!(password(&connection), Some("s3rv1ce"));
    assert_eq!(connection.password_origin, Some(Origin::Service));
    let by_variable = parse_in("user=u", &environment.clone().with("PGSERVICE", "app")).unwrap();
    assert_eq!(by_variable.display(), "postgres://u@service-host:7/u");
    let system = parse_in("service=system user=u", &environment).unwrap();
    assert_eq!(system.display(), "postgres://u@system-host:5432/u");
    let error = parse_in("service=nowhere", &environment).unwrap_err();
    assert!(!error.message().contains("nowhere") && error.causes().len() == 2, "{error}");
}

#[test]
fn a_bad_line_of_a_service_file_is_named_by_its_number_only() {
    let folder = tempfile::tempdir().unwrap();
    for line in ["tr0ub4dor", "tr0ub4dor=x", "service=app"] {
        let file = write(folder.path(), "services", &format!("[app]\n{line}\n"), 0o600);
        let error =
            parse_in("service=app", &environment().with("PGSERVICEFILE", &file)).unwrap_err();
        assert!(error.message().starts_with(&format!("{file}:2:")), "{error}");
        assert!(!format!("{error:?}").contains("tr0ub4dor"));
    }
}

#[test]
fn a_missing_host_is_the_first_usual_socket_folder_that_has_the_socket() {
    let folder = tempfile::tempdir().unwrap();
    let empty = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".s.PGSQL.7000"), "").unwrap();
    let socket_folders = vec![empty.path().to_owned(), folder.path().to_owned()];
    let environment = Environment { socket_folders, ..environment() };
    let addr = |text| parse_in(text, &environment).unwrap().hosts.remove(0).addr;
    assert_eq!(addr("port=7000"), HostAddr::Socket(folder.path().to_owned()));
    assert_eq!(
        addr("port=7001"),
        HostAddr::Tcp { name: Some("localhost".to_owned()), address: None }
    );
}

#[test]
fn files_in_the_home_folder_replace_those_not_given() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join(".postgresql");
    std::fs::create_dir(&folder).unwrap();
    let environment = at_home(home.path());
    let tls = |text| parse_in(text, &environment).unwrap().tls;
    assert_eq!((tls("user=u").roots, tls("user=u").client), (Roots::None, None));
    for name in ["root.crt", "root.crl", "postgresql.crt"] {
        std::fs::write(folder.join(name), "").unwrap();
    }
    let found = tls("user=u");
    assert_eq!(found.roots, Roots::File(folder.join("root.crt")));
    assert_eq!(found.revoked, Some(folder.join("root.crl")));
    let client = Some((folder.join("postgresql.crt"), folder.join("postgresql.key")));
    assert_eq!(found.client, client);
    assert_eq!(tls("user=u sslcertmode=disable").client, None);
    assert_eq!(tls("user=u sslrootcert=/x").roots, Roots::File("/x".into()));
}

#[test]
fn times_have_libpqs_units() {
    let connection = parse(
        "host=h connect_timeout=1 tcp_user_timeout=1500 keepalives_idle=30 keepalives_count=3",
    );
    assert_eq!(connection.connect_timeout, Some(Duration::from_secs(2)));
    assert_eq!(connection.tcp.user_timeout, Some(Duration::from_millis(1500)));
    assert_eq!(connection.tcp.idle, Some(Duration::from_secs(30)));
    assert_eq!(connection.tcp.count, Some(3));
    assert!(connection.tcp.keepalives);
    assert!(!parse("keepalives=0").tcp.keepalives);
    assert_eq!(parse("connect_timeout=0").connect_timeout, None);
    assert_eq!(parse("connect_timeout=-1").connect_timeout, None);
}
