//! Column types that the user fixes with `--cast` and `--casts`.

use crate::codec::encoding::Encoding;
use serde::{Serialize, Serializer};

/// The target type of one column, fixed by the user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct TypeOverride {
    /// The table's name in the source.
    pub(crate) table: String,
    /// The column's name.
    pub(crate) column: String,
    /// The target type, with the unit of the stored numbers that become dates.
    #[serde(serialize_with = "as_text")]
    pub(crate) to: Encoding,
}

fn as_text<S: Serializer>(encoding: &Encoding, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(encoding)
}
