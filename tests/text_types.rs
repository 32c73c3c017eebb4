//! `interval` and `inet`: the server itself is asked what each spelling means, and how it prints it.

use crate::back::{Target, back_report};
use crate::harness::{Database, migrate, psql, server, sqlite3, sqlite3_script, text};
use serde_json::Value;
use std::path::Path;

/// Pseudo-random numbers, the same in every run (splitmix64).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn pick<'a>(&mut self, words: &[&'a str]) -> &'a str {
        words[self.below(words.len() as u64) as usize]
    }

    /// A number of a random length.
    fn number(&mut self) -> u64 {
        let bits = self.below(24);
        self.next() >> (63 - bits)
    }
}

const UNITS: &[&str] = &[
    "year",
    "years",
    "yr",
    "yrs",
    "y",
    "mon",
    "mons",
    "month",
    "Months",
    "week",
    "weeks",
    "w",
    "day",
    "days",
    "DAYS",
    "d",
    "hour",
    "hours",
    "hr",
    "hrs",
    "h",
    "minute",
    "minutes",
    "min",
    "mins",
    "m",
    "second",
    "seconds",
    "sec",
    "secs",
    "s",
    "milliseconds",
    "msec",
    "ms",
    "microseconds",
    "usec",
    "us",
    "decade",
    "century",
    "fortnight",
    "",
    "P",
    "T",
];

fn interval(random: &mut Random) -> String {
    if random.below(5) == 0 {
        return iso_interval(random);
    }
    let mut out = random.pick(&["", "", "", "@ ", " ", "@"]).to_owned();
    for _ in 0..random.below(5) {
        out.push_str(random.pick(&["", "", "-", "+", "- "]));
        out.push_str(&random.number().to_string());
        let fraction = format!(".{}", random.below(1000));
        out.push_str(random.pick(&["", "", "", ".5", ".25", ".1", &fraction, "."]));
        out.push_str(random.pick(&[" ", " ", " ", "", "  "]));
        out.push_str(random.pick(UNITS));
        out.push_str(random.pick(&[" ", " ", " ", ", ", "", ","]));
    }
    if random.below(2) == 0 {
        let (hours, minutes, seconds) = (random.number(), random.below(70), random.below(62));
        let fraction = random.pick(&["", "", ".5", ".123456", ".000001", ".1234567", "."]);
        out.push_str(random.pick(&["", "", "-", "+"]));
        out.push_str(&match random.below(4) {
            0 => format!("{hours}:{minutes:02}"),
            1 => format!("{hours:02}:{minutes}:{seconds}"),
            _ => format!("{hours:02}:{minutes:02}:{seconds:02}{fraction}"),
        });
    }
    out.push_str(random.pick(&["", "", "", "", " ", " ago", " AGO ", " 5", " x"]));
    out
}

fn iso_interval(random: &mut Random) -> String {
    let mut out = random.pick(&["P", "P", "P", "p", "-P"]).to_owned();
    if random.below(4) == 0 {
        let (year, month, day) = (random.below(3000), random.below(20), random.below(40));
        out.push_str(&format!("{year:04}-{month:02}-{day:02}"));
        if random.below(2) == 0 {
            let (hour, minute) = (random.below(30), random.below(62));
            out.push_str(&format!("T{hour:02}:{minute:02}:{:02}", random.below(62)));
        }
        return out;
    }
    for units in [["Y", "M", "W", "D"], ["H", "M", "S", "S"]] {
        for unit in units {
            if random.below(3) == 0 {
                let sign = random.pick(&["", "", "", "-", "+"]);
                let fraction = random.pick(&["", "", "", ".5", ".25", ".001", ".1"]);
                out.push_str(&format!("{sign}{}{fraction}{unit}", random.number()));
            }
        }
        if units[0] == "Y" && random.below(2) == 0 {
            out.push('T');
        }
    }
    out
}

fn inet(random: &mut Random) -> String {
    let bits = random.below(140);
    let mask = format!("/{bits}");
    let mask = random.pick(&["", "", &mask, &mask, "/0", "/08", "/", "/24 ", "/x"]);
    let address = match random.below(6) {
        0 | 1 => {
            let count = random.pick(&["4", "4", "4", "4", "3", "2", "1", "5"]).parse().unwrap();
            let octet = |_| match random.below(12) {
                0 => "256".to_owned(),
                1 => format!("0{}", random.below(100)),
                _ => random.below(256).to_string(),
            };
            (0..count).map(octet).collect::<Vec<_>>().join(".")
        }
        2 => format!("::ffff:{}.{}.3.4", random.below(256), random.below(256)),
        3 => format!("::{}.0.{}.4", random.below(2), random.below(256)),
        _ => {
            let count = random.pick(&["8", "8", "8", "7", "6", "3", "9"]).parse().unwrap();
            let group = |_| match random.below(8) {
                0..4 => "0".to_owned(),
                4 => String::new(),
                5 => format!("{:04X}", random.below(65_536)),
                6 => format!("{:x}", random.next() >> (64 - 20)),
                _ => format!("{:x}", random.below(65_536)),
            };
            (0..count).map(group).collect::<Vec<_>>().join(":")
        }
    };
    format!("{}{address}{mask}", random.pick(&["", "", "", "", "", " "]))
}

/// Copies all spellings as text and, by a cast, as values of the type; rows that do not fit are
/// left out. Compares both with what the server reads.
fn compare_with_server(type_name: &str, spellings: &[String]) {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("app.db");
    sqlite3_script(
        &source,
        "CREATE TABLE given (id INTEGER PRIMARY KEY, v TEXT); \
         CREATE TABLE copied (id INTEGER PRIMARY KEY, v TEXT);",
    );
    let connection = rusqlite::Connection::open(&source).unwrap();
    connection.execute_batch("BEGIN").unwrap();
    for spelling in spellings {
        connection.execute("INSERT INTO given (v) VALUES (?1)", [spelling]).unwrap();
    }
    connection.execute_batch("INSERT INTO copied SELECT * FROM given; COMMIT").unwrap();
    drop(connection);
    let database = server();
    let rejected = folder.path().join("rejected.db");
    let cast = format!("copied.v={type_name}");
    let flags = ["--cast", &cast, "--on-misfit", "reject", "--reject-file"];
    let flags: Vec<&str> = flags.into_iter().chain(rejected.to_str()).collect();
    let report = report("database", &source, &database, &flags, 0);
    let ask = |sql: &str| psql(&database.url, &sql.replace("TYPE", type_name));
    ask("CREATE FUNCTION read(v text) RETURNS TYPE LANGUAGE plpgsql AS \
         $$ BEGIN RETURN v::TYPE; EXCEPTION WHEN OTHERS THEN RETURN NULL; END $$; \
         CREATE TABLE own AS SELECT id, v, read(v) AS own FROM given");
    // By the binary form, because SQL says that 1 day equals 24:00:00.
    let wrong = ask("SELECT o.v, o.own, c.v FROM own o JOIN copied c USING (id) \
         WHERE o.own IS NULL OR TYPE_send(o.own) <> TYPE_send(c.v) LIMIT 20");
    assert_eq!(wrong, "", "spelling, the server's value, ours");
    // The cast of inet to text always has the netmask, unlike its output.
    let printed = if type_name == "inet" { "abbrev(c.v)" } else { "c.v::text" };
    let converted =
        ask(&format!("SELECT count(*) FROM copied c JOIN own o USING (id) WHERE o.v <> {printed}"));
    let table = report["data_sets"][0]["tables"].as_array().unwrap();
    let table = table.iter().find(|table| table["name"] == "copied").unwrap();
    assert_eq!(table["conversions"][0]["count"].to_string(), converted, "{table}");
    let (copied, readable) =
        (ask("SELECT count(*) FROM copied"), ask("SELECT count(own) FROM own"));
    let (copied, readable): (f64, f64) = (copied.parse().unwrap(), readable.parse().unwrap());
    let missed = ask("SELECT o.v, o.own FROM own o LEFT JOIN copied c USING (id) \
         WHERE c.id IS NULL AND o.own IS NOT NULL LIMIT 40");
    assert!(copied > readable * 0.4, "{copied} of {readable} texts are read; not:\n{missed}");
    assert!(copied < spellings.len() as f64 * 0.9 && copied > 1000.0, "{copied}");
    let reasons = sqlite3(&rejected, "SELECT DISTINCT \"migrate reason\" FROM copied");
    assert_eq!(reasons, format!("column \"v\": {}", not_valid(type_name)));
}

/// The reason of a misfit.
fn not_valid(type_name: &str) -> &str {
    match type_name {
        "interval" => "not an interval that migrate reads",
        _ => "not a valid inet",
    }
}

fn report(command: &str, file: &Path, database: &Database, flags: &[&str], code: i32) -> Value {
    let json = tempfile::NamedTempFile::new().unwrap();
    let (from, path) = (file.to_str().unwrap(), json.path().to_str().unwrap());
    let fixed = [command, "--from", from, "--to", &database.url, "--json", path];
    let output = migrate(fixed.iter().chain(flags));
    assert_eq!(output.status.code(), Some(code), "{}", text(&output));
    serde_json::from_slice(&std::fs::read(json.path()).unwrap()).unwrap()
}

#[test]
fn every_interval_has_the_value_that_the_server_reads() {
    let mut random = Random(1);
    let mut spellings: Vec<String> = (0..8_000).map(|_| interval(&mut random)).collect();
    spellings.extend(
        [
            "1 year 2 mons 3 days 04:05:06.789",
            "@ 1 year 2 mons -3 days 4 hours 5 mins 6.789 secs ago",
            "P1Y2M3DT4H5M6.789S",
            "P0001-02-03T04:05:06",
            "1-2",
            "2147483647 days",
            "-2147483648 days",
            "2147483648 days",
            "178956970 years 7 mons",
            "178956971 years",
            "2562047788:00:54.775807",
            "2562047788:00:54.775808",
            "-2562047788:00:54.775808",
            "infinity",
            "1 day 24:00:00",
            "04:05:60",
            "0.7 weeks",
            "0.7 months",
        ]
        .map(str::to_owned),
    );
    compare_with_server("interval", &spellings);
}

#[test]
fn every_inet_has_the_value_that_the_server_reads() {
    let mut random = Random(2);
    let mut spellings: Vec<String> = (0..12_000).map(|_| inet(&mut random)).collect();
    let odd = ["1.2.3.4.", "10./8", "::1%lo", "1.2.3.4/032", "::1.2.3.4/128", "::", "::/0"];
    spellings.extend(odd.map(str::to_owned));
    compare_with_server("inet", &spellings);
}

/// A table of random values, made by the server.
const RANDOM_VALUES: &str = "\
    SELECT setseed(0.5); CREATE TABLE t (id int PRIMARY KEY, i interval, a inet); INSERT INTO t \
    SELECT n, make_interval(months => (random() * 100 - 50)::int, days => (random() * 6 - 3)::int) \
        + make_interval(secs => round((random() - 0.5) * 10 ^ (n % 12)) / 1000), \
      CASE n % 4 WHEN 0 THEN set_masklen('0.0.0.0'::inet + (random() * 4294967295)::bigint, n % 33) \
        WHEN 1 THEN set_masklen('::'::inet + (random() * 10 ^ (n % 18))::bigint, 128 - n % 129) \
        WHEN 2 THEN ('fe80:0:0:' || n % 2 || '::' || to_hex(n))::inet \
        ELSE '::ffff:0:0'::inet + (random() * 4294967295)::bigint END \
    FROM generate_series(1, 4000) n";

#[test]
fn intervals_and_addresses_go_to_sqlite_and_back_as_the_server_prints_them() {
    let database = server();
    psql(&database.url, RANDOM_VALUES);
    let target = Target::new();
    let there = back_report(&database, &target.path, &[], 0);
    assert_eq!(there["data_sets"][0]["verdict"], "match");
    let printed = psql(&database.url, "SELECT id, i, a FROM t ORDER BY id");
    assert_eq!(sqlite3(&target.path, "SELECT * FROM t ORDER BY id"), printed);
    let (again, casts) = (server(), ["--cast", "t.i=interval", "--cast", "t.a=inet"]);
    let back = report("database", &target.path, &again, &casts, 0);
    assert_eq!(back["data_sets"][0]["tables"][0]["conversions"], Value::Array(Vec::new()));
    let binary = "SELECT md5(string_agg(interval_send(i)::text || inet_send(a)::text, ',' ORDER BY id)) FROM t";
    assert_eq!(psql(&again.url, binary), psql(&database.url, binary));
}

#[test]
fn values_are_verified_by_meaning() {
    let folder = tempfile::tempdir().unwrap();
    let source = folder.path().join("app.db");
    sqlite3_script(
        &source,
        "CREATE TABLE t (id INTEGER PRIMARY KEY, i TEXT, a TEXT); \
         INSERT INTO t VALUES (1, '1 hour 30 min', '2001:DB8::1'), (2, '1 day', '10.0.0.1'), (3, NULL, NULL);",
    );
    let database = server();
    let casts = ["--cast", "t.i=interval", "--cast", "t.a=inet"];
    let first = report("database", &source, &database, &casts, 0);
    let conversions = &first["data_sets"][0]["tables"][0]["conversions"];
    assert_eq!(conversions[0]["what"], "other spellings of the same interval");
    assert_eq!(conversions[1]["what"], "other spellings of the same inet");
    assert_eq!((&conversions[0]["count"], &conversions[1]["count"]), (&1.into(), &1.into()));
    sqlite3_script(&source, "UPDATE t SET i = 'PT90M', a = '2001:db8:0::1/128' WHERE id = 1");
    report("database", &source, &database, &["--verify"], 0);
    for change in ["i = '24:00:00'", "a = '10.0.0.1/31'", "i = 'soon'", "a = NULL"] {
        sqlite3_script(&source, &format!("UPDATE t SET {change} WHERE id = 2"));
        let report = report("database", &source, &database, &["--verify"], 3);
        let difference = &report["data_sets"][0]["tables"][0]["verification"]["differences"][0];
        assert_eq!(difference["source_place"], "rowid 2", "{change}: {report}");
        sqlite3_script(&source, "UPDATE t SET i = '1 day', a = '10.0.0.1' WHERE id = 2");
    }
}

#[test]
fn a_text_that_is_not_of_the_type_is_a_misfit_with_its_rowid() {
    for (type_name, good, wrong) in [("interval", "1 day", "1 dayy"), ("inet", "::1", "::1::")] {
        let folder = tempfile::tempdir().unwrap();
        let source = folder.path().join("app.db");
        sqlite3_script(
            &source,
            &format!(
                "CREATE TABLE t (id INTEGER PRIMARY KEY, v); \
                 INSERT INTO t VALUES (4, '{good}'), (7, '{wrong}'), (9, 5);"
            ),
        );
        let cast = format!("t.v={type_name}");
        let database = server();
        let flags = ["database", "--from", source.to_str().unwrap(), "--to", &database.url];
        let output = migrate(flags.iter().chain(&["--cast", &cast]));
        let message = text(&output);
        assert_eq!(output.status.code(), Some(4), "{message}");
        let expected = format!("{} (2 values, first at rowid 7, 9)", not_valid(type_name));
        assert!(message.contains(&expected), "{message}");
    }
}

#[test]
fn a_key_of_intervals_that_are_equal_in_sql_is_refused_before_anything_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let database = server();
    for (number, (values, code)) in [
        ("('1 mon', 1), ('30 days', 1)", 4),
        ("('1 day', 1), ('24:00:00', 1)", 4),
        ("('1 mon', 1), ('31 days', 1)", 0),
        ("('1 day', 1), ('24:00:00', 2)", 0),
    ]
    .into_iter()
    .enumerate()
    {
        let file = folder.path().join(format!("{number}.db"));
        let table = format!("k{number}");
        sqlite3_script(
            &file,
            &format!(
                "CREATE TABLE {table} (id INTEGER PRIMARY KEY, v TEXT, i INTEGER, UNIQUE (v, i)); \
                 INSERT INTO {table} (v, i) VALUES {values}"
            ),
        );
        let cast = format!("{table}.v=interval");
        let report = report("database", &file, &database, &["--cast", &cast], code);
        if code == 4 {
            let message = report["error"]["message"].as_str().unwrap();
            assert!(message.contains("may not be unique"), "{report:#}");
        }
    }
}
