-- What the demo's two databases hold before the window. Run as the superuser of the demo's own server.
CREATE ROLE release LOGIN PASSWORD :'release_password';
CREATE ROLE backup LOGIN PASSWORD :'backup_password';
GRANT pg_monitor TO release, backup;
GRANT pg_read_all_data TO backup;
CREATE DATABASE orders OWNER release;
CREATE DATABASE billing OWNER release;

\connect orders
SET ROLE release;
CREATE TABLE customers (id integer PRIMARY KEY, name text NOT NULL);
CREATE TABLE orders (
    id          integer PRIMARY KEY,
    customer_id integer NOT NULL REFERENCES customers,
    ordered_on  date    NOT NULL,
    state       text    NOT NULL
);
INSERT INTO customers SELECT n, 'customer ' || n FROM generate_series(1, 200) n;
INSERT INTO orders
    SELECT n, 1 + n % 200, date '2026-01-01' + n % 300, (ARRAY['new', 'shipped', 'delivered'])[1 + n % 3]
      FROM generate_series(1, 4000) n;
ANALYZE customers, orders;
RESET ROLE;

\connect billing
SET ROLE release;
CREATE TABLE invoices (id integer PRIMARY KEY, order_id integer NOT NULL, total numeric NOT NULL);
INSERT INTO invoices SELECT n, n, n * 1.237 FROM generate_series(1, 4000) n;
ANALYZE invoices;
