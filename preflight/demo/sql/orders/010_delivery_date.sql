-- App 1 4.2: an order knows when it was promised.
BEGIN;
ALTER TABLE orders ADD COLUMN delivery_date date;
UPDATE orders SET delivery_date = ordered_on + 14;
COMMIT;
