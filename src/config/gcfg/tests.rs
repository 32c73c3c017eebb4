//! Tests of every rule of the format, with valid and invalid texts, and of edits that change one
//! line.

use crate::config::gcfg::*;

fn read(text: &str) -> Result<Gcfg> {
    Gcfg::parse(Path::new("f.gcfg"), text.as_bytes())
}

/// The value of `key` in `[s]`.
fn value(text: &str) -> Option<String> {
    let file = read(&format!("[s]\n{text}")).unwrap_or_else(|e| panic!("{text:?}: {e}"));
    let entry = file.text("s", "key").unwrap()?;
    entry.value().map(str::to_owned)
}

fn refusal(text: &str) -> String {
    match read(text) {
        Ok(_) => panic!("accepted: {text:?}"),
        Err(error) => error.message().to_owned(),
    }
}

#[test]
fn values_are_read_as_the_go_library_reads_them() {
    for (text, expected) in [
        ("key = value", "value"),
        ("key=value", "value"),
        ("\t key \t=\t value \t", "value"),
        ("key =", ""),
        ("key = ", ""),
        ("key = \"\"", ""),
        ("key = two words", "two words"),
        ("key = a=b==c", "a=b==c"),
        // Quotes toggle anywhere.
        ("key = \"val\" \"ue\"", "val ue"),
        ("key = val\"u\"e", "value"),
        ("key = \"  kept  \"", "  kept  "),
        ("key =   \" a\" b  ", " a b"),
        // Escapes inside quotes.
        (r#"key = "\\ \" \n \t""#, "\\ \" \n \t"),
        // A backslash outside of quotes.
        (r#"key = say \"hi\" now"#, "say \"hi\" now"),
        ("key = a\\\nb", "ab"),
        ("key = a\\\n  b", "a  b"),
        ("key = a \\\nb", "a b"),
        ("key = a\\\r\n b", "a b"),
        ("key = a\\\n", "a"),
        // Carriage returns are dropped everywhere.
        ("key = value\r\n", "value"),
        ("key = va\rlue", "value"),
        ("key = \"va\rlue\"", "value"),
        // Comments.
        ("key = value # comment", "value"),
        ("key = value ; comment", "value"),
        ("key = value;comment", "value"),
        ("key = \"a#b;c\" # comment \"", "a#b;c"),
        ("key = # comment", ""),
        ("key = postgres://u:pa#ss@h/db", "postgres://u:pa"),
        // Names.
        ("KEY = value", "value"),
        ("key = first\nKey = last", "last"),
        ("key = ünïcode 表", "ünïcode 表"),
    ] {
        assert_eq!(value(text).as_deref(), Some(expected), "{text:?}");
    }
}

#[test]
fn headers_are_read_as_the_go_library_reads_them() {
    for header in ["[s]", "[ s ]", "[S]", "[s] # comment", "[s];comment", "\t[s]\r", " [\ts ]"] {
        let file = read(&format!("{header}\nkey = v")).unwrap();
        assert_eq!(file.text("s", "key").unwrap().unwrap().value(), Some("v"), "{header:?}");
    }
    for (header, subsection) in [
        ("[s \"Sub\"]", "Sub"),
        ("[s\"Sub\"]", "Sub"),
        ("[ s  \"a b\" ]", "a b"),
        (r#"[s "a\\b\"c"]"#, "a\\b\"c"),
    ] {
        let file = read(&format!("{header}\nkey = v")).unwrap();
        assert_eq!(file.entries[0].subsection.as_deref(), Some(subsection), "{header:?}");
        assert!(file.text("s", "key").unwrap().is_none(), "of a subsection, not of the section");
    }
}

#[test]
fn files_that_the_go_library_refuses_are_refused_with_their_line() {
    for (text, expected) in [
        ("[]", "f.gcfg:1:2: expected section name"),
        ("[1a]", "f.gcfg:1:2: expected section name"),
        ("[a.b]", "f.gcfg:1:3: expected subsection name or right bracket"),
        ("[a_b]", "f.gcfg:1:3: expected subsection name or right bracket"),
        ("[a", "f.gcfg:1:3: expected subsection name or right bracket"),
        ("[a\n]", "f.gcfg:1:3: expected subsection name or right bracket"),
        ("[s \"\"]", "f.gcfg:1:4: empty subsection name"),
        ("[s \"a]", "f.gcfg:1:4: string not terminated"),
        (r#"[s "a\n"]"#, "f.gcfg:1:6: unknown escape sequence"),
        ("[s \"a\" b]", "f.gcfg:1:8: expected right bracket"),
        ("[s] k=v", "f.gcfg:1:5: expected end of line or comment"),
        ("k = v", "f.gcfg:1:1: expected section header"),
        ("\n\n  k = v", "f.gcfg:3:3: expected section header"),
        ("[s]\n= v", "f.gcfg:2:1: expected section header or variable declaration"),
        ("[s]\n_k = v", "f.gcfg:2:1: expected section header or variable declaration"),
        ("[s]\nk_l = v", "f.gcfg:2:2: expected '='"),
        ("[s]\nk.l = v", "f.gcfg:2:2: expected '='"),
        ("[s]\nk v", "f.gcfg:2:3: expected '='"),
        ("[s]\nk = \"v", "f.gcfg:2:5: string not terminated"),
        ("[s]\nk = \"v\nw\"", "f.gcfg:2:5: string not terminated"),
        ("[s]\nk = \"a\\\nb\"", "f.gcfg:2:7: unknown escape sequence"),
        ("[s]\nk = \"\\b\"", "f.gcfg:2:6: unknown escape sequence"),
        ("[s]\nk = a\\b", "f.gcfg:2:6: unquoted '\\' must be followed by '\"' or a new line"),
        ("[s]\nk = a\\\\b", "f.gcfg:2:6: unquoted '\\' must be followed by '\"' or a new line"),
        ("[s]\nk = a\\", "f.gcfg:2:6: unquoted '\\' must be followed by '\"' or a new line"),
        ("[s]\nk = é\0", "f.gcfg:2:7: illegal character NUL"),
        ("# a comment with \0", "f.gcfg:1:18: illegal character NUL"),
    ] {
        assert_eq!(refusal(text), expected, "{text:?}");
    }
    let invalid = Gcfg::parse(Path::new("f.gcfg"), b"[s]\nk = \xe9\n").unwrap_err();
    assert_eq!(invalid.message(), "f.gcfg:2:5: illegal UTF-8 encoding");
}

#[test]
fn names_are_unicode_letters_digits_and_hyphens_and_blind_for_case() {
    let file = read("[Größe-1]\nusage-data = v\n表2 = w\n").unwrap();
    assert!(file.text("größe_1", "Usage_Data").unwrap().is_some());
    assert!(file.text("GRÖßE_1", "表2").unwrap().is_some());
    assert!(file.text("größe_1", "usagedata").unwrap().is_none());
    // A Roman numeral is a number but not a digit. A combining accent is not a letter.
    assert!(refusal("[s]\na\u{2167} = v").contains("expected '='"));
    assert!(refusal("[s]\ne\u{301} = v").contains("expected '='"));
}

#[test]
fn sections_add_up_and_the_last_value_wins() {
    let file = read("[a]\nx = 1\n[b]\nx = 2\n[A]\ny = 3\nx = 4\n[b \"sub\"]\nx = 5\n").unwrap();
    let text = |section, key| file.text(section, key).unwrap().and_then(Entry::value);
    assert_eq!((text("a", "x"), text("a", "y")), (Some("4"), Some("3")));
    assert_eq!((text("b", "x"), text("b", "y")), (Some("2"), None));
}

#[test]
fn a_blank_key_is_a_switch_that_is_on_and_no_text() {
    let file = read("[s]\non\nkey ; comment\nkey = v\n").unwrap();
    assert_eq!(file.switch("s", "on").unwrap(), Some(true));
    assert_eq!(file.switch("s", "absent").unwrap(), None);
    let error = file.text("s", "key").map(|_| ()).unwrap_err();
    assert_eq!(error.message(), "f.gcfg:3:1: missing value: write KEY = VALUE");
}

#[test]
fn a_switch_has_eight_words() {
    for (words, expected) in
        [(["true", "YES", "on", "1"], true), (["False", "no", "off", "0"], false)]
    {
        for text in words {
            let file = read(&format!("[s]\nkey = {text}")).unwrap();
            assert_eq!(file.switch("s", "key").unwrap(), Some(expected), "{text}");
        }
    }
    for text in ["t", "2", "", "enabled"] {
        let error = read(&format!("[s]\nkey = {text}")).unwrap().switch("s", "key").unwrap_err();
        assert!(error.message().starts_with("f.gcfg:2:1: expected true"), "{text}");
    }
}

#[test]
fn a_value_that_a_comment_cut_is_known() {
    let file = read("[s]\na = x#y\nb = x #y\nc = \"x\";y\nd = \"x#y\"\ne = #y\n").unwrap();
    let cut: Vec<bool> = file.entries.iter().map(|entry| entry.cut).collect();
    assert_eq!(cut, [true, false, true, false, false]);
}

#[test]
fn a_byte_order_mark_is_skipped_and_does_not_count() {
    let file = read("\u{feff}[s]\r\nkey = v\r\n").unwrap();
    assert_eq!(file.text("s", "key").unwrap().unwrap().value(), Some("v"));
    assert_eq!(refusal("\u{feff}k = v"), "f.gcfg:1:1: expected section header");
}

#[test]
fn an_error_and_debug_output_never_show_a_value() {
    let file = read("[s]\nkey = tr0ub4dor\n").unwrap();
    assert!(!format!("{file:?}").contains("tr0ub4dor"));
    let error = read("[s]\nkey = \"tr0ub4dor\n").unwrap_err();
    assert!(!format!("{error:?}").contains("tr0ub4dor"));
}

#[test]
fn variables_are_named_after_section_and_key() {
    let environment = Environment::default().with("CONNECT_POSTGRES_PASSWORD", "x");
    let environment = environment.with("CONNECT_A_B_C", "y").with("CONNECT_A_D", "");
    let found = |section, key| {
        overriding(&environment, "CONNECT", section, key)
            .map(|(name, value)| format!("{name} {value}"))
    };
    assert_eq!(found("Postgres", "Password").as_deref(), Some("CONNECT_POSTGRES_PASSWORD x"));
    assert_eq!(found("A-B", "C").as_deref(), Some("CONNECT_A_B_C y"));
    assert_eq!(found("A", "D"), None, "an empty variable is none");
}

/// The lines of `after` that differ from the same line of `before`. Both have the same number of
/// lines.
fn changed_lines<'a>(before: &str, after: &'a str) -> Vec<&'a str> {
    let lines = before.split_inclusive('\n').zip(after.split_inclusive('\n'));
    assert_eq!(before.matches('\n').count(), after.matches('\n').count());
    lines.filter(|(before, after)| before != after).map(|(_, after)| after).collect()
}

/// A realistic file: byte order mark, carriage returns, comments, quotes and a repeated key.
const REAL: &str = "\u{feff}; Posit Connect\r\n\r\n[Server]\r\nDataDir = /var/lib/rstudio-connect\r\n\
    Address = \"http://a.example/\" ; not https\r\n\r\n[Database]\r\n  Provider = \"sqlite\" # for now\r\n\
    provider=\tSQLite\t; the one that counts\r\n\r\n[Postgres]\r\n\
    URL = \"postgres://connect@db/connect?options=-csearch_path=connect\"\r\n[database \"x\"]\r\n\
    Provider = kept\r\n";

#[test]
fn an_edit_changes_one_line_and_reads_back() {
    let after = read(REAL).unwrap().with_value("Database", "Provider", "postgres").unwrap();
    assert_eq!(changed_lines(REAL, &after), ["provider=\tpostgres\t; the one that counts\r\n"]);
    let entry = read(&after).unwrap();
    assert_eq!(entry.text("Database", "Provider").unwrap().unwrap().value(), Some("postgres"));
    let back = read(&after).unwrap().with_value("Database", "Provider", "SQLite").unwrap();
    assert_eq!(*back, REAL);
}

#[test]
fn an_edit_fits_in_wherever_the_key_is_or_is_not() {
    for (before, after) in [
        ("[d]\nk = \"a\" # c\n", "[d]\nk = \"v\" # c\n"),
        ("[d]\nk =# c\n", "[d]\nk = v# c\n"),
        ("[d]\nk", "[d]\nk = v"),
        ("[d]\nk ; c\n", "[d]\nk = v ; c\n"),
        ("[d]\nk = a\\\n  b\nl = m\n", "[d]\nk = v\nl = m\n"),
        ("[d] # c\nl = m\n", "[d] # c\nk = v\nl = m\n"),
        ("[d]", "[d]\nk = v"),
        ("[d]\r\nl = m\r\n", "[d]\r\nk = v\r\nl = m\r\n"),
        ("[e]\nk = a\n", "[e]\nk = a\n\n[d]\nk = v\n"),
        ("[e]\nk = a", "[e]\nk = a\n\n[d]\nk = v\n"),
        ("[d \"s\"]\nk = a\n", "[d \"s\"]\nk = a\n\n[d]\nk = v\n"),
        ("", "[d]\nk = v\n"),
    ] {
        let edited = read(before).unwrap().with_value("d", "k", "v").unwrap();
        assert_eq!(*edited, after, "{before:?}");
        assert_eq!(read(&edited).unwrap().text("d", "k").unwrap().unwrap().value(), Some("v"));
    }
}

#[test]
fn every_value_that_can_be_written_reads_back() {
    for value in ["", " a ", "a b", "#", "a;b", "\"", "\\", "a\nb\tc", "é表", "=", "\t"] {
        let edited = read("[d]\nk = a\n").unwrap().with_value("d", "k", value).unwrap();
        assert_eq!(read(&edited).unwrap().text("d", "k").unwrap().unwrap().value(), Some(value));
    }
    assert!(read("[d]\n").unwrap().with_value("d", "k", "a\rb").is_err());
}

proptest::proptest! {
    /// Parsing never panics. Every valid file can be edited. An edit leaves all other entries
    /// unchanged.
    #[test]
    fn an_edit_of_any_file_changes_one_value_only(
        text in "(\u{feff})?(\\[[ds]( ?\"[a\\\\\"]{1,2}\")?\\]|[dk]|=|[ \t]|\r?\n|[#;]|\\\\|\"|é|n|\r){0,40}"
    ) {
        let Ok(before) = read(&text) else { return Ok(()) };
        let edited = before.with_value("d", "k", "new").unwrap();
        let after = read(&edited).unwrap_or_else(|e| panic!("{text:?} -> {:?}: {e}", *edited));
        let value = after.text("d", "k").ok().flatten().and_then(Entry::value);
        let blank = before.entries("d", "k").any(|entry| entry.value.is_none());
        proptest::prop_assert!(value == Some("new") || blank, "{:?} -> {:?}", text, *edited);
        let others = |file: &Gcfg| -> Vec<String> {
            let all = file.entries.iter().map(|entry| {
                let Entry { section, subsection, key, value, .. } = entry;
                format!("{section} {subsection:?} {key} {value:?}")
            });
            all.collect()
        };
        let (before, after) = (others(&before), others(&after));
        let changed = after.iter().filter(|entry| !before.contains(entry)).count();
        proptest::prop_assert!(changed <= 1, "{:?} -> {:?}", text, *edited);
        proptest::prop_assert!(after.len() - before.len() <= 1);
    }
}
