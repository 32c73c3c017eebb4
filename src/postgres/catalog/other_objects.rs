//! Objects that are not carried over to SQLite, only listed.

use crate::error::Result;
use crate::postgres::catalog::query::CatalogReader;
use crate::schema::note::{MADE, Note, fingerprint};
use crate::schema::{LeftOut, ObjectKind, View};

/// Reads the unchanged views of SQLite, with their definitions there. Lists all views, foreign tables, sequences without a column, triggers, policies, and roles with
/// privileges.
pub(crate) fn read(reader: &mut CatalogReader<'_>) -> Result<()> {
    let mut list = Vec::new();
    const RELATIONS: &str = "\
        SELECT c.relname::text, c.relkind::text, \
          CASE WHEN c.relkind IN ('v', 'm') THEN pg_catalog.pg_get_viewdef(c.oid) END, \
          pg_catalog.obj_description(c.oid, 'pg_class') \
        FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND c.relkind IN ('v', 'm', 'f', 'S') AND NOT c.relispartition \
          AND NOT EXISTS (SELECT FROM pg_catalog.pg_depend d \
            WHERE d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass AND d.objid = c.oid \
            AND (d.deptype = 'e' OR d.deptype IN ('a', 'i') AND d.refobjsubid > 0)) \
        ORDER BY c.oid";
    for row in reader.query(RELATIONS)? {
        let (kind, reason) = match row.get::<_, &str>(1) {
            "v" => (ObjectKind::View, "views are not migrated to SQLite"),
            "m" => (ObjectKind::MaterializedView, "SQLite has no materialized views"),
            "f" => (ObjectKind::ForeignTable, "its rows are in another database"),
            _ => (ObjectKind::Sequence, "SQLite has no sequences other than those of its keys"),
        };
        list.push(LeftOut::object(kind, row.get(0), row.get(2)).because(reason));
        let origin = Note::parse(row.get(3)).facts;
        let is_unchanged = |made| row.get::<_, Option<&str>>(2).map(fingerprint) == Some(made);
        if let (Some(definition), Some(made)) = (origin["view"].as_str(), origin[MADE].as_str())
            && is_unchanged(made.to_owned())
        {
            let (name, definition) = (row.get(0), definition.to_owned());
            reader.catalog.schema.views.push(View { name, definition });
        }
    }
    const TRIGGERS: &str = "\
        SELECT c.relname::text, t.tgname::text, pg_catalog.pg_get_triggerdef(t.oid) \
        FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_class c ON c.oid = t.tgrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 AND NOT t.tgisinternal AND NOT c.relispartition ORDER BY t.oid";
    for row in reader.query(TRIGGERS)? {
        let trigger = LeftOut::part(ObjectKind::Trigger, row.get(0), row.get(1), row.get(2));
        list.push(trigger.because("triggers are not migrated"));
    }
    const POLICIES: &str = "\
        SELECT c.relname::text, p.polname::text FROM pg_catalog.pg_policy p \
        JOIN pg_catalog.pg_class c ON c.oid = p.polrelid \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace \
        WHERE n.nspname = $1 ORDER BY p.oid";
    for row in reader.query(POLICIES)? {
        let reason =
            "SQLite has no row-level security: everyone who can read the file can read all rows";
        let policy = LeftOut::part(ObjectKind::Policy, row.get(0), row.get(1), None);
        list.push(policy.because(reason));
    }
    const GRANTEES: &str = "\
        SELECT DISTINCT r.rolname::text FROM pg_catalog.pg_class c \
        JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace, \
        LATERAL pg_catalog.aclexplode(c.relacl) a \
        JOIN pg_catalog.pg_roles r ON r.oid = a.grantee \
        WHERE n.nspname = $1 AND c.relkind IN ('r', 'p') AND a.grantee <> c.relowner ORDER BY 1";
    for row in reader.query(GRANTEES)? {
        let reason = "SQLite has no roles: access depends on the file's owner and mode";
        list.push(LeftOut::object(ObjectKind::Role, row.get(0), None).because(reason));
    }
    reader.catalog.schema.left_out.append(&mut list);
    Ok(())
}
