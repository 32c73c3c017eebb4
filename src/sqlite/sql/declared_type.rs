//! Declared column types. SQLite accepts any words and derives only an affinity from them;
//! applications mean more by some of them.

use crate::schema::column_type::{self, ColumnType};
use crate::schema::expression::{Affinity, Collation};

/// The meaning of a declared column type.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeclaredType {
    /// No type, or ANY in a STRICT table: values keep their own types.
    Untyped,
    /// Words that name a type: BOOL, DATE, DATETIME, UUID, JSON, `DECIMAL(p,s)`, `VARCHAR(n)` and
    /// the like. SQLite does not enforce it. All timestamps are `timestamp` here.
    Named(ColumnType),
    /// Any other words: only the affinity matters.
    Plain(Affinity),
}

impl DeclaredType {
    /// Reads a declared type as the column's definition has it. In a STRICT table (`strict`), ANY
    /// means no type; elsewhere it is a word like any other.
    pub(crate) fn read(declared: &str, strict: bool) -> Self {
        let (word, arguments) = split(declared);
        let named = match word.as_str() {
            "" => return Self::Untyped,
            "ANY" if strict => return Self::Untyped,
            "BOOL" | "BOOLEAN" => Some(ColumnType::Boolean),
            "DATE" => Some(ColumnType::Date),
            "TIME" => Some(ColumnType::Time),
            "DATETIME"
            | "TIMESTAMP"
            | "TIMESTAMPTZ"
            | "DATETIMEWITHTIMEZONE"
            | "DATETIMEWITHOUTTIMEZONE"
            | "TIMESTAMPWITHTIMEZONE"
            | "TIMESTAMPWITHOUTTIMEZONE" => Some(ColumnType::Timestamp),
            "UUID" | "GUID" => Some(ColumnType::Uuid),
            "JSON" => Some(ColumnType::Json),
            "NUMERIC" | "DECIMAL" | "MONEY" => {
                Some(ColumnType::Numeric(column_type::decimal_limits(&arguments)))
            }
            _ => None,
        };
        let affinity = affinity(declared);
        let is_character = ["CHAR", "CHARACTER", "VARYING"].iter().any(|end| word.ends_with(end));
        let varchar = || match arguments.as_slice() {
            &[length] if is_character && affinity == Affinity::Text => ColumnType::varchar(length),
            _ => None,
        };
        named.or_else(varchar).map_or(Self::Plain(affinity), Self::Named)
    }
}

/// The affinity of a column of this declared type: SQLite's five rules, in SQLite's order
/// (<https://sqlite.org/datatype3.html#determination_of_column_affinity>). STRICT tables have one
/// more rule ([`column_affinity`]).
pub(crate) fn affinity(declared: &str) -> Affinity {
    let upper = declared.to_ascii_uppercase();
    let has = |word: &str| upper.contains(word);
    if has("INT") {
        Affinity::Integer
    } else if has("CHAR") || has("CLOB") || has("TEXT") {
        Affinity::Text
    } else if has("BLOB") || upper.trim().is_empty() {
        Affinity::Blob
    } else if has("REAL") || has("FLOA") || has("DOUB") {
        Affinity::Real
    } else {
        Affinity::Numeric
    }
}

/// The affinity of a column. In a STRICT table, ANY converts nothing.
pub(crate) fn column_affinity(declared: &str, strict: bool) -> Affinity {
    if strict && declared.trim().eq_ignore_ascii_case("ANY") {
        Affinity::Blob
    } else {
        affinity(declared)
    }
}

/// The collation of this name: one of SQLite's three, or one that the application defines.
pub(crate) fn collation_named(name: &str) -> Collation {
    match name.to_ascii_uppercase().as_str() {
        "BINARY" => Collation::Binary,
        "NOCASE" => Collation::NoCase,
        "RTRIM" => Collation::RTrim,
        _ => Collation::Other(name.to_owned()),
    }
}

/// The words in upper case without spaces, and the numbers between the parentheses (none if they are
/// not plain numbers).
fn split(declared: &str) -> (String, Vec<u32>) {
    let (before, inner, after) = match declared.split_once('(') {
        Some((before, rest)) => match rest.split_once(')') {
            Some((inner, after)) => (before, inner, after),
            None => (before, rest, ""),
        },
        None => (declared, "", ""),
    };
    let word = before.chars().chain(after.chars()).filter(|c| !c.is_ascii_whitespace());
    let numbers: Option<Vec<u32>> = inner.split(',').map(|n| n.trim().parse().ok()).collect();
    (word.collect::<String>().to_ascii_uppercase(), numbers.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(declared: &str) -> DeclaredType {
        DeclaredType::read(declared, false)
    }

    #[test]
    fn affinity_follows_the_five_rules_in_their_order() {
        for (types, expected) in [
            ("INTEGER|unsigned big int|POINT|FLOATING POINT|CHARINT", Affinity::Integer),
            ("LONGVARCHAR|CLOB|DECIMAL_TEXT", Affinity::Text),
            ("BLOB", Affinity::Blob),
            ("", Affinity::Blob),
            ("double precision|FLOAT", Affinity::Real),
            ("STRING|LONG|DECIMAL(10,5)|ANY", Affinity::Numeric),
        ] {
            for declared in types.split('|') {
                assert_eq!(affinity(declared), expected, "{declared}");
            }
        }
        assert_eq!(column_affinity("any", true), Affinity::Blob);
    }

    #[test]
    fn whole_words_come_before_affinity() {
        for (declared, expected) in [
            ("Boolean", ColumnType::Boolean),
            ("bool(1)", ColumnType::Boolean),
            ("DATETIME (6)", ColumnType::Timestamp),
            ("timestamp with time zone", ColumnType::Timestamp),
            ("timestamp(3) without time zone", ColumnType::Timestamp),
            ("guid", ColumnType::Uuid),
        ] {
            assert_eq!(read(declared), DeclaredType::Named(expected), "{declared}");
        }
        assert_eq!(read("DATES"), DeclaredType::Plain(Affinity::Numeric));
        assert_eq!(read("DATETEXT"), DeclaredType::Plain(Affinity::Text));
    }

    #[test]
    fn arguments_count_only_if_they_have_a_meaning() {
        assert_eq!(read("DECIMAL(10, 5)"), DeclaredType::Named(ColumnType::Numeric(Some((10, 5)))));
        assert_eq!(read("numeric(9)"), DeclaredType::Named(ColumnType::Numeric(Some((9, 0)))));
        assert_eq!(read("numeric(2,5)"), DeclaredType::Named(ColumnType::Numeric(None)));
        assert_eq!(read("MONEY"), DeclaredType::Named(ColumnType::Numeric(None)));
        assert_eq!(read("varchar(255)"), DeclaredType::Named(ColumnType::Varchar(255)));
        assert_eq!(read("character varying ( 40 )"), DeclaredType::Named(ColumnType::Varchar(40)));
        assert_eq!(read("NCHAR(0)"), DeclaredType::Plain(Affinity::Text));
        assert_eq!(read("varchar(max)"), DeclaredType::Plain(Affinity::Text));
        assert_eq!(read("int(5)"), DeclaredType::Plain(Affinity::Integer));
        assert_eq!(read("text(20)"), DeclaredType::Plain(Affinity::Text));
        assert_eq!(read("DECIMAL_TEXT"), DeclaredType::Plain(Affinity::Text));
    }

    #[test]
    fn any_means_no_type_in_strict_tables_only() {
        assert_eq!(DeclaredType::read("ANY", true), DeclaredType::Untyped);
        assert_eq!(DeclaredType::read("ANY", false), DeclaredType::Plain(Affinity::Numeric));
        assert_eq!(DeclaredType::read("", false), DeclaredType::Untyped);
    }
}
