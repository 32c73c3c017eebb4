//! Expressions as the server prints them (`pg_get_expr`), parsed into trees.
//!
//! The server's form is regular: operators are in parentheses, casts are written `::`, IN lists are
//! `= ANY (ARRAY[...])`, LIKE is `~~`. An unknown construct gives no tree. A cast keeps the type as
//! printed, a function its unqualified name.

pub(crate) mod tokens;

use crate::postgres::sql::parse::tokens::{Token, tokens};
use crate::schema::expression::{Collation, Current, Expression};

/// The deepest nesting that gets a tree.
const MAX_DEPTH: u32 = 100;

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

/// Binary operators: as printed, precedence, and in the tree.
const OPERATORS: [(&str, u8, &str); 18] = [
    ("OR", 1, "OR"),
    ("AND", 2, "AND"),
    ("=", 5, "="),
    ("<>", 5, "<>"),
    ("<", 5, "<"),
    ("<=", 5, "<="),
    (">", 5, ">"),
    (">=", 5, ">="),
    ("~~", 6, "~~"),
    ("!~~", 6, "!~~"),
    ("||", 6, "||"),
    ("+", 7, "+"),
    ("-", 7, "-"),
    ("*", 8, "*"),
    ("/", 8, "/"),
    ("%", 8, "%"),
    ("&", 6, "&"),
    ("|", 6, "|"),
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
        let operator = OPERATORS
            .iter()
            .find(|(text, binds, _)| *binds > tightest && self.peek().is_some_and(|t| t.is(text)));
        let Some(&(_, binds, operator)) = operator else { return Some((left, false)) };
        self.at += 1;
        if operator == "=" && (self.take("ANY")) {
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
        for (first, rest) in
            [("character", &["varying"][..]), ("double", &["precision"]), ("bit", &["varying"])]
        {
            if name == first {
                for word in rest {
                    if self.take(&word.to_ascii_uppercase()) {
                        name = format!("{name} {word}");
                    }
                }
            }
        }
        if self.take("(") {
            let modifiers = self.list(")")?;
            let modifiers: Option<Vec<String>> = modifiers
                .into_iter()
                .map(|modifier| match modifier {
                    Expression::Number(text) => Some(text),
                    _ => None,
                })
                .collect();
            name = format!("{name}({})", modifiers?.join(","));
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

    // The texts are PostgreSQL 15's.
    #[test]
    fn expressions_of_the_server_are_parsed() {
        assert_eq!(
            tree("((a > 0) AND (b IS NOT NULL))", None),
            Some(Expression::Binary(
                Box::new(Expression::Binary(column("a"), ">", number("0"))),
                "AND",
                Box::new(Expression::IsNull { operand: column("b"), negated: true }),
            ))
        );
        let text = |text: &str| {
            Expression::Cast(Box::new(Expression::String(text.into())), "character varying".into())
        };
        assert_eq!(
            tree(
                "((kind)::text = ANY ((ARRAY['a''b'::character varying, 'c'::character varying])::text[]))",
                None
            ),
            Some(Expression::In {
                operand: Box::new(Expression::Cast(column("kind"), "text".into())),
                list: vec![text("a'b"), text("c")],
                negated: false,
            })
        );
        assert_eq!(
            tree("(now() AT TIME ZONE 'UTC'::text)", None),
            Some(Expression::Call(
                "timezone".into(),
                vec![
                    Expression::Cast(Box::new(Expression::String("UTC".into())), "text".into()),
                    Expression::Call("now".into(), vec![]),
                ]
            ))
        );
        assert_eq!(
            tree("'2020-01-01 00:00:00'::timestamp without time zone", None),
            Some(Expression::Cast(
                Box::new(Expression::String("2020-01-01 00:00:00".into())),
                "timestamp without time zone".into()
            ))
        );
        assert_eq!(tree("(VALUE > 0)", Some("age")), tree("(age > 0)", None));
        assert!(tree("\"Odd \"\"name\"\"\"", None).is_some_and(
            |tree| matches!(tree, Expression::Column(name) if name == "Odd \"name\"")
        ));
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
