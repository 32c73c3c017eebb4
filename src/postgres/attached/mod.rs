//! What is attached to a table or view and is dropped with it: owner, row-level security, policies,
//! comments, grants. It is read before the drop, kept in the ledger, and restored if the same table
//! or view is created again.

pub(crate) mod restore;
pub(crate) mod store;

use crate::error::{Result, plural};
use crate::postgres::catalog::target_objects::CatalogObject;
use crate::postgres::errors::db_error;
use crate::schema::names::{literal, quote};
use crate::schema::note::Note;
use crate::schema::{LeftOut, ObjectKind};
use postgres::GenericClient;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One definition that is attached to a table or view.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Attached {
    pub(crate) kind: ObjectKind,
    /// The name: that of the policy, the grantee, the described object.
    name: String,
    /// The statement that restores it. For a comment: its text.
    sql: String,
    /// Without it, a role may see more than before.
    protects: bool,
}

/// What is attached to the tables and views, and to the sequences of their columns, by name.
pub(crate) type AttachedByTable = BTreeMap<String, Vec<Attached>>;

impl Attached {
    /// The statement that restores it.
    fn statement(&self) -> String {
        match self.kind {
            ObjectKind::Comment => format!("COMMENT ON {} IS {}", self.name, literal(&self.sql)),
            _ => self.sql.clone(),
        }
    }

    /// A run restores it. Objects of other kinds are the administrator's to create again.
    pub(crate) fn is_restored(&self) -> bool {
        use ObjectKind::{Comment, Grant, Owner, Policy, RowSecurity, SecurityLabel, Setting};
        matches!(
            self.kind,
            Comment | Grant | Owner | Policy | RowSecurity | SecurityLabel | Setting
        )
    }

    fn left_out(&self, table: &str, reason: impl Into<String>) -> LeftOut {
        LeftOut::part(self.kind, table, &self.name, Some(&self.statement())).because(reason)
    }
}

/// Reads what is attached to `objects`, with the users' own comments. A table or view with nothing
/// attached has an empty list: others have no rights on it.
pub(crate) fn read(
    client: &mut impl GenericClient,
    objects: &[CatalogObject],
) -> Result<AttachedByTable> {
    let mut all = read_whole(client, objects)?;
    for list in all.values_mut() {
        for comment in list.iter_mut().filter(|one| one.kind == ObjectKind::Comment) {
            comment.sql = Note::parse(Some(&comment.sql)).text;
        }
        list.retain(|one| !one.sql.is_empty());
    }
    all.retain(|_, list| !list.is_empty());
    let is_kept = |one: &&CatalogObject| matches!(one.kind, ObjectKind::Table | ObjectKind::View);
    for object in objects.iter().filter(is_kept) {
        all.entry(object.name.clone()).or_default();
    }
    Ok(all)
}

/// Reads what is attached to `objects`, with comments as they are.
fn read_whole(
    client: &mut impl GenericClient,
    objects: &[CatalogObject],
) -> Result<AttachedByTable> {
    let is_read =
        |object: &&CatalogObject| !matches!(object.kind, ObjectKind::Index | ObjectKind::Type);
    let oids: Vec<i64> = objects.iter().filter(is_read).map(|object| object.oid).collect();
    let rows = client
        .query(include_str!("read.sql"), &[&oids])
        .map_err(db_error("cannot read the definitions of the target's tables"))?;
    let mut all = AttachedByTable::new();
    for row in rows {
        let kind = serde_json::Value::from(row.get::<_, &str>(1));
        let Ok(kind) = serde_json::from_value(kind) else { continue };
        let attached = Attached { kind, name: row.get(2), sql: row.get(3), protects: row.get(4) };
        all.entry(row.get(0)).or_default().push(attached);
    }
    all.values_mut().for_each(|list| sort(list));
    Ok(all)
}

/// Sorts into the order in which it is restored: what protects rows comes before what gives access.
fn sort(list: &mut [Attached]) {
    list.sort_by_key(|one| one.kind);
}

/// What is in `list`, by kind and name: `policy "own"`. Without comments, of which there can be many.
pub(crate) fn names<'a>(list: impl IntoIterator<Item = &'a Attached>) -> Vec<String> {
    let name = |one: &Attached| match one.kind {
        ObjectKind::RowSecurity => one.name.clone(),
        kind => format!("{} {}", kind.as_str(), quote(&one.name)),
    };
    list.into_iter().filter(|one| one.kind != ObjectKind::Comment).map(name).collect()
}

/// What is in `list`, with its numbers: `owner, 1 policy, 2 grants`.
pub(crate) fn summary<'a>(list: impl IntoIterator<Item = &'a Attached>) -> String {
    let mut counts: Vec<(ObjectKind, u64)> = Vec::new();
    for Attached { kind, .. } in list {
        match counts.iter_mut().find(|(other, _)| other == kind) {
            Some((_, count)) => *count += 1,
            None => counts.push((*kind, 1)),
        }
    }
    let counted = counts.into_iter().map(|(kind, count)| match (kind, kind.as_str()) {
        (ObjectKind::Owner | ObjectKind::RowSecurity, word) => word.to_owned(),
        (ObjectKind::Policy, word) => plural(count, word, "policies"),
        (ObjectKind::Index, word) => plural(count, word, "indexes"),
        (_, word) => plural(count, word, &format!("{word}s")),
    });
    counted.collect::<Vec<_>>().join(", ")
}
