//! Parsing one statement or expression.

use sqlite3_parser::ast::{Cmd, Expr, OneSelect, ResultColumn, Stmt};
use sqlite3_parser::lexer::sql::Parser;
use sqlite3_parser::{Bump, FallibleIterator as _};

/// Parses one expression and reads it.
pub(crate) fn expression<T>(text: &str, read: impl FnOnce(&Expr<'_>) -> Option<T>) -> Option<T> {
    // The line end closes a comment at the end of the text.
    statement(&format!("SELECT {text}\n"), |stmt| {
        let Stmt::Select(select) = stmt else { return None };
        let plain = select.with.is_none()
            && select.body.compounds.is_none()
            && select.order_by.is_none()
            && select.limit.is_none();
        match &select.body.select {
            OneSelect::Select { columns: [ResultColumn::Expr(expr, None)], from: None, .. }
                if plain =>
            {
                read(expr)
            }
            _ => None,
        }
    })
}

/// Parses one statement, which nothing follows, and reads it.
pub(crate) fn statement<T>(text: &str, read: impl FnOnce(&Stmt<'_>) -> Option<T>) -> Option<T> {
    let bump = Bump::new();
    let mut parser = Parser::new(&bump, text.as_bytes());
    let Ok(Some(Cmd::Stmt(stmt))) = parser.next() else { return None };
    let read = read(&stmt);
    read.filter(|_| matches!(parser.next(), Ok(None)))
}
