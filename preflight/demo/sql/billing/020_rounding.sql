-- App 2 3.0: totals are stored rounded to cents.
BEGIN;
UPDATE invoices
   SET total = round(total, 2)
 WHERE total <> round(total, 2);
ALTER TABLE invoices ALTER COLUMN total SET DEFAULT 0.00;
COMMIT;
