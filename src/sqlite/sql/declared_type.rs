//! What a declared column type says: SQLite takes any words there, and reads only an affinity
//! out of them; applications mean more by some of them.

use crate::schema::expression::Affinity;
use crate::schema::expression::Collation;

/// A declared column type, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DeclaredType {
    /// No type at all, or ANY in a STRICT table: values stay as they come.
    Untyped,
    /// BOOL, BOOLEAN.
    Boolean,
    /// DATE.
    Date,
    /// TIME.
    Time,
    /// DATETIME, TIMESTAMP, also with their zones written out.
    Timestamp,
    /// UUID, GUID.
    Uuid,
    /// JSON.
    Json,
    /// NUMERIC, DECIMAL, MONEY, with precision and scale where both are given (a precision alone
    /// has scale 0) and are such as PostgreSQL can hold.
    Decimal(Option<(u16, u16)>),
    /// VARCHAR(n) or CHAR(n) in one of their spellings: text of at most `n` characters, which
    /// SQLite does not enforce.
    Varchar(u32),
    /// Anything else: all it says is its affinity.
    Plain(Affinity),
}

/// The longest `varchar(n)` of PostgreSQL, in characters (`MaxAttrSize`).
const MAX_VARCHAR: u32 = 10_485_760;
/// The largest precision of PostgreSQL's `numeric(p,s)`.
const MAX_PRECISION: u32 = 1000;

impl DeclaredType {
    /// Reads a declared type as the column's definition has it. `strict` says that the table is
    /// a STRICT one, in which ANY means no type; elsewhere it is a word like any other.
    pub(crate) fn read(declared: &str, strict: bool) -> Self {
        let (word, arguments) = split(declared);
        match word.as_str() {
            "" => return Self::Untyped,
            "ANY" if strict => return Self::Untyped,
            "BOOL" | "BOOLEAN" => return Self::Boolean,
            "DATE" => return Self::Date,
            "TIME" => return Self::Time,
            "DATETIME"
            | "TIMESTAMP"
            | "TIMESTAMPTZ"
            | "DATETIMEWITHTIMEZONE"
            | "DATETIMEWITHOUTTIMEZONE"
            | "TIMESTAMPWITHTIMEZONE"
            | "TIMESTAMPWITHOUTTIMEZONE" => return Self::Timestamp,
            "UUID" | "GUID" => return Self::Uuid,
            "JSON" => return Self::Json,
            "NUMERIC" | "DECIMAL" | "MONEY" => {
                return Self::Decimal(match *arguments.as_slice() {
                    [p] if (1..=MAX_PRECISION).contains(&p) => Some((p as u16, 0)),
                    [p, s] if (1..=MAX_PRECISION).contains(&p) && s <= p => {
                        Some((p as u16, s as u16))
                    }
                    _ => None,
                });
            }
            _ => {}
        }
        match (affinity(declared), arguments.as_slice()) {
            (Affinity::Text, &[n])
                if word.ends_with("CHAR")
                    || word.ends_with("CHARACTER")
                    || word.ends_with("VARYING") =>
            {
                if (1..=MAX_VARCHAR).contains(&n) {
                    Self::Varchar(n)
                } else {
                    Self::Plain(Affinity::Text)
                }
            }
            (affinity, _) => Self::Plain(affinity),
        }
    }
}

/// The affinity of a column of this declared type: SQLite's five rules, in SQLite's order
/// (<https://sqlite.org/datatype3.html#determination_of_column_affinity>). In a STRICT table ANY
/// has none ([`column_affinity`]).
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

/// The affinity of a column, for which STRICT tables have a rule of their own: ANY converts
/// nothing there.
pub(crate) fn column_affinity(declared: &str, strict: bool) -> Affinity {
    if strict && declared.trim().eq_ignore_ascii_case("ANY") {
        Affinity::Blob
    } else {
        affinity(declared)
    }
}

/// The collation of this name: SQLite's three, or one that the application has to define.
pub(crate) fn collation_named(name: &str) -> Collation {
    match name.to_ascii_uppercase().as_str() {
        "BINARY" => Collation::Binary,
        "NOCASE" => Collation::NoCase,
        "RTRIM" => Collation::RTrim,
        _ => Collation::Other(name.to_owned()),
    }
}

/// The words in upper case without spaces, and the numbers between the parentheses (none where
/// they are not plain numbers).
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
        for (declared, expected) in [
            ("INTEGER", Affinity::Integer),
            ("unsigned big int", Affinity::Integer),
            ("POINT", Affinity::Integer),
            ("FLOATING POINT", Affinity::Integer),
            ("CHARINT", Affinity::Integer),
            ("LONGVARCHAR", Affinity::Text),
            ("CLOB", Affinity::Text),
            ("DECIMAL_TEXT", Affinity::Text),
            ("BLOB", Affinity::Blob),
            ("", Affinity::Blob),
            ("double precision", Affinity::Real),
            ("FLOAT", Affinity::Real),
            ("STRING", Affinity::Numeric),
            ("LONG", Affinity::Numeric),
            ("DECIMAL(10,5)", Affinity::Numeric),
            ("ANY", Affinity::Numeric),
        ] {
            assert_eq!(affinity(declared), expected, "{declared}");
        }
        assert_eq!(column_affinity("any", true), Affinity::Blob);
    }

    #[test]
    fn whole_words_are_looked_at_before_affinity() {
        assert_eq!(read("Boolean"), DeclaredType::Boolean);
        assert_eq!(read("bool(1)"), DeclaredType::Boolean);
        assert_eq!(read("DATETIME (6)"), DeclaredType::Timestamp);
        assert_eq!(read("timestamp with time zone"), DeclaredType::Timestamp);
        assert_eq!(read("timestamp(3) without time zone"), DeclaredType::Timestamp);
        assert_eq!(read("guid"), DeclaredType::Uuid);
        assert_eq!(read("DATES"), DeclaredType::Plain(Affinity::Numeric));
        assert_eq!(read("DATETEXT"), DeclaredType::Plain(Affinity::Text));
    }

    #[test]
    fn arguments_count_only_where_they_mean_something() {
        assert_eq!(read("DECIMAL(10, 5)"), DeclaredType::Decimal(Some((10, 5))));
        assert_eq!(read("numeric(9)"), DeclaredType::Decimal(Some((9, 0))));
        assert_eq!(read("numeric(2,5)"), DeclaredType::Decimal(None));
        assert_eq!(read("MONEY"), DeclaredType::Decimal(None));
        assert_eq!(read("varchar(255)"), DeclaredType::Varchar(255));
        assert_eq!(read("character varying ( 40 )"), DeclaredType::Varchar(40));
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
