//! Column types from the command line (`table.column=type`) and from the JSON file that
//! `plan --write-casts` writes and `--casts` reads: `{"table": {"column": "type"}}`.

use crate::cli::output::output_file;
use crate::codec::encoding::Encoding;
use crate::error::{Error, Result};
use crate::options::type_override::TypeOverride;
use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

/// Parses the value of a `--cast`.
pub(crate) fn parse(text: &str) -> Result<TypeOverride> {
    parse_parts(text).map_err(|cause| {
        Error::usage(format!("--cast '{text}' is not valid"))
            .caused_by(cause)
            .hint("write --cast 'table.column=type', and names with . = or \" in double quotes")
    })
}

fn parse_parts(text: &str) -> Result<TypeOverride, String> {
    let (table, rest) = name(text.trim(), "table")?;
    let rest = rest.strip_prefix('.').ok_or("a dot must follow the table's name")?;
    let (column, rest) = name(rest, "column")?;
    let to = rest.strip_prefix('=').ok_or("an equals sign must follow the column's name")?;
    Ok(TypeOverride { table, column, to: Encoding::parse(to)? })
}

/// Splits `text` into the name at its start and the rest.
fn name<'a>(text: &'a str, what: &str) -> Result<(String, &'a str), String> {
    if let Some(quoted) = text.strip_prefix('"') {
        let mut name = String::new();
        let mut characters = quoted.char_indices().peekable();
        while let Some((at, c)) = characters.next() {
            match c {
                '"' if characters.next_if(|(_, next)| *next == '"').is_some() => name.push('"'),
                '"' => return Ok((name, &quoted[at + 1..])),
                c => name.push(c),
            }
        }
        return Err(format!("the {what}'s name has no closing quote"));
    }
    let end = text.find(['.', '=', '"']).unwrap_or(text.len());
    match text[..end].trim() {
        "" => Err(format!("the {what}'s name is missing")),
        name => Ok((name.to_owned(), &text[end..])),
    }
}

/// The casts of `--casts FILE` and of each `--cast`, which override those of the file. Refused if
/// the file cannot be read or is malformed. A usage error if a `--cast` is malformed, or if two of
/// them name different types for one column.
pub(crate) fn gather(file: Option<&Path>, flags: &[String]) -> Result<Vec<TypeOverride>> {
    let mut flag_casts: Vec<TypeOverride> = Vec::new();
    for text in flags {
        let cast = parse(text)?;
        match flag_casts.iter().find(|other| same_column(other, &cast)) {
            Some(other) if other.to != cast.to => {
                let column = format!("\"{}\".\"{}\"", cast.table, cast.column);
                return Err(Error::usage(format!("--cast sets two types for {column}")));
            }
            Some(_) => {}
            None => flag_casts.push(cast),
        }
    }
    let mut casts = file.map_or(Ok(Vec::new()), read)?;
    casts.retain(|cast| !flag_casts.iter().any(|other| same_column(other, cast)));
    casts.extend(flag_casts);
    Ok(casts)
}

fn same_column(a: &TypeOverride, b: &TypeOverride) -> bool {
    a.table == b.table && a.column == b.column
}

type File = BTreeMap<String, BTreeMap<String, String>>;

fn read(path: &Path) -> Result<Vec<TypeOverride>> {
    let refused = || Error::refused(format!("cannot read the casts in \"{}\"", path.display()));
    let text = fs::read_to_string(path).map_err(|cause| refused().caused_by(cause))?;
    let file: File = serde_json::from_str(&text).map_err(|cause| {
        refused().caused_by(cause).hint("the file must contain {\"table\": {\"column\": \"type\"}}")
    })?;
    let mut casts = Vec::new();
    for (table, columns) in file {
        for (column, to) in columns {
            let to = Encoding::parse(&to).map_err(|cause| {
                refused().caused_by(format!("\"{table}\".\"{column}\": {cause}"))
            })?;
            casts.push(TypeOverride { table: table.clone(), column, to });
        }
    }
    Ok(casts)
}

/// Writes `casts` to a file for `--casts`.
pub(crate) fn write(path: &Path, casts: &[TypeOverride]) -> Result<()> {
    let mut file = File::new();
    for cast in casts {
        file.entry(cast.table.clone())
            .or_default()
            .insert(cast.column.clone(), cast.to.to_string());
    }
    let mut text = serde_json::to_vec_pretty(&file)
        .map_err(|cause| Error::failed("cannot write the casts as JSON").caused_by(cause))?;
    text.push(b'\n');
    output_file::write(path, &text)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_back(text: &str) -> Result<[String; 3], String> {
        let cast = parse(text).map_err(|error| error.causes().join("; "))?;
        Ok([cast.table, cast.column, cast.to.to_string()])
    }

    #[test]
    fn a_cast_names_table_column_and_type_and_quoted_names_may_contain_anything() {
        for (text, expected) in [
            ("events.at=timestamp:ms", ["events", "at", "timestamp:ms"]),
            ("a b.c d = numeric(10, 2)", ["a b", "c d", "numeric(10,2)"]),
            ("\"my.table\".\"a=b\"=bigint", ["my.table", "a=b", "bigint"]),
            ("\"say \"\"x\"\"\".c=text", ["say \"x\"", "c", "text"]),
            ("\"\".\"\"=text", ["", "", "text"]),
        ] {
            assert_eq!(read_back(text), Ok(expected.map(str::to_owned)), "{text}");
        }
    }

    #[test]
    fn a_malformed_cast_is_a_usage_error_with_the_reason() {
        for (text, cause) in [
            ("events", "a dot must follow the table's name"),
            (".at=text", "the table's name is missing"),
            ("events.=text", "the column's name is missing"),
            ("main.events.at=text", "an equals sign must follow the column's name"),
            ("events.at", "an equals sign must follow the column's name"),
            ("\"events.at=text", "the table's name has no closing quote"),
            ("events.at=", "\"\" is not a supported column type"),
        ] {
            assert_eq!(read_back(text), Err(cause.to_owned()), "{text}");
        }
        assert_eq!(parse("x").unwrap_err().kind(), crate::Kind::Usage);
    }

    #[test]
    fn a_cast_overrides_the_file_and_two_must_agree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("casts.json");
        write(&path, &[parse("t.a=text").unwrap(), parse("t.b=bigint").unwrap()]).unwrap();
        let casts = gather(Some(&path), &["t.a=json".to_owned()]).unwrap();
        let columns: Vec<_> = casts.iter().map(|c| format!("{} {}", c.column, c.to)).collect();
        assert_eq!(columns, ["b bigint", "a json"]);
        assert!(gather(None, &["t.a=json".to_owned(), "t.a=json".to_owned()]).is_ok());
        let error = gather(None, &["t.a=json".to_owned(), "t.a=text".to_owned()]).unwrap_err();
        assert_eq!(error.message(), "--cast sets two types for \"t\".\"a\"");
    }

    #[test]
    fn a_malformed_file_is_refused_with_the_column() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("casts.json");
        fs::write(&path, "{\"t\": {\"a\": \"money\"}}").unwrap();
        let error = gather(Some(&path), &[]).unwrap_err();
        assert_eq!(error.kind(), crate::Kind::Refused);
        assert_eq!(error.causes(), ["\"t\".\"a\": \"money\" is not a supported column type"]);
        fs::write(&path, "[]").unwrap();
        assert_eq!(gather(Some(&path), &[]).unwrap_err().hints().len(), 1);
        assert!(gather(Some(&folder.path().join("none")), &[]).is_err());
    }
}
