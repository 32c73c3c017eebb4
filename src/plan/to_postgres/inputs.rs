//! What a plan is made from, and what it drops.

use crate::control::run_control::RunControl;
use crate::control::sizing::Resources;
use crate::error::Result;
use crate::options::plan_options::PlanOptions;
use crate::plan::model::Plan;
use crate::plan::to_postgres::model::ToPostgres;
use crate::postgres::catalog::target_objects::{self, CatalogObject};
use crate::schema::names::Allocator;
use crate::schema::{ObjectKind, Schema};
use crate::sqlite::source::open::Source;
use postgres::GenericClient;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};

/// What the plan of one data set is made from.
pub(crate) struct PlanInputs<'a> {
    pub(crate) data_set: &'a str,
    /// The locked source.
    pub(crate) source: &'a Source,
    /// The schema of the target.
    pub(crate) schema: &'a str,
    pub(crate) options: &'a PlanOptions,
    /// Threads and sizes.
    pub(crate) resources: &'a Resources,
    pub(crate) control: &'a RunControl,
    /// What is dropped before the tables are created.
    pub(crate) drop: &'a DropScope,
    /// The names of all data sets of the run.
    pub(crate) data_sets: &'a [&'a str],
}

/// What is dropped before the tables are created.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum DropScope {
    Nothing,
    /// The objects that an earlier run created, where they are still the same.
    CreatedObjects(CreatedObjects),
    /// The tables and views that the plan creates, and the objects that an earlier run created.
    Planned(CreatedObjects),
    /// Everything in the schema.
    Everything,
}

impl DropScope {
    /// Without the tables that `excluded` names, which an earlier run created.
    pub(crate) fn without(mut self, excluded: &HashSet<String>) -> Self {
        if let Self::CreatedObjects(created) | Self::Planned(created) = &mut self {
            let excluded: Vec<String> = excluded.iter().map(|name| target_name(name)).collect();
            created.tables.retain(|table, _| !excluded.contains(table));
        }
        self
    }

    /// Whether `--restart` drops `object`.
    pub(crate) fn restarts(&self, object: &CatalogObject) -> bool {
        match self {
            Self::CreatedObjects(created) | Self::Planned(created) => created.has(object),
            Self::Nothing | Self::Everything => false,
        }
    }

    /// The `existing` objects that are dropped for a plan with the objects `planned`, and those that
    /// remain.
    pub(crate) fn split(
        &self,
        existing: Vec<CatalogObject>,
        planned: &PlannedNames,
    ) -> (Vec<CatalogObject>, Vec<CatalogObject>) {
        let is_named = |object: &CatalogObject| match self {
            Self::Nothing => false,
            Self::Everything => true,
            // What belongs to a table is dropped with it: the table may have another name now.
            _ if object.owner_oid.is_some() => false,
            Self::CreatedObjects(created) => created.has(object),
            Self::Planned(created) => created.has(object) || planned.replace(object),
        };
        let is_relation = |object: &&CatalogObject| object.kind != ObjectKind::Type;
        let relations = || existing.iter().filter(is_relation);
        let mut dropped: HashSet<i64> =
            relations().filter(|object| is_named(object)).map(|object| object.oid).collect();
        // A partition of a dropped table has partitions, indexes and sequences of its own.
        let mut count = 0;
        while count < dropped.len() {
            count = dropped.len();
            let owned = relations().filter(|o| o.owner_oid.is_some_and(|o| dropped.contains(&o)));
            let owned: Vec<i64> = owned.map(|object| object.oid).collect();
            dropped.extend(owned);
        }
        existing.into_iter().partition(|object| match object.kind {
            ObjectKind::Type => is_named(object),
            _ => dropped.contains(&object.oid),
        })
    }
}

/// The name in the target of a table or view of the source. That which a long or empty name gets does
/// not depend on other names.
fn target_name(name: &str) -> String {
    Allocator::default().relation(name)
}

/// The names in the target of the tables and views that a plan creates.
pub(crate) struct PlannedNames {
    tables: HashSet<String>,
    views: HashSet<String>,
}

impl PlannedNames {
    pub(crate) fn new(schema: &Schema) -> Self {
        Self {
            tables: schema.tables.iter().map(|table| target_name(&table.name)).collect(),
            views: schema.views.iter().map(|view| target_name(&view.name)).collect(),
        }
    }

    /// Whether one of them has the name of `object`.
    pub(crate) fn conflict(&self, object: &CatalogObject) -> bool {
        self.tables.contains(&object.name) || self.views.contains(&object.name)
    }

    /// Whether one of them is the same kind of object as `object` and has its name.
    fn replace(&self, object: &CatalogObject) -> bool {
        match object.kind {
            ObjectKind::Table => !object.is_dependent && self.tables.contains(&object.name),
            ObjectKind::View => self.views.contains(&object.name),
            _ => false,
        }
    }
}

/// The objects that a run created in the target, so that a later run can drop exactly these.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CreatedObjects {
    /// Tables with their OIDs: a table of the same name with another OID is not ours.
    tables: BTreeMap<String, i64>,
    /// Views. They are created last, and identified by name.
    views: Vec<String>,
}

impl CreatedObjects {
    /// The objects that a row of the ledger names.
    pub(crate) fn read(value: &Value) -> Self {
        serde_json::from_value(value.clone()).unwrap_or_default()
    }

    /// Whether `object` has the name of one of the tables and is another one.
    pub(crate) fn is_replaced_by(&self, object: &CatalogObject) -> bool {
        object.kind == ObjectKind::Table
            && self.tables.get(&object.name).is_some_and(|oid| *oid != object.oid)
    }

    /// Whether it has each table of a source.
    pub(crate) fn has_all_tables(&self, schema: &Schema) -> bool {
        schema.tables.iter().all(|table| self.tables.contains_key(&target_name(&table.name)))
    }

    pub(crate) fn has_tables(&self) -> bool {
        !self.tables.is_empty()
    }

    /// Removes the `dropped` objects. Returns whether there were any.
    pub(crate) fn remove(&mut self, dropped: &[CatalogObject]) -> bool {
        let count = |it: &Self| it.tables.len() + it.views.len();
        let before = count(self);
        for object in dropped.iter().filter(|object| !object.is_dependent) {
            if self.has(object) && object.kind == ObjectKind::Table {
                self.tables.remove(&object.name);
            } else if object.kind == ObjectKind::View {
                self.views.retain(|view| *view != object.name);
            }
        }
        count(self) < before
    }

    /// The objects of `plan`, once its tables exist.
    pub(crate) fn from_plan(
        plan: &Plan<ToPostgres>,
        client: &mut impl GenericClient,
    ) -> Result<Self> {
        let names = plan.table_names();
        let existing = target_objects::existing(client, &plan.target_schema)?;
        let is_ours = |object: &&CatalogObject| {
            object.kind == ObjectKind::Table && names.contains(&object.name)
        };
        let ours = existing.iter().filter(is_ours);
        Ok(Self {
            tables: ours.map(|table| (table.name.clone(), table.oid)).collect(),
            views: plan.objects.views.iter().map(|view| view.name.clone()).collect(),
        })
    }

    /// Whether `object` is one of them, or is dropped together with one.
    pub(crate) fn has(&self, object: &CatalogObject) -> bool {
        if let Some(table) = object.owner_oid {
            return self.tables.values().any(|oid| *oid == table);
        }
        match object.kind {
            ObjectKind::Table => self.tables.get(&object.name) == Some(&object.oid),
            ObjectKind::View => self.views.contains(&object.name),
            _ => false,
        }
    }
}
