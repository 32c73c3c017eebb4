//! Expressions as the server prints them (`pg_get_expr`), parsed into trees.
//!
//! The server's form is regular: operators are in parentheses, casts are written `::`, IN lists are
//! `= ANY (ARRAY[...])`, LIKE is `~~`. An unknown construct gives no tree. A cast keeps the type as
//! printed, a function its unqualified name.

pub(crate) mod tokens;

use crate::postgres::sql::parse::tokens::{Token, tokens};
use crate::schema::expression::{Collation, Current, Expression, Sql};

/// The deepest nesting that gets a tree.
const MAX_DEPTH: u32 = 100;

/// An expression with its tree, where every construct is known. `value` is as in [`tree`].
pub(crate) fn sql(text: String, value: Option<&str>) -> Sql {
    Sql { tree: tree(&text, value), text }
}

/// The tree of an expression. `value` is the column that VALUE means in the CHECK of a domain.
pub(crate) fn tree(text: &str, value: Option<&str>) -> Option<Expression> {
    let tokens = tokens(text)?;
    let mut parser = Parser { tokens: &tokens, at: 0, depth: MAX_DEPTH, value };
    let tree = parser.expression(0)?;
    (parser.at == tokens.len()).then_some(tree)
}

struct Parser<'a> {
    tokens: &'a [Token],
    at: usize,
    depth: u32,
    value: Option<&'a str>,
}

/// The binary operators by precedence.
const OPERATORS: [(u8, &[&str]); 6] = [
    (1, &["OR"]),
    (2, &["AND"]),
    (5, &["=", "<>", "<", "<=", ">", ">="]),
    (6, &["~~", "!~~", "||", "&", "|"]),
    (7, &["+", "-"]),
    (8, &["*", "/", "%"]),
];

const NOT: u8 = 3;
const IS: u8 = 4;
const AT: u8 = 9;
const UNARY: u8 = 10;

impl Parser<'_> {
    fn peek(&self) -> Option<&Token> {
        self.tokens.get(self.at)
    }

    /// Takes the next token if it is this operator, sign or keyword.
    fn take(&mut self, text: &str) -> bool {
        let is_next = self.peek().is_some_and(|token| token.is(text));
        self.at += usize::from(is_next);
        is_next
    }

    fn expect(&mut self, text: &str) -> Option<()> {
        self.take(text).then_some(())
    }

    fn expression(&mut self, tightest: u8) -> Option<Expression> {
        self.depth = self.depth.checked_sub(1)?;
        let mut left = self.operand()?;
        loop {
            left = match self.infix(left, tightest)? {
                (next, true) => next,
                (done, false) => {
                    self.depth += 1;
                    return Some(done);
                }
            };
        }
    }

    /// Extends an operand by an infix operator. Returns whether there was one.
    fn infix(&mut self, left: Expression, tightest: u8) -> Option<(Expression, bool)> {
        if self.take("::") {
            return Some((Expression::Cast(Box::new(left), self.type_name()?), true));
        }
        if tightest < AT && self.take("AT") {
            self.expect("TIME")?;
            self.expect("ZONE")?;
            let zone = self.expression(AT)?;
            return Some((Expression::Call("timezone".to_owned(), vec![zone, left]), true));
        }
        if self.take("COLLATE") {
            let mut name = self.name()?;
            if self.take(".") {
                name = self.name()?;
            }
            let collation = match name.as_str() {
                "C" | "POSIX" => Collation::Binary,
                _ => Collation::Other(name),
            };
            return Some((Expression::Collate(Box::new(left), collation), true));
        }
        if tightest < IS && self.take("IS") {
            return Some((self.is(left)?, true));
        }
        let tighter = OPERATORS.iter().skip_while(|(binds, _)| *binds <= tightest);
        let mut operators = tighter.flat_map(|(binds, all)| all.iter().map(|one| (*binds, *one)));
        let Some((binds, operator)) = operators.find(|(_, operator)| self.take(operator)) else {
            return Some((left, false));
        };
        if operator == "=" && self.take("ANY") {
            return Some((self.any(left)?, true));
        }
        let right = self.expression(binds)?;
        let (left, right) = (Box::new(left), Box::new(right));
        let tree = match operator {
            "~~" | "!~~" => Expression::Like {
                operand: left,
                pattern: right,
                escape: None,
                glob: false,
                negated: operator == "!~~",
            },
            _ => Expression::Binary(left, operator, right),
        };
        Some((tree, true))
    }

    fn is(&mut self, left: Expression) -> Option<Expression> {
        let negated = self.take("NOT");
        let operand = Box::new(left);
        if self.take("NULL") {
            return Some(Expression::IsNull { operand, negated });
        }
        // IS and IS NOT of the tree are SQLite's: IS means equal or both NULL.
        let (same, other) = if negated { ("IS NOT", "IS") } else { ("IS", "IS NOT") };
        if self.take("DISTINCT") {
            self.expect("FROM")?;
            let right = self.expression(IS)?;
            return Some(Expression::Binary(operand, other, Box::new(right)));
        }
        let value = if self.take("TRUE") {
            Expression::Boolean(true)
        } else {
            self.expect("FALSE")?;
            Expression::Boolean(false)
        };
        Some(Expression::Binary(operand, same, Box::new(value)))
    }

    /// `= ANY (ARRAY[...])`, with an optional cast of the array.
    fn any(&mut self, operand: Expression) -> Option<Expression> {
        self.expect("(")?;
        let inner = self.take("(");
        self.expect("ARRAY")?;
        self.expect("[")?;
        let list = self.list("]")?;
        if inner {
            self.expect(")")?;
            self.expect("::")?;
            self.type_name()?;
        }
        self.expect(")")?;
        Some(Expression::In { operand: Box::new(operand), list, negated: false })
    }

    /// Expressions separated by commas up to `end`, which is taken too.
    fn list(&mut self, end: &str) -> Option<Vec<Expression>> {
        let mut list = Vec::new();
        if self.take(end) {
            return Some(list);
        }
        loop {
            list.push(self.expression(0)?);
            if self.take(end) {
                return Some(list);
            }
            self.expect(",")?;
        }
    }

    fn operand(&mut self) -> Option<Expression> {
        if self.take("(") {
            let inner = self.expression(0)?;
            self.expect(")")?;
            return Some(inner);
        }
        if self.take("-") {
            return Some(Expression::Unary("-", Box::new(self.expression(UNARY)?)));
        }
        if self.take("NOT") {
            return Some(Expression::Unary("NOT", Box::new(self.expression(NOT)?)));
        }
        if self.take("CASE") {
            return self.case();
        }
        let token = self.peek()?.clone();
        self.at += 1;
        match token {
            Token::Number(text) => Some(Expression::Number(text)),
            Token::Text(text) => Some(Expression::String(text)),
            Token::Quoted(name) => self.named(name),
            Token::Word(word) => self.word(word),
            Token::Sign(_) => None,
        }
    }

    fn word(&mut self, word: String) -> Option<Expression> {
        Some(match word.as_str() {
            "null" => Expression::Null,
            "true" => Expression::Boolean(true),
            "false" => Expression::Boolean(false),
            "current_timestamp" => Expression::Current(Current::Timestamp),
            "value" if self.value.is_some() => Expression::Column(self.value?.to_owned()),
            "extract" => {
                self.expect("(")?;
                let field = self.name()?;
                self.expect("FROM")?;
                let from = self.expression(0)?;
                self.expect(")")?;
                Expression::Call(word, vec![Expression::String(field), from])
            }
            // Words with a special meaning, in this or a later version.
            "array" | "row" | "any" | "all" | "exists" | "select" | "current_date"
            | "current_time" | "localtimestamp" | "localtime" | "current_user" | "session_user"
            | "user" | "interval" => return None,
            _ => return self.named(word),
        })
    }

    /// A column, or a function call without its schema.
    fn named(&mut self, name: String) -> Option<Expression> {
        if self.take("(") {
            return Some(Expression::Call(name, self.list(")")?));
        }
        if self.take(".") {
            let schema = name;
            let name = self.name()?;
            // A function of another schema is not the known one.
            let is_builtin = schema == "pg_catalog";
            self.expect("(")?;
            let arguments = self.list(")")?;
            return is_builtin.then_some(Expression::Call(name, arguments));
        }
        Some(Expression::Column(name))
    }

    fn case(&mut self) -> Option<Expression> {
        let base = match self.peek()?.is("WHEN") {
            true => None,
            false => Some(Box::new(self.expression(0)?)),
        };
        let mut branches = Vec::new();
        while self.take("WHEN") {
            let when = self.expression(0)?;
            self.expect("THEN")?;
            branches.push((when, self.expression(0)?));
        }
        let otherwise = match self.take("ELSE") {
            true => Some(Box::new(self.expression(0)?)),
            false => None,
        };
        self.expect("END")?;
        Some(Expression::Case { base, branches, otherwise })
    }

    fn name(&mut self) -> Option<String> {
        let name = match self.peek()? {
            Token::Word(name) | Token::Quoted(name) | Token::Text(name) => name.clone(),
            _ => return None,
        };
        self.at += 1;
        Some(name)
    }

    /// A type as printed: schema, words, modifiers, brackets.
    fn type_name(&mut self) -> Option<String> {
        let mut name = self.name()?;
        while self.take(".") {
            name = format!("{name}.{}", self.name()?);
        }
        for (first, second) in
            [("character", "VARYING"), ("double", "PRECISION"), ("bit", "VARYING")]
        {
            if name == first && self.take(second) {
                name = format!("{name} {}", second.to_ascii_lowercase());
            }
        }
        if self.take("(") {
            let number = |modifier| match modifier {
                Expression::Number(text) => Some(text),
                _ => None,
            };
            let modifiers = self.list(")")?.into_iter().map(number).collect::<Option<Vec<_>>>()?;
            name = format!("{name}({})", modifiers.join(","));
        }
        if matches!(name.split('(').next(), Some("timestamp" | "time"))
            && self.peek().is_some_and(|token| token.is("WITH") || token.is("WITHOUT"))
        {
            let word = self.name()?;
            self.expect("TIME")?;
            self.expect("ZONE")?;
            name = format!("{name} {word} time zone");
        }
        while self.take("[") {
            self.expect("]")?;
            name.push_str("[]");
        }
        Some(name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn column(name: &str) -> Box<Expression> {
        Box::new(Expression::Column(name.to_owned()))
    }

    fn number(text: &str) -> Box<Expression> {
        Box::new(Expression::Number(text.to_owned()))
    }

    fn cast(operand: Expression, to: &str) -> Expression {
        Expression::Cast(Box::new(operand), to.to_owned())
    }

    fn string(text: &str) -> Expression {
        Expression::String(text.to_owned())
    }

    // The texts are PostgreSQL 15's.
    #[test]
    fn expressions_of_the_server_are_parsed() {
        let is_not_null = Expression::IsNull { operand: column("b"), negated: true };
        let greater = Expression::Binary(column("a"), ">", number("0"));
        let list = ["a'b", "c"].map(|text| cast(string(text), "character varying")).into();
        let kind = Box::new(cast(*column("kind"), "text"));
        let now = Expression::Call("now".to_owned(), vec![]);
        for (text, expected) in [
            (
                "((a > 0) AND (b IS NOT NULL))",
                Expression::Binary(Box::new(greater), "AND", Box::new(is_not_null)),
            ),
            (
                "((kind)::text = ANY ((ARRAY['a''b'::character varying, \
                 'c'::character varying])::text[]))",
                Expression::In { operand: kind, list, negated: false },
            ),
            (
                "(now() AT TIME ZONE 'UTC'::text)",
                Expression::Call("timezone".to_owned(), vec![cast(string("UTC"), "text"), now]),
            ),
            (
                "'2020-01-01 00:00:00'::timestamp without time zone",
                cast(string("2020-01-01 00:00:00"), "timestamp without time zone"),
            ),
            ("\"Odd \"\"name\"\"\"", *column("Odd \"name\"")),
        ] {
            assert_eq!(tree(text, None), Some(expected), "{text}");
        }
        assert_eq!(tree("(VALUE > 0)", Some("age")), tree("(age > 0)", None));
        assert!(tree("CASE WHEN (a = 1) THEN 'x'::text ELSE NULL::text END", None).is_some());
    }

    #[test]
    fn unknown_constructs_have_no_tree() {
        for text in
            ["", "(a ~ 'x'::text)", "other.f(a)", "ARRAY[1, 2]", "(a > 0", "a b", "(SELECT 1)"]
        {
            assert_eq!(tree(text, None), None, "{text}");
        }
        let deep = "(".repeat(100_000);
        assert_eq!(tree(&deep, None), None);
    }
}
