//! Owner, row-level security, policies, comments and grants of tables that a run drops and creates
//! again.

use crate::harness::{Database, assert_code, assert_says, migrate, psql, server, text};
use crate::source::Source;

/// What is attached to the tables and views of a schema, as one text.
const ATTACHED: &str = "\
    SELECT string_agg(line, E'\\n' ORDER BY line) FROM ( \
      SELECT format('%s %s %s %s', c.relname, c.relkind, c.relowner::regrole, \
        (SELECT string_agg(a::text, ',' ORDER BY a::text) FROM unnest(c.relacl) a)) AS line \
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace \
      AND c.relkind IN ('r', 'v', 'S') AND c.relname <> 'migrate_ledger' \
      UNION ALL SELECT format('%s %s %s', c.relname, c.relrowsecurity, c.relforcerowsecurity) \
      FROM pg_class c WHERE c.relnamespace = 'public'::regnamespace AND c.relkind = 'r' \
      AND c.relname <> 'migrate_ledger' \
      UNION ALL SELECT format('%s.%s %s', a.attrelid::regclass, a.attname, a.attacl) \
      FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid \
      WHERE c.relnamespace = 'public'::regnamespace AND a.attacl IS NOT NULL \
      UNION ALL SELECT p::text FROM pg_policies p WHERE schemaname = 'public' \
      UNION ALL SELECT format('%s: %s', pg_describe_object(d.classoid, d.objoid, d.objsubid), \
        split_part(d.description, E'\\n{\"sqlite\"', 1)) FROM pg_description d \
      WHERE d.description !~ '^[{]' AND pg_describe_object(d.classoid, d.objoid, d.objsubid) \
      ~ '(table|view|index|policy) .*(users|names|own)' AND d.objoid >= 16384) s";

fn source() -> Source {
    Source::of_sql(
        "CREATE TABLE users (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT, team NUMERIC); \
         CREATE INDEX users_name ON users (name); CREATE VIEW names AS SELECT name FROM users; \
         INSERT INTO users VALUES (1, 'ada', 7), (2, 'grace', 8)",
    )
}

/// A target with `users` and `names` from an earlier run, to which an administrator has attached
/// everything. Returns the names of its roles: owner, reader, writer.
fn attached(source: &Source) -> (Database, [String; 3]) {
    let database = server();
    let roles = ["owner", "reader", "writer"].map(|role| format!("{}_{role}", database.name));
    let [owner, reader, writer] = &roles;
    let output = source.migrate(&database.url, &[]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output));
    psql(
        &database.url,
        &format!(
            "CREATE ROLE {owner}; CREATE ROLE {reader}; CREATE ROLE {writer}; \
             ALTER TABLE users OWNER TO {owner}; ALTER TABLE names OWNER TO {owner}; \
             GRANT SELECT, INSERT ON users TO {writer} WITH GRANT OPTION; \
             GRANT SELECT (name), UPDATE (name) ON users TO {reader}; GRANT SELECT ON names TO PUBLIC; \
             GRANT USAGE ON SEQUENCE users_id_seq TO {writer}; REVOKE TRUNCATE ON users FROM {owner}; \
             ALTER TABLE users ENABLE ROW LEVEL SECURITY; ALTER TABLE users FORCE ROW LEVEL SECURITY; \
             CREATE POLICY own ON users FOR SELECT TO {reader}, {writer} USING (name = current_user); \
             CREATE POLICY \"No 8\" ON users AS RESTRICTIVE USING (team <> 8) \
               WITH CHECK (EXISTS (SELECT FROM pg_roles WHERE rolname = name)); \
             ALTER VIEW names SET (security_barrier = true); \
             COMMENT ON TABLE users IS E'all the users\\nof \"it\"'; COMMENT ON VIEW names IS 'no ids'; \
             COMMENT ON INDEX users_name IS 'for the search'; COMMENT ON POLICY own ON users IS 'rows'; \
             COMMENT ON CONSTRAINT users_pkey ON users IS 'never reused'; \
             COMMENT ON COLUMN names.name IS 'of people'; \
             DO $$ BEGIN EXECUTE (SELECT format('COMMENT ON COLUMN users.name IS %L', \
               E'it''s a name\\n' || col_description('users'::regclass, 2))); END $$"
        ),
    );
    (database, roles)
}

#[test]
fn owner_policies_comments_and_grants_of_a_replaced_table_are_restored() {
    let source = source();
    for flags in [&["--drop-all"][..], &["--clean", "--strict"], &["--restart", "--no-verify"]] {
        let (database, _) = attached(&source);
        let before = psql(&database.url, ATTACHED);
        let facts = "SELECT col_description('users'::regclass, 2)";
        let comment = psql(&database.url, facts);
        if flags.contains(&"--restart") {
            // A complete copy without a verdict.
            let sql = "UPDATE migrate_ledger SET detail = replace(detail, '\"verified\"', '\"not_verified\"')";
            psql(&database.url, sql);
        }
        let output = source.migrate(&database.url, flags);
        assert_code(&output, 0);
        assert_says(
            &output,
            &["; restored: row-level security, 2 policies, owner, 5 comments, 4 grants"],
        );
        assert_eq!(psql(&database.url, ATTACHED), before, "{flags:?}");
        assert_eq!(psql(&database.url, facts), comment, "the user's text and our own facts");
        let kept = "SELECT count(*) FROM migrate_ledger WHERE data_set = ''";
        assert_eq!(psql(&database.url, kept), "0");
    }
}

#[test]
fn a_policy_that_cannot_be_restored_withholds_the_grants_of_its_table_and_they_come_first() {
    let source = source();
    let (database, [_, reader, writer]) = attached(&source);
    psql(
        &database.url,
        &format!(
            "ALTER TABLE users ADD secret int; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {writer}; \
             CREATE POLICY late ON users USING (secret IS NULL)"
        ),
    );
    let before = psql(&database.url, ATTACHED);
    let reason = "withheld, because policy \"late\" cannot be restored";
    let strict = source.migrate(&database.url, &["--clean", "--strict"]);
    assert_code(&strict, 4);
    assert_says(
        &strict,
        &[
            reason,
            "policy \"late\" of \"users\": cannot be restored: column \"secret\" does not exist",
        ],
    );
    assert_eq!(psql(&database.url, ATTACHED), before, "nothing was dropped");

    let output = source.migrate(&database.url, &["--clean"]);
    assert_code(&output, 0);
    let first = format!("\nnot migrated\n  4 grants: {reason}\n");
    assert_eq!(text(&output).matches(&first).count(), 2, "in plan and report\n{}", text(&output));
    let statement = format!("GRANT SELECT (name), UPDATE (name) ON TABLE public.users TO {reader}");
    assert_says(&output, &[&statement, "verdict: match, 4 grants not restored; 2 rows in 1 table"]);
    let rights = format!(
        "SELECT has_any_column_privilege('{reader}', 'users', 'SELECT'), \
         has_table_privilege('{writer}', 'users', 'SELECT'), has_sequence_privilege('{writer}', \
         'users_id_seq', 'USAGE'), has_table_privilege('{writer}', 'names', 'SELECT'), relrowsecurity \
         FROM pg_class WHERE oid = 'users'::regclass"
    );
    assert_eq!(psql(&database.url, &rights), "f|f|f|t|t");
    let kept = format!(
        "SELECT count(*) FROM migrate_ledger, json_array_elements(detail::json) one \
         WHERE chunk = -4 AND table_name = 'users' AND one ->> 'definition' IN ('{statement}', \
         'CREATE POLICY late ON public.users AS PERMISSIVE FOR ALL TO PUBLIC USING ((secret IS NULL))')"
    );
    assert_eq!(psql(&database.url, &kept), "2");

    // A later run that also replaces the table does not forget them, until somebody creates them.
    let parts = ["(in an earlier run; the ledger keeps it)", "policy \"late\" of \"users\""];
    let strict = source.migrate(&database.url, &["--clean", "--strict"]);
    assert_code(&strict, 4);
    assert_says(&strict, &parts);
    let again = source.migrate(&database.url, &["--clean"]);
    assert_code(&again, 0);
    assert_says(&again, &["\nnot migrated\n  4 grants: ", parts[0], "\"late\" on \"users\""]);
}

#[test]
fn what_was_attached_to_a_table_that_does_not_come_back_is_listed_as_lost_and_kept_in_the_ledger() {
    let source = Source::of_sql("CREATE TABLE other (x INT)");
    let (database, [owner, ..]) = attached(&self::source());
    let output = source.migrate(&database.url, &["--drop-all", "--yes"]);
    assert_code(&output, 0);
    assert_says(
        &output,
        &[
            "not in the source); lost: 1 index, row-level security, 2 policies, owner, 5 comments, 4 grants",
            "1 table: dropped with 1 index, row-level security, 2 policies, owner, 5 comments, 4 grants; the ledger keeps them",
            "1 view: dropped with 1 setting, owner, 2 comments, 1 grant; the ledger keeps them",
        ],
    );
    for name in ["policy \"No 8\"", "policy \"own\"", &format!("owner \"{owner}\"")] {
        assert_says(&output, &[name]);
    }
    let kept = format!(
        "SELECT count(*) FROM migrate_ledger, json_array_elements(detail::json) one \
         WHERE table_name = 'users' AND one ->> 'definition' = 'ALTER TABLE public.users OWNER TO {owner}'"
    );
    assert_eq!(psql(&database.url, &kept), "1");
    // The next run drops the ledger, but not these definitions.
    let again = ["--drop-all", "--yes", "--drop-ledger"];
    for flags in [&again[..2], &again[2..], &again] {
        let output = source.migrate(&database.url, flags);
        assert_code(&output, 0);
        let is_noted =
            text(&output).contains("to drop them: DROP TABLE \"public\".\"migrate_ledger\"");
        assert_eq!(is_noted, flags.contains(&"--drop-ledger"), "{}", text(&output));
        assert!(!text(&output).contains("dropped with"), "{}", text(&output));
        assert_eq!(psql(&database.url, &kept), "1");
    }
}

#[test]
fn triggers_rules_and_indexes_of_a_replaced_table_are_listed_and_refused_by_strict() {
    let source = source();
    let database = server();
    assert_code(&source.migrate(&database.url, &[]), 0);
    psql(
        &database.url,
        "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'; \
         CREATE TRIGGER log BEFORE INSERT ON users FOR EACH ROW EXECUTE FUNCTION f(); \
         CREATE RULE quiet AS ON DELETE TO users DO ALSO NOTHING; CREATE PUBLICATION p FOR TABLE users; \
         CREATE STATISTICS together ON name, team FROM users; CREATE INDEX by_team ON users (team)",
    );
    let strict = source.migrate(&database.url, &["--clean", "--strict"]);
    assert_code(&strict, 4);
    let reason = "dropped with its table; the run does not create it again";
    for what in [
        "trigger \"log\"",
        "rule \"quiet\"",
        "publication \"p\"",
        "statistics object \"together\"",
        "index \"by_team\"",
    ] {
        assert_says(&strict, &[&format!("{what} of \"users\": {reason}")]);
    }
    assert!(!text(&strict).contains("users_name"), "{}", text(&strict));
    let output = source.migrate(&database.url, &["--clean"]);
    assert_code(&output, 0);
    assert_says(
        &output,
        &[&format!("1 trigger: {reason}\n"), "      CREATE TRIGGER log BEFORE INSERT"],
    );
}

#[test]
fn a_role_that_may_not_set_the_owner_gets_the_statement() {
    let source = source();
    let (database, [owner, reader, _]) = attached(&source);
    let role = format!("{}_mover", database.name);
    psql(
        &database.url,
        &format!(
            "CREATE ROLE {role} LOGIN; ALTER SCHEMA public OWNER TO {role}; DROP TABLE migrate_ledger"
        ),
    );
    let url = format!("{}&options=-crole%3D{role}", database.url);
    let output = source.migrate(&url, &["--clean", "--yes"]);
    assert_code(&output, 0);
    let statement = format!("ALTER TABLE public.users OWNER TO {owner}");
    assert_says(&output, &["2 owners: cannot be restored: must be member of role", &statement]);
    // The view would read with the rights of another role. The table has its grants.
    assert_says(&output, &[&format!("withheld, because owner \"{owner}\" cannot be restored")]);
    let rights = format!(
        "SELECT has_column_privilege('{reader}', 'users', 'name', 'SELECT'), \
         has_table_privilege('{reader}', 'names', 'SELECT')"
    );
    assert_eq!(psql(&database.url, &rights), "t|f");
}

#[test]
fn a_plan_lists_what_would_be_restored_and_changes_nothing() {
    let source = source();
    let (database, _) = attached(&source);
    let before = psql(&database.url, ATTACHED);
    let from = source.argument();
    let output = migrate(["plan", "--from", &from, "--to", &database.url, "--clean"]);
    assert_code(&output, 0);
    assert_says(&output, &["view \"names\"; restored: 1 setting, owner, 2 comments, 1 grant"]);
    let json = migrate(["plan", "--from", &from, "--to", &database.url, "--clean", "--json", "-"]);
    let json: serde_json::Value = serde_json::from_slice(&json.stdout).unwrap();
    let drops = json["data_sets"][0]["drops"].as_array().unwrap();
    let users = drops.iter().find(|dropped| dropped["name"] == "users").unwrap();
    let names = users["attached_names"].as_array().unwrap();
    assert!(names.iter().any(|name| name == "policy \"own\""), "{users}");
    assert_eq!(psql(&database.url, ATTACHED), before);
}

#[test]
fn rights_that_were_revoked_on_a_replaced_table_stay_revoked() {
    let source = source();
    for flags in [&["--drop-all"][..], &["--clean"], &["--restart"]] {
        let database = server();
        let reader = format!("{}_reader", database.name);
        assert_code(&source.migrate(&database.url, &[]), 0);
        // Nothing is attached to the tables. New ones would be open to the role.
        psql(
            &database.url,
            &format!(
                "CREATE ROLE {reader}; ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO {reader}; \
                 ALTER DEFAULT PRIVILEGES GRANT USAGE ON SEQUENCES TO {reader} WITH GRANT OPTION"
            ),
        );
        assert_code(&source.migrate(&database.url, flags), 0);
        let rights = format!(
            "SELECT has_any_column_privilege('{reader}', 'users', 'SELECT'), \
             has_table_privilege('{reader}', 'names', 'SELECT'), \
             has_sequence_privilege('{reader}', 'users_id_seq', 'USAGE'), \
             has_table_privilege('{reader}', 'migrate_ledger', 'SELECT')"
        );
        assert_eq!(psql(&database.url, &rights), "f|f|f|f", "{flags:?}");
        let kept = "SELECT count(*) FROM migrate_ledger WHERE data_set = ''";
        assert_eq!(psql(&database.url, kept), "0");
    }
}

#[test]
fn rights_are_withheld_although_the_role_does_not_inherit_those_of_the_owner() {
    let source = source();
    let database = server();
    let [owner, mover, reader] =
        ["owner", "mover", "reader"].map(|role| format!("{}_{role}", database.name));
    assert_code(&source.migrate(&database.url, &[]), 0);
    psql(
        &database.url,
        &format!(
            "CREATE ROLE {owner}; CREATE ROLE {reader}; CREATE ROLE {mover} NOINHERIT IN ROLE {owner}; \
             ALTER SCHEMA public OWNER TO {mover}; GRANT ALL ON SCHEMA public TO {owner}; \
             ALTER TABLE users ADD secret int, OWNER TO {owner}; \
             CREATE POLICY late ON users USING (secret IS NULL); GRANT SELECT ON users TO {reader}; \
             ALTER DEFAULT PRIVILEGES FOR ROLE {mover} GRANT SELECT ON TABLES TO {reader}; \
             DROP TABLE migrate_ledger"
        ),
    );
    let url = format!("{}&options=-crole%3D{mover}", database.url);
    let output = source.migrate(&url, &["--clean", "--yes"]);
    assert_code(&output, 0);
    assert_says(&output, &["withheld, because policy \"late\" cannot be restored"]);
    let state = format!(
        "SELECT relowner::regrole, has_table_privilege('{reader}', oid, 'SELECT') FROM pg_class \
         WHERE oid = 'users'::regclass"
    );
    assert_eq!(psql(&database.url, &state), format!("{owner}|f"));
}
