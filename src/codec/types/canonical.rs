//! The canonical text of values of a type with a text form of its own.

use crate::codec::types::{temporal, uuid};
use crate::schema::column_type::ColumnType;

/// The text that PostgreSQL prints for the value that `text` spells (dates in ISO form, at UTC);
/// `None` if `text` is not a value of the type.
pub(crate) fn canonical_text(column_type: &ColumnType, text: &str) -> Option<String> {
    let (bytes, mut out) = (text.as_bytes(), Vec::new());
    match column_type {
        ColumnType::Uuid => uuid::format(uuid::parse(bytes)?.0, &mut out),
        ColumnType::Date => temporal::format_date(temporal::parse_date(bytes)?, &mut out)?,
        ColumnType::Time => temporal::format_time(temporal::parse_time(bytes)?.micros, &mut out)?,
        ColumnType::Timestamp | ColumnType::TimestampTz => {
            let timestamp = temporal::parse_timestamp(bytes)?;
            if timestamp.zoned != (*column_type == ColumnType::TimestampTz) {
                return None;
            }
            temporal::format_timestamp(timestamp.micros, timestamp.zoned, &mut out)?;
        }
        _ => return None,
    }
    String::from_utf8(out).ok()
}
