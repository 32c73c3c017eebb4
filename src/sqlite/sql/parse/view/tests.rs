//! Views and the names in them.

use crate::schema::expression::{Collation, Expression};
use crate::schema::query::Select;
use crate::sqlite::sql::parse::view::{Refusal, Relation, view};

fn relation(name: &str) -> Option<Relation> {
    let relation = |name: &str, columns: &[&str], rowid_alias: Option<&str>| Relation {
        name: name.to_owned(),
        columns: columns.iter().map(|&column| column.to_owned()).collect(),
        rowid_alias: rowid_alias.map(str::to_owned),
    };
    match name.to_ascii_lowercase().as_str() {
        "p" => Some(relation("P", &["id", "name"], Some("id"))),
        "c" => Some(relation("c", &["id", "p", "name"], Some("id"))),
        "d" => Some(relation("d", &["id", "x"], None)),
        _ => None,
    }
}

fn read(select: &str) -> Result<Select, Refusal> {
    view(&format!("CREATE VIEW v AS {select}"), &relation)
}

fn column(table: &str, name: &str) -> Expression {
    Expression::Qualified(table.to_owned(), name.to_owned())
}

fn columns(select: &str) -> Vec<Expression> {
    read(select).map(|select| select.first.columns).unwrap_or_default()
}

fn refusal(select: &str) -> String {
    match read(select) {
        Err(Refusal::Construct(reason)) => reason,
        other => format!("{other:?}"),
    }
}

#[test]
fn names_mean_the_columns_of_the_relations() {
    assert_eq!(columns("SELECT NAME, p.ID FROM p"), [column("P", "name"), column("P", "id")]);
    assert_eq!(columns("SELECT rowid FROM p"), [column("P", "id")]);
    assert_eq!(columns("SELECT a.name FROM p AS a, c 'b'"), [column("a", "name")]);
    assert_eq!(columns("SELECT \"b\".p FROM p a, main.c \"b\""), [column("b", "p")]);
    assert_eq!(columns("SELECT \"no\" FROM p"), [Expression::DoubleQuoted("no".into())]);
    assert_eq!(refusal("SELECT name FROM p, c"), "uses \"name\", which is in several tables");
    assert_eq!(refusal("SELECT no FROM p"), "uses the unknown name \"no\"");
    assert_eq!(read("SELECT 1 FROM e"), Err(Refusal::Unknown("e".to_owned())));
    assert_eq!(refusal("SELECT 1 FROM p, P"), "reads two tables with the same alias");
}

#[test]
fn stars_show_a_merged_column_once() {
    let all = |pairs: &[(&str, &str)]| -> Vec<Expression> {
        pairs.iter().map(|(table, name)| column(table, name)).collect()
    };
    assert_eq!(
        columns("SELECT * FROM p JOIN d USING (id)"),
        all(&[("P", "id"), ("P", "name"), ("d", "x")])
    );
    assert_eq!(
        columns("SELECT d.*, id FROM p LEFT JOIN d USING (id)"),
        all(&[("d", "id"), ("d", "x"), ("P", "id")])
    );
    let select = read("SELECT 1 FROM p LEFT JOIN d USING (id) JOIN c USING (id)").unwrap();
    let equal = |left, right| Some(Expression::Binary(Box::new(left), "=", Box::new(right)));
    assert!(select.first.from[1].left && !select.first.from[2].left);
    assert_eq!(select.first.from[1].on, equal(column("P", "id"), column("d", "id")));
    assert_eq!(select.first.from[2].on, equal(column("P", "id"), column("c", "id")));
}

#[test]
fn names_of_result_columns_come_first_in_order_by_and_last_elsewhere() {
    let select = read(
        "SELECT id AS name, name AS n FROM p WHERE n = 'x' GROUP BY name, 1 \
         ORDER BY name, n COLLATE NOCASE DESC, 1 NULLS LAST, id + 1",
    )
    .unwrap();
    let Some(Expression::Binary(left, ..)) = select.first.filter else { panic!("no filter") };
    assert_eq!(*left, column("P", "name"));
    assert_eq!(select.first.group_by, [column("P", "name"), column("P", "id")]);
    for (term, expected) in select.order_by.iter().zip([
        (Some(0), false, true),
        (Some(1), true, false),
        (Some(0), false, false),
        (None, false, true),
    ]) {
        assert_eq!((term.result_index, term.descending, term.nulls_first), expected);
    }
    assert_eq!(select.order_by.len(), 4);
    assert_eq!(select.order_by[0].by, column("P", "id"));
    let no_case = Expression::Collate(Box::new(column("P", "name")), Collation::NoCase);
    assert_eq!(select.order_by[1].by, no_case);
}

#[test]
fn a_limit_with_a_comma_is_refused() {
    let limit = |text: &str| read(text).map(|select| (select.limit, select.offset));
    assert_eq!(limit("SELECT id FROM p LIMIT 3"), Ok((Some(3), None)));
    assert_eq!(limit("SELECT id FROM p LIMIT 3 OFFSET 4"), Ok((Some(3), Some(4))));
    for text in ["LIMIT 3, 4", "LIMIT 3 /* OFFSET */ , 4", "LIMIT 1 + 1", "LIMIT 3 OFFSET -1"] {
        assert!(limit(&format!("SELECT id FROM p {text}")).is_err(), "{text}");
    }
}

#[test]
fn unknown_constructs_are_refused_by_name() {
    for (text, reason) in [
        ("WITH w AS (SELECT 1) SELECT * FROM w", "has a WITH clause"),
        ("SELECT id FROM p EXCEPT SELECT id FROM c", "uses EXCEPT"),
        ("SELECT id FROM p INTERSECT SELECT id FROM c", "uses INTERSECT"),
        ("SELECT * FROM (SELECT 1)", "reads a subquery"),
        ("SELECT * FROM json_each('[]')", "reads a table-valued function"),
        ("SELECT * FROM p NATURAL JOIN c", "has a NATURAL, RIGHT or FULL join"),
        ("SELECT * FROM p FULL JOIN d USING (id)", "has a NATURAL, RIGHT or FULL join"),
        ("SELECT id FROM p WHERE id IN (SELECT p FROM c)", "has a subquery"),
        ("SELECT (SELECT 1) FROM p", "has a subquery"),
        ("SELECT row_number() OVER () FROM p", "has a window function or a FILTER"),
        ("SELECT count(*) FILTER (WHERE id > 1) FROM p", "has a window function or a FILTER"),
        ("SELECT count(DISTINCT id) FROM p", "has an aggregate over DISTINCT values"),
        ("VALUES (1)", "has VALUES or a WINDOW clause"),
        ("SELECT * FROM other.p", "reads another database"),
    ] {
        assert_eq!(refusal(text), reason, "{text}");
    }
    let table = view("CREATE TABLE v (a)", &relation);
    assert_eq!(table, Err(Refusal::Construct("cannot be parsed".to_owned())));
}
