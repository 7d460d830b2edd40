-- App 1 4.2: the list of orders that are late.
BEGIN;
CREATE INDEX orders_delivery_date ON orders (delivery_date) WHERE state <> 'delivered';
CREATE VIEW late_orders AS
    SELECT id, customer_id, delivery_date
      FROM orders
     WHERE state <> 'delivered' AND delivery_date < current_date;
COMMIT;
