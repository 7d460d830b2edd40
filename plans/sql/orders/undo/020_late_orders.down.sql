BEGIN;
DROP VIEW late_orders;
DROP INDEX orders_delivery_date;
COMMIT;
