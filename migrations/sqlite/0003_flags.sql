-- Flags as numbers, 0 and 1: the one reading that SQLite and PostgreSQL share.

DROP INDEX execution_unread;
DROP INDEX execution_unlisted;

ALTER TABLE execution ADD COLUMN history_flag BIGINT NOT NULL DEFAULT 0;
ALTER TABLE execution ADD COLUMN artifacts_flag BIGINT NOT NULL DEFAULT 0;
UPDATE execution SET history_flag = history_complete, artifacts_flag = artifacts_read;
ALTER TABLE execution DROP COLUMN history_complete;
ALTER TABLE execution DROP COLUMN artifacts_read;
ALTER TABLE execution RENAME COLUMN history_flag TO history_complete;
ALTER TABLE execution RENAME COLUMN artifacts_flag TO artifacts_read;

CREATE INDEX execution_unread ON execution (history_read_at_ms) WHERE history_complete = 0;
CREATE INDEX execution_unlisted ON execution (arn) WHERE artifacts_read = 0;
