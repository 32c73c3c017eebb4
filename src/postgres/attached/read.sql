-- What is attached to the relations $1, by table.
WITH r AS (
  SELECT c.*, coalesce(o.relname, c.relname)::text AS part_of, o.oid IS NOT NULL AS is_owned,
    pg_catalog.format('%I.%I', n.nspname, c.relname) AS name,
    CASE c.relkind WHEN 'v' THEN 'VIEW' WHEN 'm' THEN 'MATERIALIZED VIEW'
      WHEN 'f' THEN 'FOREIGN TABLE' WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS word,
    CASE c.relkind WHEN 'S' THEN 'SEQUENCE' ELSE 'TABLE' END AS grant_word
  FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_class'::pg_catalog.regclass
    AND d.objid = c.oid AND c.relkind = 'S' AND d.deptype IN ('a', 'i')
    AND d.refclassid = 'pg_catalog.pg_class'::pg_catalog.regclass
  LEFT JOIN pg_catalog.pg_class o ON o.oid = d.refobjid
  WHERE c.oid::bigint = ANY ($1)
), privilege AS (
  SELECT r.oid, NULL::pg_catalog.name AS attname, a.*
  FROM r, LATERAL pg_catalog.aclexplode(r.relacl) a
  UNION ALL
  SELECT r.oid, t.attname, a.*
  FROM r JOIN pg_catalog.pg_attribute t ON t.attrelid = r.oid AND NOT t.attisdropped,
  LATERAL pg_catalog.aclexplode(t.attacl) a
), described AS (
  SELECT r.part_of, r.word || ' ' || r.name AS object, r.oid,
    'pg_catalog.pg_class'::pg_catalog.regclass AS class, 0 AS number
  FROM r
  UNION ALL
  SELECT r.part_of, pg_catalog.format('COLUMN %s.%I', r.name, a.attname), r.oid,
    'pg_catalog.pg_class'::pg_catalog.regclass, a.attnum
  FROM r JOIN pg_catalog.pg_attribute a ON a.attrelid = r.oid AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT r.part_of, pg_catalog.format('INDEX %I.%I', n.nspname, c.relname), c.oid,
    'pg_catalog.pg_class'::pg_catalog.regclass, 0
  FROM r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace
  UNION ALL
  SELECT r.part_of, pg_catalog.format('CONSTRAINT %I ON %s', c.conname, r.name), c.oid,
    'pg_catalog.pg_constraint'::pg_catalog.regclass, 0
  FROM r JOIN pg_catalog.pg_constraint c ON c.conrelid = r.oid
  UNION ALL
  SELECT r.part_of, pg_catalog.format('POLICY %I ON %s', p.polname, r.name), p.oid,
    'pg_catalog.pg_policy'::pg_catalog.regclass, 0
  FROM r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
), attached (part_of, kind, name, sql, protects) AS (
  SELECT part_of, 'row_security', 'row-level security', 'ALTER TABLE ' || name
    || ' ENABLE ROW LEVEL SECURITY'
    || CASE WHEN relforcerowsecurity THEN ', FORCE ROW LEVEL SECURITY' ELSE '' END, true
  FROM r WHERE relrowsecurity
  UNION ALL
  SELECT r.part_of, 'setting', pg_catalog.split_part(o, '=', 1),
    pg_catalog.format('ALTER %s %s SET (%s=%L)', r.word, r.name, pg_catalog.split_part(o, '=', 1),
      pg_catalog.substr(o, pg_catalog.strpos(o, '=') + 1)), r.relkind = 'v'
  FROM r, LATERAL unnest(r.reloptions) o
  -- The load itself turns autovacuum off.
  WHERE o <> 'autovacuum_enabled=off'
  UNION ALL
  SELECT part_of, 'setting', 'replica identity', 'ALTER TABLE ' || name || ' REPLICA IDENTITY '
    || CASE relreplident WHEN 'f' THEN 'FULL' WHEN 'n' THEN 'NOTHING'
      ELSE (SELECT 'USING INDEX ' || pg_catalog.quote_ident(c.relname) FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
        WHERE i.indrelid = r.oid AND i.indisreplident) END, false
  FROM r WHERE relkind IN ('r', 'p') AND relreplident <> 'd'
  UNION ALL
  SELECT d.part_of, 'security_label', d.object, pg_catalog.format('SECURITY LABEL FOR %I ON %s IS %L',
    s.provider, d.object, s.label), true
  FROM described d JOIN pg_catalog.pg_seclabel s
    ON s.objoid = d.oid AND s.classoid = d.class AND s.objsubid = d.number
  UNION ALL
  SELECT r.part_of, 'policy', p.polname::text, pg_catalog.format(
    'CREATE POLICY %I ON %s AS %s FOR %s TO %s%s%s', p.polname, r.name,
    CASE WHEN p.polpermissive THEN 'PERMISSIVE' ELSE 'RESTRICTIVE' END,
    CASE p.polcmd WHEN 'r' THEN 'SELECT' WHEN 'a' THEN 'INSERT' WHEN 'w' THEN 'UPDATE'
      WHEN 'd' THEN 'DELETE' ELSE 'ALL' END,
    (SELECT pg_catalog.string_agg(CASE role WHEN 0 THEN 'PUBLIC'
      ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(role)) END, ', ')
      FROM unnest(p.polroles) role),
    ' USING (' || pg_catalog.pg_get_expr(p.polqual, p.polrelid) || ')',
    ' WITH CHECK (' || pg_catalog.pg_get_expr(p.polwithcheck, p.polrelid) || ')'), true
  FROM r JOIN pg_catalog.pg_policy p ON p.polrelid = r.oid
  UNION ALL
  -- A view reads with the rights of its owner.
  SELECT part_of, 'owner', pg_catalog.pg_get_userbyid(relowner)::text, pg_catalog.format(
    'ALTER %s %s OWNER TO %I', word, name, pg_catalog.pg_get_userbyid(relowner)), relkind = 'v'
  FROM r WHERE NOT is_owned AND pg_catalog.pg_get_userbyid(relowner) <> current_user
  UNION ALL
  SELECT d.part_of, 'comment', d.object, c.description, false
  FROM described d JOIN pg_catalog.pg_description c
    ON c.objoid = d.oid AND c.classoid = d.class AND c.objsubid = d.number
  UNION ALL
  -- The owner's own privileges are listed where some are missing.
  SELECT r.part_of, 'grant', t.grantee || CASE WHEN r.is_owned THEN ' on ' || r.name ELSE '' END
      || coalesce(' (' || pg_catalog.quote_ident(t.attname) || ')', '')
      || CASE WHEN t.is_grantable THEN ' with grant option' ELSE '' END,
    CASE WHEN t.is_owner THEN 'REVOKE ALL ON ' || r.grant_word || ' ' || r.name || ' FROM '
      || t.grantee || '; ' ELSE '' END
    || pg_catalog.format('GRANT %s ON %s %s TO %s', t.privileges, r.grant_word, r.name, t.grantee)
    || CASE WHEN t.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END, false
  FROM r JOIN (
    SELECT p.oid, p.attname, p.is_grantable, p.grantee = o.relowner AS is_owner,
      CASE p.grantee WHEN 0 THEN 'PUBLIC'
        ELSE pg_catalog.quote_ident(pg_catalog.pg_get_userbyid(p.grantee)) END AS grantee,
      pg_catalog.string_agg(DISTINCT p.privilege_type
        || coalesce(' (' || pg_catalog.quote_ident(p.attname) || ')', ''), ', ') AS privileges
    FROM privilege p JOIN r o ON o.oid = p.oid
    GROUP BY p.oid, o.relowner, o.relkind, p.attname, p.grantee, p.is_grantable
    HAVING p.grantee <> o.relowner OR p.attname IS NULL AND count(DISTINCT p.privilege_type) < (
      SELECT count(*) FROM pg_catalog.aclexplode(pg_catalog.acldefault(
        CASE o.relkind WHEN 'S' THEN 's'::"char" ELSE 'r'::"char" END, o.relowner)))) t ON t.oid = r.oid
  UNION ALL
  SELECT r.part_of, 'trigger', t.tgname::text, pg_catalog.pg_get_triggerdef(t.oid), false
  FROM r JOIN pg_catalog.pg_trigger t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
  UNION ALL
  SELECT r.part_of, 'rule', w.rulename::text, pg_catalog.pg_get_ruledef(w.oid), false
  FROM r JOIN pg_catalog.pg_rewrite w ON w.ev_class = r.oid WHERE w.rulename <> '_RETURN'
  UNION ALL
  SELECT r.part_of, 'statistics', s.stxname::text, pg_catalog.pg_get_statisticsobjdef(s.oid), false
  FROM r JOIN pg_catalog.pg_statistic_ext s ON s.stxrelid = r.oid
  UNION ALL
  SELECT r.part_of, 'publication', p.pubname::text, pg_catalog.format(
    'ALTER PUBLICATION %I ADD TABLE %s%s', p.pubname, r.name,
    CASE WHEN to_jsonb(m) ->> 'prqual' IS NOT NULL OR to_jsonb(m) ->> 'prattrs' IS NOT NULL
      THEN ' -- with its list of columns and its WHERE' ELSE '' END), false
  FROM r JOIN pg_catalog.pg_publication_rel m ON m.prrelid = r.oid
  JOIN pg_catalog.pg_publication p ON p.oid = m.prpubid
  UNION ALL
  SELECT r.part_of, 'index', c.relname::text, pg_catalog.pg_get_indexdef(c.oid), false
  FROM r JOIN pg_catalog.pg_index i ON i.indrelid = r.oid
  JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid
  WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_constraint k WHERE k.conindid = c.oid)
)
SELECT part_of, kind, name, sql, protects FROM attached ORDER BY part_of, name
