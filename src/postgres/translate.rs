//! stub
#![allow(missing_docs)]
use crate::schema::{Affinity, Collation, ColumnType, IndexOver, IndexTerm, Sql};
use crate::schema::names::quote;
pub type Reason = String;
#[derive(Debug, Clone)]
pub struct ScopeColumn { pub name: String, pub target: String, pub column_type: ColumnType, pub affinity: Affinity, pub collation: Collation, pub converted: bool, pub generated: bool }
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> { columns: &'a [ScopeColumn] }
impl<'a> Scope<'a> { pub fn new(columns: &'a [ScopeColumn]) -> Self { Self { columns } } }
pub fn condition(_: &Sql, _: &Scope<'_>) -> Result<String, Reason> { Err("stub".into()) }
pub fn generated(_: &Sql, _: &Scope<'_>, _: &ScopeColumn) -> Result<String, Reason> { Err("stub".into()) }
pub fn default(_: &Sql, _: &ColumnType) -> Result<String, Reason> { Err("stub".into()) }
pub fn index_term(term: &IndexTerm, scope: &Scope<'_>) -> Result<String, Reason> {
    match &term.over { IndexOver::Column(n) => Ok(quote(&scope.columns.iter().find(|c| c.name==*n).ok_or("x")?.target)), _ => Err("stub".into()) }
}
