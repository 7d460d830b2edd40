CREATE SCHEMA billing AUTHORIZATION @OWNER@;
GRANT USAGE ON SCHEMA billing TO @READER@;
CREATE TYPE billing.state AS ENUM ('new', 'paid', 'void');
CREATE DOMAIN billing.amount AS numeric(12,2) DEFAULT 0 CONSTRAINT positive CHECK (VALUE >= 0);
CREATE TYPE billing.pair AS (a int, b text COLLATE "C");
CREATE TYPE billing.span AS RANGE (subtype = float8, subtype_diff = float8mi);
CREATE COLLATION billing.plain (locale = 'C');
CREATE TABLE billing.customer (
  id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, gone int, name varchar(80) NOT NULL, mail text COLLATE "C" UNIQUE,
  born date DEFAULT '2020-01-31', at timestamptz DEFAULT '2020-01-31 12:00+02', every interval DEFAULT '1 day 2 hours',
  part float8 DEFAULT 0.1, bytes bytea DEFAULT '\x0102', upper_name text GENERATED ALWAYS AS (upper(name)) STORED,
  "odd ""name" int, CONSTRAINT name_filled CHECK (name <> '')
);
ALTER TABLE billing.customer DROP COLUMN gone, ENABLE ROW LEVEL SECURITY;
CREATE TABLE billing.invoice (
  id serial PRIMARY KEY, customer_id bigint NOT NULL REFERENCES billing.customer, total billing.amount,
  state billing.state DEFAULT 'new', tags text[], note text, EXCLUDE USING gist (int4range(id, id + 1) WITH &&)
) WITH (fillfactor = 80, toast.autovacuum_enabled = false);
ALTER TABLE billing.invoice ADD CONSTRAINT total_small CHECK (total < 1e9) NOT VALID,
  ALTER note SET STORAGE external, ALTER note SET STATISTICS 500, ALTER tags SET COMPRESSION pglz;
CREATE INDEX invoice_state ON billing.invoice (state, lower(note)) INCLUDE (total) WHERE state <> 'void';
CREATE STATISTICS billing.together (dependencies) ON customer_id, state FROM billing.invoice;
CREATE TABLE billing.events (id bigint, at timestamptz NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at);
CREATE TABLE billing.events_p1 PARTITION OF billing.events FOR VALUES FROM ('2026-01-01') TO ('2026-02-01');
CREATE TABLE billing.events_default PARTITION OF billing.events DEFAULT;
CREATE TABLE billing.event_notes (id bigint, at timestamptz, FOREIGN KEY (id, at) REFERENCES billing.events);
CREATE UNLOGGED TABLE billing.cache (k text PRIMARY KEY, v text);
CREATE TABLE billing.special (x int) INHERITS (billing.cache);
CREATE TABLE billing.typed OF billing.pair (a PRIMARY KEY);
CREATE SEQUENCE billing.numbers AS int START 100 INCREMENT 5 CYCLE;
CREATE FUNCTION billing.touch() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- nothing

  RETURN NEW;
END $$;
CREATE FUNCTION billing.add(a int, b int DEFAULT 2) RETURNS int LANGUAGE sql IMMUTABLE BEGIN ATOMIC SELECT a + b; END;
CREATE FUNCTION billing.windows_lines() RETURNS int LANGUAGE sql AS E'SELECT 1;\r\n';
CREATE PROCEDURE billing.run(n int) LANGUAGE plpgsql AS 'BEGIN COMMIT; END';
CREATE AGGREGATE billing.sum(int) (sfunc = int4pl, stype = int, initcond = '0');
CREATE TRIGGER touch BEFORE UPDATE ON billing.invoice FOR EACH ROW
  WHEN (OLD.total IS DISTINCT FROM NEW.total) EXECUTE FUNCTION billing.touch();
CREATE TRIGGER touch BEFORE INSERT ON billing.events FOR EACH ROW EXECUTE FUNCTION billing.touch();
CREATE CONSTRAINT TRIGGER late AFTER INSERT ON billing.invoice DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
  EXECUTE FUNCTION billing.touch();
CREATE VIEW billing.open_invoices WITH (security_barrier) AS
  SELECT i.id, c.name, i.total FROM billing.invoice i JOIN billing.customer c ON c.id = i.customer_id
  WHERE i.state IN ('new');
CREATE MATERIALIZED VIEW billing.totals AS SELECT customer_id, sum(total) AS total FROM billing.invoice GROUP BY 1;
CREATE UNIQUE INDEX ON billing.totals (customer_id);
CREATE RULE keep AS ON DELETE TO billing.cache DO INSTEAD NOTHING;
CREATE POLICY own ON billing.customer FOR SELECT TO @READER@ USING (name = current_user);
CREATE POLICY filled ON billing.customer AS RESTRICTIVE FOR INSERT WITH CHECK (name <> 'x');
GRANT SELECT, INSERT ON billing.invoice TO @READER@ WITH GRANT OPTION;
GRANT SELECT (id, name) ON billing.customer TO @READER@;
GRANT USAGE ON SEQUENCE billing.invoice_id_seq TO @READER@;
REVOKE EXECUTE ON FUNCTION billing.add(int, int) FROM PUBLIC;
REVOKE USAGE ON TYPE billing.amount FROM PUBLIC;
ALTER DEFAULT PRIVILEGES IN SCHEMA billing GRANT SELECT ON TABLES TO @READER@;
ALTER DEFAULT PRIVILEGES FOR ROLE @OWNER@ REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;
ALTER TABLE billing.cache OWNER TO @OWNER@;
CREATE OPERATOR billing.=== (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq, COMMUTATOR = OPERATOR(billing.===));
CREATE OPERATOR CLASS billing.backwards FOR TYPE int USING btree AS
  OPERATOR 1 >, OPERATOR 2 >=, OPERATOR 3 =, OPERATOR 4 <=, OPERATOR 5 <, FUNCTION 1 btint4cmp(int4, int4);
CREATE CAST (billing.pair AS text) WITH INOUT AS ASSIGNMENT;
CREATE TEXT SEARCH DICTIONARY billing.words (TEMPLATE = simple);
CREATE TEXT SEARCH CONFIGURATION billing.search (PARSER = default);
ALTER TEXT SEARCH CONFIGURATION billing.search ADD MAPPING FOR asciiword, word WITH billing.words, simple;
CREATE FOREIGN DATA WRAPPER wrapper;
CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper OPTIONS (host 'x', port '5');
CREATE USER MAPPING FOR @READER@ SERVER elsewhere OPTIONS (password 'hidden');
CREATE FOREIGN TABLE billing.remote (a int OPTIONS (column_name 'b')) SERVER elsewhere OPTIONS (name 'x');
CREATE FUNCTION billing.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
CREATE EVENT TRIGGER watch ON ddl_command_end WHEN TAG IN ('CREATE CAST') EXECUTE FUNCTION billing.watch();
CREATE PUBLICATION paid FOR TABLE billing.invoice (id, total) WHERE (id > 5) WITH (publish = 'insert');
CREATE PUBLICATION everything FOR TABLES IN SCHEMA billing;
CREATE SUBSCRIPTION copies CONNECTION 'host=x password=hidden' PUBLICATION p WITH (connect = false, slot_name = NONE);
GRANT EXECUTE ON FUNCTION pg_read_file(text) TO @READER@;
COMMENT ON TABLE billing.invoice IS 'left out';
CREATE TABLE public."We ird.T" (a int);
