//! The plan of the way back: everything that is decided before the first write.

use super::asked::{self, Answer, Question};
use super::choose;
use super::columns::{Given, Proposal, proposals};
use super::definitions::{self, Definitions};
use super::pieces::{block_pieces, key_pieces};
use super::trial;
use crate::codec::decode::Wire;
use crate::error::{Error, Result};
use crate::postgres::catalog::{Catalog, TableFacts};
use crate::postgres::read::{Relation, Snapshot, TupleReader};
use crate::progress::{Phase, Progress};
use crate::schema::names::{qualify, quote};
use crate::schema::{LeftOut, Table};
use crate::sqlite::ddl::TableDdl;
use crate::transfer::options::{CastType, OnMisfit, Options};
use crate::transfer::plan::Optional;
use crate::transfer::plan::choose::choose_tables;
use crate::transfer::plan::columns::check_casts;
use crate::transfer::report::{ColumnPlan, ConversionReport, DataSetPlan, Dropped, TablePlan};
use crate::transfer::sizes::Sizes;
use serde_json::Value;
use std::collections::HashSet;
use std::sync::atomic::AtomicBool;

/// The plan of one data set.
pub(super) struct Plan {
    pub(super) data_set: String,
    /// The tables, in the source's order.
    pub(super) tables: Vec<PlannedTable>,
    /// What is not carried over.
    pub(super) left_out: Vec<LeftOut>,
    /// What the user should know.
    pub(super) notes: Vec<String>,
    /// The tables of the file that will be replaced.
    pub(super) drops: Vec<Dropped>,
}

/// One table of a plan.
pub(super) struct PlannedTable {
    /// Its name in the source.
    pub(super) name: String,
    /// The same, qualified.
    pub(super) qualified: String,
    /// Its definition in the target.
    pub(super) ddl: TableDdl,
    /// What each column becomes, in the order of both.
    pub(super) columns: Vec<PlannedColumn>,
    /// The queries that give its rows, in the order in which they are written.
    pub(super) pieces: Vec<String>,
    /// Its rows.
    pub(super) rows: u64,
    /// Their size on the server's disk, in bytes.
    pub(super) bytes: u64,
    /// The columns of its primary key, by their names in the source.
    pub(super) key: Vec<String>,
    /// Indexes, to be built after the rows.
    pub(super) indexes: Vec<Optional>,
    /// By the number of the foreign key: its rows need not all have parents.
    pub(super) not_valid: Vec<bool>,
    /// The last value that its key has handed out.
    pub(super) sequence: Option<i64>,
}

/// What one column becomes.
pub(super) struct PlannedColumn {
    /// Its name in the source.
    pub(super) name: String,
    /// Its type there.
    pub(super) source_type: String,
    /// Its name in the target.
    pub(super) target: String,
    /// How it arrives.
    pub(super) proposal: Proposal,
    /// It is not how its type would have it at first, and somebody should look at that.
    pub(super) needs_decision: bool,
    /// Negative zeros in it.
    pub(super) zeros: u64,
}

impl PlannedColumn {
    /// What is read of it.
    pub(super) fn read(&self) -> String {
        self.proposal.read.clone().unwrap_or_else(|| quote(&self.name))
    }
}

/// What a plan is made from.
pub(super) struct Inputs<'a> {
    pub(super) data_set: &'a str,
    pub(super) schema: &'a str,
    pub(super) options: &'a Options,
    pub(super) sizes: &'a Sizes,
    pub(super) progress: &'a Progress,
    pub(super) stop: &'a AtomicBool,
    /// One more session in the snapshot.
    pub(super) connect: &'a (dyn Fn() -> Result<TupleReader> + Sync),
    /// The tables that are in the target already.
    pub(super) existing: &'a [String],
    /// What a run from SQLite kept of the types that it gave, by table and column.
    pub(super) types: &'a Value,
}

/// Makes the plan from the catalog that the snapshot shows.
///
/// # Errors
/// Refused, with table, column, count, first places and mend, where something stands in the way.
pub(super) fn make(
    inputs: &Inputs<'_>,
    mut catalog: Catalog,
    snapshot: &mut Snapshot,
) -> Result<Plan> {
    let mut left_out = choose_tables(&mut catalog.schema, inputs.options)?;
    left_out.append(&mut catalog.schema.left_out);
    choose::refuse_hidden(&catalog)?;
    check_casts(&inputs.options.casts, &catalog.schema)?;
    choose::leave_out_bare(&mut catalog, &mut left_out);
    let asked = ask(inputs, &catalog)?;
    inputs.progress.enter(Phase::Plan);
    let decided = decide(inputs, &catalog, asked, snapshot)?;
    let mut definitions = Definitions::new(&catalog, &decided);
    let mut tables = Vec::with_capacity(decided.len());
    for (place, columns) in decided.iter().enumerate() {
        tables.push(definitions.table(place, &columns.columns));
    }
    left_out.append(&mut definitions.left_out);
    let mut notes = std::mem::take(&mut definitions.notes);
    trial::try_out(&mut tables, &mut left_out)?;
    let mut planned = Vec::with_capacity(tables.len());
    for ((definition, decided), table) in
        tables.into_iter().zip(decided).zip(&catalog.schema.tables)
    {
        let facts = &catalog.facts[&table.name];
        let relations = snapshot.relations(&qualify(inputs.schema, &table.name))?;
        planned.push(assemble(inputs.schema, table, facts, definition, decided, &relations));
    }
    if planned.iter().any(|table| table.columns.iter().any(|c| c.source_type.contains("citext"))) {
        notes.push("citext folds ASCII letters only in SQLite (COLLATE NOCASE)".to_owned());
    }
    let names: HashSet<String> =
        planned.iter().map(|table| table.ddl.name.to_ascii_lowercase()).collect();
    let drops = inputs.existing.iter().map(|name| Dropped {
        kind: "table".to_owned(),
        name: name.clone(),
        comes_back: names.contains(&name.to_ascii_lowercase()),
    });
    let plan = Plan {
        data_set: inputs.data_set.to_owned(),
        tables: planned,
        left_out,
        notes,
        drops: drops.collect(),
    };
    choose::hold_to_the_letter(inputs.options, &plan)?;
    Ok(plan)
}

/// What was decided about one table.
pub(super) struct DecidedTable {
    pub(super) columns: Vec<PlannedColumn>,
    answer: Answer,
}

type Asked = (Vec<Vec<(String, Vec<Proposal>)>>, Vec<Answer>);

fn ask(inputs: &Inputs<'_>, catalog: &Catalog) -> Result<Asked> {
    let mut all = Vec::with_capacity(catalog.schema.tables.len());
    for table in &catalog.schema.tables {
        let facts = &catalog.facts[&table.name];
        let mut columns = Vec::with_capacity(table.columns.len());
        for (column, column_facts) in table.columns.iter().zip(&facts.columns) {
            let pin = inputs
                .options
                .casts
                .iter()
                .find(|cast| cast.table == table.name && cast.column == column.name);
            let of = |facts: &Value, name: &str| {
                facts["name"].as_str().map_or_else(|| name.to_owned(), str::to_owned)
            };
            let kept = &inputs.types[of(&facts.origin, &table.name)]
                [of(&column_facts.origin, &column.name)];
            let kept = kept.as_str().and_then(|text| CastType::parse(text).ok());
            let given = Given {
                column,
                facts: column_facts,
                strict: facts.origin["strict"].as_bool().unwrap_or(false),
                epoch: kept.and_then(|kept| kept.epoch),
                pin: pin.map(|pin| &pin.to),
            };
            columns.push((column.name.clone(), proposals(&given)?));
        }
        all.push(columns);
    }
    inputs.progress.enter(Phase::Profile);
    let questions: Vec<Question<'_>> = catalog
        .schema
        .tables
        .iter()
        .zip(&all)
        .map(|(table, columns)| {
            let facts = &catalog.facts[&table.name];
            Question {
                name: &table.name,
                from: from(inputs.schema, table, facts),
                key: integer_key(table, facts).map(str::to_owned),
                columns,
            }
        })
        .collect();
    let answers = asked::ask(&questions, inputs.connect, inputs.sizes.readers, inputs.stop)?;
    drop(questions);
    Ok((all, answers))
}

/// What the rows of a table are selected from: its own only, unless they lie in partitions.
fn from(schema: &str, table: &Table, facts: &TableFacts) -> String {
    let only = if facts.partitioned { "" } else { "ONLY " };
    format!("{only}{}", qualify(schema, &table.name))
}

/// The only column of the primary key, where that is an integer.
pub(super) fn integer_key<'a>(table: &'a Table, facts: &TableFacts) -> Option<&'a str> {
    let [key] = table.primary_key.as_ref()?.columns.as_slice() else { return None };
    let place = table.columns.iter().position(|column| column.name == key.name)?;
    let base = facts.columns.get(place)?.base.as_str();
    matches!(base, "int2" | "int4" | "int8").then_some(key.name.as_str())
}

/// Takes the first proposal of each column that can take all of its values.
fn decide(
    inputs: &Inputs<'_>,
    catalog: &Catalog,
    (all, answers): Asked,
    snapshot: &mut Snapshot,
) -> Result<Vec<DecidedTable>> {
    let widen = inputs.options.on_misfit == OnMisfit::Widen;
    let mut misfits = Vec::new();
    let mut decided = Vec::new();
    for ((table, columns), answer) in catalog.schema.tables.iter().zip(all).zip(answers) {
        let mut planned = Vec::with_capacity(columns.len());
        for (place, ((name, proposals), refused)) in
            columns.into_iter().zip(&answer.refused).enumerate()
        {
            let mut taken = None;
            let mut fell = false;
            for (proposal, refused) in proposals.into_iter().zip(refused) {
                if *refused == 0 {
                    taken = Some(proposal);
                    break;
                }
                if proposal.strict && !widen {
                    let facts = &catalog.facts[&table.name];
                    let from = from(inputs.schema, table, facts);
                    misfits.push(choose::misfit(
                        snapshot.client(),
                        (&table.name, &name),
                        (&from, integer_key(table, facts)),
                        &proposal,
                        *refused,
                    )?);
                }
                fell = true;
            }
            // A column whose every proposal was refused has a misfit; the run ends below.
            let Some(mut proposal) = taken else { continue };
            let zeros = if proposal.zeros { answer.zeros[place] } else { 0 };
            if zeros > 0 {
                let base = &catalog.facts[&table.name].columns[place].base;
                proposal.read = Some(format!("({} + 0::pg_catalog.{base})", quote(&name)));
            }
            planned.push(PlannedColumn {
                source_type: table.columns[place].declared.clone(),
                target: String::new(),
                needs_decision: fell && proposal.declared != "DECIMAL_TEXT",
                name,
                proposal,
                zeros,
            });
        }
        decided.push(DecidedTable { columns: planned, answer });
    }
    if misfits.is_empty() {
        return Ok(decided);
    }
    let error = Error::refused("SQLite cannot hold every value");
    let error = misfits.into_iter().take(50).fold(error, Error::caused_by);
    Err(error
        .hint("--on-misfit widen makes such columns TEXT, as the server prints their values")
        .hint("--exclude TABLE leaves a table out"))
}

fn assemble(
    schema: &str,
    table: &Table,
    facts: &TableFacts,
    definition: definitions::TableDefinition,
    decided: DecidedTable,
    relations: &[Relation],
) -> PlannedTable {
    let DecidedTable { mut columns, answer } = decided;
    for (column, ddl) in columns.iter_mut().zip(&definition.ddl.columns) {
        column.target.clone_from(&ddl.name);
    }
    let sent: Vec<&PlannedColumn> = columns
        .iter()
        .zip(&definition.ddl.columns)
        .filter(|(_, ddl)| ddl.generated.is_none())
        .map(|(column, _)| column)
        .collect();
    let list: Vec<String> = sent.iter().map(|column| column.read()).collect();
    let select = format!("SELECT {} FROM ", list.join(", "));
    let key: Vec<String> = table
        .primary_key
        .iter()
        .flat_map(|key| key.columns.iter().map(|column| column.name.clone()))
        .collect();
    let order = || {
        let term = |name: &String| {
            let text = columns.iter().any(|c| {
                c.name == *name && c.proposal.read.is_none() && c.proposal.wire == Wire::Text
            });
            let bytes = if text { " COLLATE \"C\"" } else { "" };
            format!("{}{bytes}", quote(name))
        };
        key.iter().map(term).collect::<Vec<_>>().join(", ")
    };
    let pieces = match (integer_key(table, facts), answer.range) {
        (Some(column), Some(range)) => {
            key_pieces(&select, &from(schema, table, facts), column, range, facts.bytes)
        }
        // In the order of the key, so that its index grows at its end.
        _ if !key.is_empty() => {
            vec![format!("{select}{} ORDER BY {}", from(schema, table, facts), order())]
        }
        _ => relations.iter().flat_map(|relation| block_pieces(&select, relation)).collect(),
    };
    PlannedTable {
        name: table.name.clone(),
        qualified: qualify(schema, &table.name),
        pieces,
        rows: answer.rows,
        bytes: facts.bytes,
        key,
        sequence: definition.sequence,
        not_valid: definition.not_valid,
        indexes: definition.indexes,
        ddl: definition.ddl,
        columns,
    }
}

impl Plan {
    /// Rows of all tables.
    pub(super) fn rows(&self) -> u64 {
        self.tables.iter().map(|table| table.rows).sum()
    }

    /// The plan as it is shown.
    pub(super) fn summary(&self, target: &str) -> DataSetPlan {
        DataSetPlan {
            name: self.data_set.clone(),
            target_schema: target.to_owned(),
            continues: None,
            tables: self.tables.iter().map(PlannedTable::summary).collect(),
            left_out: self.left_out.clone(),
            drops: self.drops.clone(),
            notes: self.notes.clone(),
            casts: Vec::new(),
        }
    }
}

impl PlannedTable {
    fn summary(&self) -> TablePlan {
        let columns = self.columns.iter().filter_map(|column| {
            Some(ColumnPlan {
                column: column.name.clone(),
                declared: column.source_type.clone(),
                to: column.proposal.declared.clone(),
                reason: column.proposal.reason?.to_owned(),
                needs_decision: column.needs_decision,
            })
        });
        TablePlan {
            name: self.name.clone(),
            target_name: self.renamed(),
            rows: self.rows,
            bytes: self.bytes,
            columns: columns.collect(),
            conversions: self.conversions(),
            rows_left_out: Vec::new(),
        }
    }

    /// The name in the target, where it is another one.
    pub(super) fn renamed(&self) -> Option<String> {
        (self.ddl.name != self.name).then(|| self.ddl.name.clone())
    }

    /// The declared conversions.
    pub(super) fn conversions(&self) -> Vec<ConversionReport> {
        let zeros = self.columns.iter().filter(|column| column.zeros > 0);
        zeros
            .map(|column| ConversionReport {
                column: column.name.clone(),
                to: column.proposal.declared.clone(),
                what: "negative zero becomes zero".to_owned(),
                count: column.zeros,
            })
            .collect()
    }
}
