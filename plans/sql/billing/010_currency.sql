-- App 2 3.0: invoices in other currencies.
BEGIN;
ALTER TABLE invoices ADD COLUMN currency text NOT NULL DEFAULT 'EUR';
COMMIT;
