//! The options that shape a plan.
//!
//! The ledger stores them as a whole, and a run resumes only a plan that was made with equal ones.

use crate::options::type_override::TypeOverride;
use serde::Serialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;
use std::path::{PathBuf, absolute};

/// The options that shape a plan.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub(crate) struct PlanOptions {
    /// The schema of the PostgreSQL database; `None` means the first one of the search path.
    pub(crate) schema: Option<String>,
    /// Glob patterns of the tables to move; empty means all tables.
    pub(crate) tables: Vec<String>,
    /// Glob patterns of the tables to skip.
    pub(crate) exclude: Vec<String>,
    /// Column types that the user has fixed, at most one for each column.
    pub(crate) casts: Vec<TypeOverride>,
    /// The treatment of values that the target cannot hold.
    pub(crate) on_misfit: OnMisfit,
    /// Refuse the run if an object would be missing or weaker.
    pub(crate) strict: bool,
    /// Refuse the run if a value would be converted irreversibly.
    pub(crate) exact: bool,
    /// Copy rows with equal values of a unique key.
    pub(crate) allow_duplicates: bool,
    /// The treatment of large objects in PostgreSQL; `None` refuses the plan.
    pub(crate) large_objects: Option<LargeObjects>,
}

/// The treatment of large objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum LargeObjects {
    /// Copy them into the columns that refer to them.
    Blob,
    /// Leave them out.
    Skip,
}

/// The treatment of values that the target cannot hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum OnMisfit {
    /// Refuse the plan.
    #[default]
    Refuse,
    /// Give the column a wider type.
    Widen,
    /// Skip the rows.
    Reject {
        /// The SQLite file that receives the skipped rows; it must not exist yet.
        file: PathBuf,
    },
}

/// The flags that set each field of [`PlanOptions`], for messages.
const FLAGS: [(&str, &str); 9] = [
    ("schema", "--schema"),
    ("tables", "--tables"),
    ("exclude", "--exclude"),
    ("casts", "--cast"),
    ("on_misfit", "--on-misfit or --reject-file"),
    ("strict", "--strict"),
    ("exact", "--exact"),
    ("large_objects", "--large-objects"),
    ("allow_duplicates", "--allow duplicates"),
];

impl PlanOptions {
    /// The options as the ledger stores them.
    pub(crate) fn to_ledger(&self) -> Value {
        let mut stored = self.clone();
        if let OnMisfit::Reject { file } = &mut stored.on_misfit {
            // The same file, whichever folder the command is started in.
            *file = absolute(&*file).unwrap_or_else(|_| file.clone());
            // A path that is not UTF-8 has no JSON form.
            *file = file.to_string_lossy().into_owned().into();
        }
        // Cannot fail: every field has a JSON form.
        serde_json::to_value(stored).unwrap_or_default()
    }

    /// The flags whose values differ from `stored`, the options in a ledger.
    pub(crate) fn flags_that_differ(&self, stored: &Value) -> Vec<String> {
        let (ours, none) = (self.to_ledger(), Map::new());
        let (ours, stored) =
            (ours.as_object().unwrap_or(&none), stored.as_object().unwrap_or(&none));
        let names: BTreeSet<&String> = ours.keys().chain(stored.keys()).collect();
        names.into_iter().filter(|name| ours.get(*name) != stored.get(*name)).map(flag_of).collect()
    }
}

/// The flag that sets a field.
fn flag_of(field: &String) -> String {
    let flag = FLAGS.iter().find(|(name, _)| name == field);
    flag.map_or_else(|| format!("--{}", field.replace('_', "-")), |(_, flag)| (*flag).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_field_has_a_flag() {
        let stored = PlanOptions::default().to_ledger();
        let mut fields: Vec<&str> =
            stored.as_object().unwrap().keys().map(String::as_str).collect();
        let mut named = FLAGS.map(|(field, _)| field);
        fields.sort_unstable();
        named.sort_unstable();
        assert_eq!(fields, named);
    }

    #[test]
    fn each_field_that_differs_is_named_by_its_flag() {
        let stored = PlanOptions::default().to_ledger();
        assert_eq!(PlanOptions::default().flags_that_differ(&stored), [""; 0]);
        let other = PlanOptions {
            on_misfit: OnMisfit::Reject { file: "r.db".into() },
            strict: true,
            ..PlanOptions::default()
        };
        let expected = ["--on-misfit or --reject-file", "--strict"];
        assert_eq!(other.flags_that_differ(&stored), expected);
        assert_eq!(other.flags_that_differ(&other.to_ledger()), [""; 0]);
    }

    #[test]
    fn a_field_that_only_the_ledger_has_differs() {
        let mut stored = PlanOptions::default().to_ledger();
        stored["split_by"] = "month".into();
        assert_eq!(PlanOptions::default().flags_that_differ(&stored), ["--split-by"]);
        assert_eq!(PlanOptions::default().flags_that_differ(&Value::Null).len(), FLAGS.len());
    }
}
