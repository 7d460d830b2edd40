"""The statement that writes down a database's schema: objects, and lines of each.

`item` is every object that a person made. A sequence that a column owns and a statistics object stand with their table
(`object.home`), so that what depends on a table is told with it. Catalogues of rare objects are told by the names of
their own columns, without the oids, which differ in every database. PostgreSQL 14 and newer have all that is read."""

WITNESS_SCHEMA = "preflight_witness"
"""Where a rehearsal keeps its event triggers' functions and notes; neither is part of the schema."""

_ITEMS = """\
listed (class, oid, namespace, owner, acl, kind, table_oid) AS (
  SELECT 'pg_class'::regclass, c.oid, relnamespace, relowner, relacl, CASE relkind WHEN 'S' THEN 's' ELSE 'r' END,
    d.refobjid
  FROM pg_class c LEFT JOIN pg_depend d ON relkind = 'S' AND d.classid = 'pg_class'::regclass AND d.objid = c.oid
    AND d.deptype IN ('a', 'i') AND d.refclassid = 'pg_class'::regclass AND d.refobjsubid > 0
  WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, typnamespace, typowner, typacl, 'T', NULL
  FROM pg_type t LEFT JOIN pg_class c ON c.oid = typrelid
  WHERE typtype <> 'm' AND coalesce(c.relkind, 'c') = 'c'
    AND NOT EXISTS (SELECT FROM pg_type element WHERE element.typarray = t.oid)
  UNION ALL SELECT 'pg_proc'::regclass, oid, pronamespace, proowner, proacl, 'f', NULL FROM pg_proc
  UNION ALL SELECT 'pg_namespace'::regclass, oid, oid, nspowner, nspacl, 'n', NULL FROM pg_namespace
  UNION ALL SELECT 'pg_statistic_ext'::regclass, oid, stxnamespace, stxowner, NULL, NULL, stxrelid FROM pg_statistic_ext
  UNION ALL SELECT 'pg_operator'::regclass, oid, oprnamespace, oprowner, NULL, NULL, NULL FROM pg_operator
  UNION ALL SELECT 'pg_opclass'::regclass, oid, opcnamespace, opcowner, NULL, NULL, NULL FROM pg_opclass
  UNION ALL SELECT 'pg_opfamily'::regclass, oid, opfnamespace, opfowner, NULL, NULL, NULL FROM pg_opfamily
  UNION ALL SELECT 'pg_collation'::regclass, oid, collnamespace, collowner, NULL, NULL, NULL FROM pg_collation
  UNION ALL SELECT 'pg_conversion'::regclass, oid, connamespace, conowner, NULL, NULL, NULL FROM pg_conversion
  UNION ALL SELECT 'pg_ts_config'::regclass, oid, cfgnamespace, cfgowner, NULL, NULL, NULL FROM pg_ts_config
  UNION ALL SELECT 'pg_ts_dict'::regclass, oid, dictnamespace, dictowner, NULL, NULL, NULL FROM pg_ts_dict
  UNION ALL SELECT 'pg_ts_parser'::regclass, oid, prsnamespace, NULL, NULL, NULL, NULL FROM pg_ts_parser
  UNION ALL SELECT 'pg_ts_template'::regclass, oid, tmplnamespace, NULL, NULL, NULL, NULL FROM pg_ts_template
  UNION ALL SELECT 'pg_language'::regclass, oid, NULL, lanowner, lanacl, 'l', NULL FROM pg_language
  UNION ALL
  SELECT 'pg_foreign_data_wrapper'::regclass, oid, NULL, fdwowner, fdwacl, 'F', NULL FROM pg_foreign_data_wrapper
  UNION ALL SELECT 'pg_foreign_server'::regclass, oid, NULL, srvowner, srvacl, 'S', NULL FROM pg_foreign_server
  UNION ALL SELECT 'pg_extension'::regclass, oid, NULL, extowner, NULL, NULL, NULL FROM pg_extension
  UNION ALL
  SELECT 'pg_event_trigger'::regclass, e.oid, pronamespace, evtowner, NULL, NULL, NULL
  FROM pg_event_trigger e JOIN pg_proc p ON p.oid = evtfoid
  UNION ALL SELECT 'pg_publication'::regclass, oid, NULL, pubowner, NULL, NULL, NULL FROM pg_publication
  UNION ALL
  SELECT 'pg_subscription'::regclass, s.oid, NULL, subowner, NULL, NULL, NULL
  FROM pg_subscription s JOIN pg_database d ON d.oid = subdbid WHERE datname = current_database()
  UNION ALL SELECT 'pg_cast'::regclass, oid, NULL, NULL, NULL, NULL, NULL FROM pg_cast
  UNION ALL SELECT 'pg_transform'::regclass, oid, NULL, NULL, NULL, NULL, NULL FROM pg_transform
  UNION ALL SELECT 'pg_am'::regclass, oid, NULL, NULL, NULL, NULL, NULL FROM pg_am
),
item AS MATERIALIZED (
  SELECT i.*, named.type || ' ' || named.identity AS name
  FROM listed i LEFT JOIN pg_namespace n ON n.oid = i.namespace, LATERAL pg_identify_object(i.class, i.oid, 0) named
  WHERE (i.oid >= 16384 OR i.class = 'pg_extension'::regclass
      OR i.class = 'pg_namespace'::regclass AND nspname = 'public')
    AND (nspname IS NULL OR left(nspname, 3) <> 'pg_' AND nspname <> '@WITNESS@'
      OR i.class = 'pg_event_trigger'::regclass AND nspname <> '@WITNESS@')
    AND NOT EXISTS (
      SELECT FROM pg_depend d WHERE d.classid = i.class AND d.objid = i.oid
        AND (d.deptype = 'e' OR d.deptype = 'i' AND i.class <> 'pg_class'::regclass))
),
object AS MATERIALIZED (
  SELECT i.*, coalesce(home.name, i.name) AS home,
    CASE WHEN home.name IS NULL THEN '' ELSE i.name || ' ' END AS inner_name
  FROM item i LEFT JOIN item home ON home.class = 'pg_class'::regclass AND home.oid = i.table_oid
),
relation AS MATERIALIZED (
  SELECT home, inner_name, c.* FROM object o JOIN pg_class c ON c.oid = o.oid WHERE o.class = 'pg_class'::regclass
),
"""

_GRANTS = """\
granted (home, place, owner, acl, base) AS (
  SELECT home, CASE WHEN inner_name = '' THEN '' ELSE ' on ' || rtrim(inner_name) END, owner, acl,
    acldefault(kind::"char", owner)
  FROM object WHERE acl IS NOT NULL
  UNION ALL
  SELECT home, ' (' || quote_ident(attname) || ')', relowner, attacl, NULL
  FROM relation JOIN pg_attribute ON attrelid = relation.oid WHERE attacl IS NOT NULL AND NOT attisdropped
  UNION ALL
  SELECT 'database', '', datdba, datacl, acldefault('d', datdba)
  FROM pg_database WHERE datname = current_database() AND datacl IS NOT NULL
  UNION ALL
  SELECT 'default privileges of ' || quote_ident(pg_get_userbyid(defaclrole))
      || coalesce(' in schema ' || quote_ident(nspname), ''),
    ' on ' || CASE defaclobjtype WHEN 'r' THEN 'tables' WHEN 'S' THEN 'sequences' WHEN 'f' THEN 'functions'
      WHEN 'T' THEN 'types' WHEN 'n' THEN 'schemas' ELSE 'large objects' END,
    defaclrole, defaclacl, CASE WHEN defaclnamespace = 0 THEN
      acldefault(CASE defaclobjtype WHEN 'S' THEN 's' ELSE defaclobjtype END, defaclrole) END
  FROM pg_default_acl LEFT JOIN pg_namespace n ON n.oid = defaclnamespace
  UNION ALL
  SELECT 'system ' || named.type || ' ' || named.identity, '', s.owner, s.acl,
    coalesce(initprivs, acldefault(s.kind::"char", s.owner))
  FROM listed s LEFT JOIN pg_init_privs i ON classoid = class AND objoid = s.oid AND objsubid = 0,
    LATERAL pg_identify_object(class, s.oid, 0) named
  WHERE s.acl IS NOT NULL AND s.acl IS DISTINCT FROM initprivs
    AND coalesce(named.schema, named.name) !~ '^(pg_temp_.*|pg_toast.*|information_schema|@WITNESS@)$'
    AND NOT EXISTS (SELECT FROM item WHERE item.class = s.class AND item.oid = s.oid)
),
grants AS (
  SELECT home, 10, place, verb || ' ' || string_agg(privilege_type, ', ' ORDER BY privilege_type) || place
    || CASE verb WHEN 'grant' THEN ' to ' ELSE ' from ' END
    || CASE grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(grantee)) END
    || CASE WHEN is_grantable THEN ' with grant option' ELSE '' END
    || CASE WHEN grantor = owner THEN '' ELSE ' by ' || quote_ident(pg_get_userbyid(grantor)) END
  FROM granted, LATERAL (
    (SELECT 'grant', * FROM aclexplode(acl) EXCEPT SELECT 'grant', * FROM aclexplode(base))
    UNION ALL (SELECT 'revoke', * FROM aclexplode(base) EXCEPT SELECT 'revoke', * FROM aclexplode(acl))
  ) AS changed (verb, grantor, grantee, privilege_type, is_grantable)
  GROUP BY home, place, owner, verb, grantee, grantor, is_grantable
),
"""

_TABLES = """\
traits AS (
  SELECT home, 2, lpad(trait.place::text, 2), trait.line
  FROM relation r LEFT JOIN pg_class toast ON toast.oid = r.reltoastrelid
    LEFT JOIN pg_foreign_table ON ftrelid = r.oid LEFT JOIN pg_foreign_server server ON server.oid = ftserver,
    LATERAL (VALUES
      (1, CASE r.relpersistence WHEN 'u' THEN inner_name || 'unlogged' END),
      (2, 'of type ' || format_type(nullif(r.reloftype, 0), NULL)),
      (3, (SELECT 'access method ' || quote_ident(amname) FROM pg_am WHERE pg_am.oid = r.relam AND amname <> 'heap')),
      (4, (SELECT 'tablespace ' || quote_ident(spcname) FROM pg_tablespace t WHERE t.oid = r.reltablespace)),
      (5, 'with (' || array_to_string(r.reloptions, ', ') || ')'),
      (6, 'toast with (' || array_to_string(toast.reloptions, ', ') || ')'),
      (7, CASE WHEN r.relrowsecurity THEN 'row security enabled' END),
      (8, CASE WHEN r.relforcerowsecurity THEN 'row security forced' END),
      (9, CASE WHEN r.relkind IN ('r', 'p', 'm') THEN
        CASE r.relreplident WHEN 'f' THEN 'replica identity full' WHEN 'n' THEN 'replica identity nothing' END END),
      (10, 'server ' || quote_ident(srvname) || coalesce(' options (' || array_to_string(ftoptions, ', ') || ')', '')),
      (11, CASE r.relkind WHEN 'p' THEN 'partition by ' || pg_get_partkeydef(r.oid) END),
      (12, CASE WHEN r.relkind IN ('v', 'm') THEN pg_get_viewdef(r.oid) END)
    ) AS trait (place, line)
  WHERE trait.line IS NOT NULL
),
parents AS (
  SELECT home, 3, lpad(inhseqno::text, 5), CASE WHEN relispartition THEN 'partition of ' ELSE 'inherits ' END
    || inhparent::regclass || coalesce(' ' || pg_get_expr(relpartbound, relation.oid), '')
    || CASE WHEN to_jsonb(i) ->> 'inhdetachpending' = 'true' THEN ' detach pending' ELSE '' END
  FROM relation JOIN pg_inherits i ON inhrelid = relation.oid
),
columns AS (
  SELECT home, 4, lpad(attnum::text, 5), concat('column ', quote_ident(attname), ' ', format_type(atttypid, atttypmod),
    CASE WHEN attcollation <> typcollation THEN
      (SELECT ' collate ' || identity FROM pg_identify_object('pg_collation'::regclass, attcollation, 0)) END,
    CASE WHEN attnotnull THEN ' not null' END,
    CASE attidentity WHEN 'a' THEN ' generated always as identity'
      WHEN 'd' THEN ' generated by default as identity' END,
    CASE attgenerated WHEN '' THEN ' default ' WHEN 's' THEN ' generated always stored as '
      ELSE ' generated always as ' END || pg_get_expr(adbin, adrelid),
    CASE WHEN attstorage <> typstorage THEN ' storage ' || CASE attstorage WHEN 'p' THEN 'plain'
      WHEN 'e' THEN 'external' WHEN 'm' THEN 'main' ELSE 'extended' END END,
    CASE to_jsonb(a) ->> 'attcompression' WHEN 'p' THEN ' compression pglz' WHEN 'l' THEN ' compression lz4' END,
    CASE WHEN attstattarget >= 0 THEN ' statistics ' || attstattarget END,
    ' with (' || array_to_string(attoptions, ', ') || ')', ' options (' || array_to_string(attfdwoptions, ', ') || ')')
  FROM (SELECT home, oid FROM relation WHERE relkind <> 'S'
      UNION ALL SELECT home, typrelid FROM object o JOIN pg_type t ON t.oid = o.oid WHERE class = 'pg_type'::regclass
    ) AS own (home, relid)
    JOIN pg_attribute a ON attrelid = relid JOIN pg_type t ON t.oid = atttypid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
  WHERE attnum > 0 AND NOT attisdropped
),
constraints AS (
  SELECT home, 5, conname, 'constraint ' || quote_ident(conname) || ' ' || pg_get_constraintdef(c.oid)
  FROM (SELECT home, oid, 0 FROM relation UNION ALL SELECT home, 0, oid FROM object WHERE class = 'pg_type'::regclass
    ) AS own (home, relid, typeid)
    JOIN pg_constraint c ON conrelid = relid AND contypid = typeid
  WHERE contype <> 't' AND NOT EXISTS ( -- what a foreign key needs for each partition of its target
    SELECT FROM pg_constraint whole WHERE whole.oid = c.conparentid AND whole.conrelid = c.conrelid)
),
indexes AS (
  SELECT home, 6, i.relname, concat(pg_get_indexdef(indexrelid),
    (SELECT ' tablespace ' || quote_ident(spcname) FROM pg_tablespace t WHERE t.oid = i.reltablespace),
    (SELECT ' partition of ' || inhparent::regclass FROM pg_inherits WHERE inhrelid = indexrelid),
    (SELECT string_agg(concat(' statistics of column ', attnum, ' ', attstattarget), '' ORDER BY attnum)
      FROM pg_attribute WHERE attrelid = indexrelid AND attstattarget >= 0),
    CASE WHEN NOT (indisvalid AND indisready AND indislive) THEN ' (invalid)' END,
    CASE WHEN indisclustered THEN ' (clustered on it)' END, CASE WHEN indisreplident THEN ' (replica identity)' END)
  FROM relation JOIN pg_index ON indrelid = relation.oid JOIN pg_class i ON i.oid = indexrelid
),
triggers AS (
  SELECT home, 7, tgname, CASE WHEN NOT tgisinternal THEN pg_get_triggerdef(t.oid)
      ELSE 'trigger of constraint ' || quote_ident(conname) || ' ' || tgfoid::regproc END
    || CASE tgenabled WHEN 'D' THEN ' (disabled)' WHEN 'A' THEN ' (always)' WHEN 'R' THEN ' (replica)' ELSE '' END
  FROM relation JOIN pg_trigger t ON tgrelid = relation.oid LEFT JOIN pg_constraint c ON c.oid = tgconstraint
    JOIN pg_proc p ON p.oid = tgfoid JOIN pg_namespace n ON n.oid = pronamespace
  WHERE (NOT tgisinternal OR tgenabled <> 'O' AND conname IS NOT NULL) AND nspname <> '@WITNESS@'
),
rules AS (
  SELECT home, 8, rulename, pg_get_ruledef(w.oid)
    || CASE ev_enabled WHEN 'D' THEN ' (disabled)' WHEN 'A' THEN ' (always)' WHEN 'R' THEN ' (replica)' ELSE '' END
  FROM relation JOIN pg_rewrite w ON ev_class = relation.oid WHERE rulename <> '_RETURN'
),
policies AS (
  SELECT home, 9, polname, concat('policy ', quote_ident(polname), CASE WHEN NOT polpermissive THEN ' restrictive' END,
    ' for ', CASE polcmd WHEN 'r' THEN 'select' WHEN 'a' THEN 'insert' WHEN 'w' THEN 'update' WHEN 'd' THEN 'delete'
      ELSE 'all' END,
    ' to ', (SELECT string_agg(CASE role WHEN 0 THEN 'PUBLIC' ELSE quote_ident(pg_get_userbyid(role)) END, ', '
      ORDER BY pg_get_userbyid(role) COLLATE "C") FROM unnest(polroles) role),
    ' using (' || pg_get_expr(polqual, polrelid) || ')', ' with check (' || pg_get_expr(polwithcheck, polrelid) || ')')
  FROM relation JOIN pg_policy ON polrelid = relation.oid
),
sequences AS (
  SELECT home, 2, inner_name, concat(inner_name, 'as ', format_type(seqtypid, NULL), ' start ', seqstart, ' increment ',
    seqincrement, ' minimum ', seqmin, ' maximum ', seqmax, ' cache ', seqcache, CASE WHEN seqcycle THEN ' cycle' END,
    (SELECT ' of column ' || quote_ident(attname) FROM pg_depend d JOIN pg_attribute
        ON attrelid = refobjid AND attnum = refobjsubid
      WHERE classid = 'pg_class'::regclass AND objid = seqrelid AND deptype IN ('a', 'i')
        AND refclassid = 'pg_class'::regclass))
  FROM relation JOIN pg_sequence ON seqrelid = relation.oid
),
"""

_DEFINITIONS = """\
definition (class, oid, place, line) AS (
  SELECT 'pg_proc'::regclass, oid, '', rtrim(pg_get_functiondef(oid), E'\\n') -- not of PostgreSQL's own: 3,000 more
  FROM pg_proc WHERE prokind <> 'a' AND oid >= 16384
  UNION ALL
  SELECT 'pg_proc'::regclass, a.aggfnoid, '', concat('returns ', format_type(prorettype, NULL), ' parallel ',
    proparallel, ' transition type ', format_type(aggtranstype, NULL),
    ' moving ' || format_type(nullif(aggmtranstype, 0), NULL), ' sort operator ' || nullif(aggsortop, 0)::regoperator,
    ' ', to_jsonb(a) - '{aggfnoid, aggtranstype, aggmtranstype, aggsortop}'::text[])
  FROM pg_aggregate a JOIN pg_proc p ON p.oid = aggfnoid WHERE p.oid >= 16384
  UNION ALL
  SELECT 'pg_type'::regclass, t.oid, '', CASE typtype
    WHEN 'e' THEN (SELECT 'enum ' || string_agg(quote_literal(enumlabel), ', ' ORDER BY enumsortorder)
      FROM pg_enum WHERE enumtypid = t.oid)
    WHEN 'd' THEN concat('domain over ', format_type(typbasetype, typtypmod), (
        SELECT ' collate ' || identity FROM pg_type b, pg_identify_object('pg_collation'::regclass, t.typcollation, 0)
        WHERE b.oid = t.typbasetype AND b.typcollation <> t.typcollation),
      CASE WHEN typnotnull THEN ' not null' END, ' default ' || pg_get_expr(typdefaultbin, 0))
    WHEN 'r' THEN (
      SELECT concat('range of ', format_type(rngsubtype, NULL),
        (SELECT ' operator class ' || identity FROM pg_identify_object('pg_opclass'::regclass, rngsubopc, 0)),
        (SELECT ' collate ' || identity FROM pg_identify_object('pg_collation'::regclass, rngcollation, 0)),
        ' ', to_jsonb(r) - '{rngtypid, rngsubtype, rngmultitypid, rngcollation, rngsubopc}'::text[])
      FROM pg_range r WHERE rngtypid = t.oid)
    ELSE (to_jsonb(t) - '{oid, typname, typnamespace, typowner, typacl, typrelid, typelem, typarray, typbasetype,
      typcollation, typdefaultbin}'::text[])::text END
  FROM pg_type t WHERE typtype IN ('e', 'd', 'r', 'b') AND t.oid >= 16384
  UNION ALL
  SELECT 'pg_statistic_ext'::regclass, oid, '', concat(pg_get_statisticsobjdef(oid), ' owner ',
    quote_ident(pg_get_userbyid(stxowner)), ' target ' || nullif(to_jsonb(s) ->> 'stxstattarget', '-1'))
  FROM pg_statistic_ext s
  UNION ALL
  SELECT 'pg_operator'::regclass, o.oid, '', concat('returns ', format_type(oprresult, NULL),
    ' commutator ' || nullif(oprcom, 0)::regoperator, ' negator ' || nullif(oprnegate, 0)::regoperator, ' ', to_jsonb(o)
    - '{oid, oprname, oprnamespace, oprowner, oprleft, oprright, oprresult, oprcom, oprnegate}'::text[])
  FROM pg_operator o WHERE o.oid >= 16384
  UNION ALL
  SELECT 'pg_opclass'::regclass, o.oid, '', concat(CASE WHEN opcdefault THEN 'default ' END, 'for type ',
    format_type(opcintype, NULL), ' storage ' || format_type(nullif(opckeytype, 0), NULL), ' family ', identity)
  FROM pg_opclass o, pg_identify_object('pg_opfamily'::regclass, opcfamily, 0)
  UNION ALL
  SELECT 'pg_opfamily'::regclass, amopfamily, '', concat('operator ', amopstrategy, ' ', amopopr::regoperator)
  FROM pg_amop WHERE amopfamily >= 16384
  UNION ALL
  SELECT 'pg_opfamily'::regclass, amprocfamily, '', concat('function ', amprocnum, ' ', amproc::regprocedure)
  FROM pg_amproc WHERE amprocfamily >= 16384
  UNION ALL
  SELECT 'pg_collation'::regclass, oid, '',
    (to_jsonb(c) - '{oid, collname, collnamespace, collowner, collversion}'::text[])::text
  FROM pg_collation c WHERE oid >= 16384
  UNION ALL
  SELECT 'pg_conversion'::regclass, oid, '', (to_jsonb(c) - '{oid, conname, connamespace, conowner}'::text[])::text
  FROM pg_conversion c
  UNION ALL
  SELECT 'pg_ts_config'::regclass, oid, '', 'parser ' || identity
  FROM pg_ts_config, pg_identify_object('pg_ts_parser'::regclass, cfgparser, 0)
  UNION ALL
  SELECT 'pg_ts_config'::regclass, mapcfg, lpad(maptokentype::text, 5),
    concat('token ', maptokentype, ' ', string_agg(mapdict::regdictionary::text, ', ' ORDER BY mapseqno))
  FROM pg_ts_config_map GROUP BY mapcfg, maptokentype
  UNION ALL
  SELECT 'pg_ts_dict'::regclass, oid, '', concat('template ', identity, ' ', dictinitoption)
  FROM pg_ts_dict, pg_identify_object('pg_ts_template'::regclass, dicttemplate, 0)
  UNION ALL
  SELECT 'pg_ts_parser'::regclass, oid, '', (to_jsonb(p) - '{oid, prsname, prsnamespace}'::text[])::text
  FROM pg_ts_parser p
  UNION ALL
  SELECT 'pg_ts_template'::regclass, oid, '', (to_jsonb(t) - '{oid, tmplname, tmplnamespace}'::text[])::text
  FROM pg_ts_template t
  UNION ALL
  SELECT 'pg_language'::regclass, oid, '', concat(CASE WHEN lanpltrusted THEN 'trusted ' END, 'handler ',
    lanplcallfoid::regproc, ' inline ', laninline::regproc, ' validator ', lanvalidator::regproc)
  FROM pg_language
  UNION ALL
  SELECT 'pg_foreign_data_wrapper'::regclass, oid, '', concat('handler ', fdwhandler::regproc, ' validator ',
    fdwvalidator::regproc, ' options (' || array_to_string(fdwoptions, ', ') || ')')
  FROM pg_foreign_data_wrapper
  UNION ALL
  SELECT 'pg_foreign_server'::regclass, s.oid, '', concat('wrapper ', quote_ident(fdwname), ' type ' || srvtype,
    ' version ' || srvversion, ' options (' || array_to_string(srvoptions, ', ') || ')')
  FROM pg_foreign_server s JOIN pg_foreign_data_wrapper w ON w.oid = srvfdw
  UNION ALL
  SELECT 'pg_foreign_server'::regclass, srvid, usename, 'user mapping for ' || quote_ident(usename)
  FROM pg_user_mappings
  UNION ALL
  SELECT 'pg_extension'::regclass, e.oid, '', concat('version ', extversion, ' in schema ', extnamespace::regnamespace)
  FROM pg_extension e
  UNION ALL
  SELECT 'pg_event_trigger'::regclass, oid, '',
    concat(evtfoid::regproc, ' ', to_jsonb(e) - '{oid, evtname, evtowner, evtfoid}'::text[])
  FROM pg_event_trigger e
  UNION ALL
  SELECT 'pg_publication'::regclass, oid, '', (to_jsonb(p) - '{oid, pubname, pubowner}'::text[])::text
  FROM pg_publication p
  UNION ALL
  SELECT 'pg_publication'::regclass, prpubid, 'table', concat('table ', prrelid::regclass,
    CASE WHEN to_jsonb(r) ->> 'prattrs' IS NOT NULL THEN ' ' || (to_jsonb(t) ->> 'attnames') END,
    ' where ' || (to_jsonb(t) ->> 'rowfilter'))
  FROM pg_publication_rel r JOIN pg_publication p ON p.oid = prpubid JOIN pg_class c ON c.oid = prrelid
    JOIN pg_namespace n ON n.oid = relnamespace
    LEFT JOIN pg_publication_tables t ON t.pubname = p.pubname AND schemaname = nspname AND tablename = relname
  UNION ALL
  SELECT 'pg_publication'::regclass, p.refobjid, 'schema', 'tables in schema ' || n.refobjid::regnamespace
  FROM pg_depend p JOIN pg_depend n USING (classid, objid)
  WHERE p.classid = to_regclass('pg_publication_namespace') AND p.refclassid = 'pg_publication'::regclass
    AND n.refclassid = 'pg_namespace'::regclass
  UNION ALL
  SELECT 'pg_subscription'::regclass, oid, '', concat('publications ', subpublications, ' slot ' || subslotname,
    ' synchronous commit ', subsynccommit, CASE WHEN NOT subenabled THEN ' (disabled)' END)
  FROM pg_subscription
  UNION ALL
  SELECT 'pg_cast'::regclass, oid, '', concat(CASE castcontext WHEN 'e' THEN 'explicit' WHEN 'a' THEN 'in assignment'
    ELSE 'implicit' END, CASE castmethod WHEN 'f' THEN ' by ' || castfunc::regprocedure WHEN 'i' THEN ' by text'
    ELSE ' binary' END)
  FROM pg_cast WHERE oid >= 16384
  UNION ALL
  SELECT 'pg_transform'::regclass, oid, '', (to_jsonb(t) - '{oid, trftype, trflang}'::text[])::text FROM pg_transform t
  UNION ALL SELECT 'pg_am'::regclass, oid, '', (to_jsonb(a) - '{oid, amname}'::text[])::text FROM pg_am a
),
line (home, part, place, line) AS (
  SELECT home, 1, '', 'owner ' || quote_ident(pg_get_userbyid(owner))
  FROM object WHERE owner IS NOT NULL AND inner_name = ''
  UNION ALL
  SELECT 'database', 1, '', 'owner ' || quote_ident(pg_get_userbyid(datdba))
  FROM pg_database WHERE datname = current_database()
  UNION ALL
  SELECT 'database', 2, coalesce(rolname, ''), concat('set ', setting, ' for role ' || quote_ident(rolname))
  FROM pg_db_role_setting JOIN pg_database d ON d.oid = setdatabase LEFT JOIN pg_roles r ON r.oid = setrole,
    unnest(setconfig) AS setting
  WHERE datname = current_database()
  UNION ALL
  SELECT home, 2, d.place, d.line FROM object o JOIN definition d ON d.class = o.class AND d.oid = o.oid
  WHERE d.line <> ''
  UNION ALL TABLE traits UNION ALL TABLE parents UNION ALL TABLE columns UNION ALL TABLE constraints
  UNION ALL TABLE indexes UNION ALL TABLE triggers UNION ALL TABLE rules UNION ALL TABLE policies
  UNION ALL TABLE sequences UNION ALL TABLE grants
)
"""

# All of it is fixed text.
_STATEMENT = f"""\
SELECT CASE WHEN count(set_config(setting, value, true)) > 0 THEN (
WITH
{_ITEMS}{_GRANTS}{_TABLES}{_DEFINITIONS}\
SELECT concat('PostgreSQL ', current_setting('server_version_num')::int / 10000, E'\\n',
  string_agg(concat(home, E'\\n  ', lines, E'\\n'), '' ORDER BY home COLLATE "C"), 'end of ', count(*), E' objects\\n')
FROM (
  SELECT translate(home, E'\\n\\r', '??') AS home, replace(replace(string_agg(line, E'\\n'
    ORDER BY part, place COLLATE "C", line COLLATE "C"), E'\\r', E'\\\\r'), E'\\n', E'\\n  ') AS lines
  FROM line GROUP BY home) AS blocks
) END AS value
FROM (VALUES ('search_path', 'pg_catalog'), ('DateStyle', 'ISO, MDY'), ('IntervalStyle', 'postgres'),
  ('TimeZone', 'UTC'), ('extra_float_digits', '1'), ('bytea_output', 'hex'), ('quote_all_identifiers', 'off'),
  ('standard_conforming_strings', 'on'), ('lc_monetary', 'C')) AS fixed (setting, value)"""  # noqa: S608
SCHEMA_SQL = _STATEMENT.replace("@WITNESS@", WITNESS_SCHEMA)
"""One row with one column, for `preflight.questions.schema`. It sets what it depends on until its transaction ends."""
