-- The order in which jobs are found and commands are taken; what a canary has seen; where an execution failed.

-- A job's place orders jobs as their ids do, in whatever order they come: sixteen to each of the id's milliseconds
-- (RFC 9562, section 5.7), and between those of its neighbours; where these leave no room, the next that is free.
-- The index of texts has it with a minus, as it is read forwards and the newest are wanted first: what is inserted
-- together should come newest first. It keeps no words, only in which jobs three characters stand
-- (https://www.sqlite.org/fts5.html#the_detail_option).
DROP TRIGGER job_text_insert;
DROP TRIGGER job_text_update;
DROP TRIGGER job_text_delete;
DROP INDEX job_by_place;
DROP TABLE job_text;
-- Such sums grow by one from job to job at least, and by more as far as the time does.
UPDATE job SET place = numbered.place FROM (
    SELECT id, number + MAX(first - number) OVER (ORDER BY id) AS place FROM (
        SELECT job.id AS id, ROW_NUMBER() OVER (ORDER BY job.id) AS number,
            (SELECT SUM((instr('0123456789abcdef', substr(digits, value, 1)) - 1) << (48 - 4 * value)) << 4
        FROM (SELECT substr(job.id, 1, 8) || substr(job.id, 10, 4) AS digits), json_each('[1,2,3,4,5,6,7,8,9,10,11,12]')) AS first FROM job)) AS numbered WHERE job.id = numbered.id;
CREATE UNIQUE INDEX job_by_place ON job (place);
CREATE VIRTUAL TABLE job_text USING fts5(title, source, tokenize = 'trigram', detail = none, content = '', contentless_delete = 1);
INSERT INTO job_text (rowid, title, source) SELECT -place, title, source FROM job ORDER BY place DESC;
CREATE TRIGGER job_text_insert AFTER INSERT ON job BEGIN
    UPDATE job SET place = (
        SELECT CASE WHEN NOT EXISTS (SELECT 1 FROM job WHERE place = wanted) THEN wanted ELSE (
            SELECT MIN(taken.place) + 1 FROM job AS taken WHERE taken.place >= wanted
                AND NOT EXISTS (SELECT 1 FROM job WHERE place = taken.place + 1)) END
        FROM (SELECT MAX(MIN(first, COALESCE((SELECT place FROM job WHERE id > new.id ORDER BY id LIMIT 1), first + 1) - 1),
                COALESCE((SELECT place FROM job WHERE id < new.id ORDER BY id DESC LIMIT 1), 0) + 1) AS wanted
            FROM (SELECT (SELECT SUM((instr('0123456789abcdef', substr(digits, value, 1)) - 1) << (48 - 4 * value)) << 4
        FROM (SELECT substr(new.id, 1, 8) || substr(new.id, 10, 4) AS digits), json_each('[1,2,3,4,5,6,7,8,9,10,11,12]')) AS first))) WHERE id = new.id;
    INSERT INTO job_text (rowid, title, source) SELECT -place, title, source FROM job WHERE id = new.id;
END;
CREATE TRIGGER job_text_update AFTER UPDATE OF title, source ON job
    WHEN old.title <> new.title OR old.source <> new.source BEGIN
    UPDATE job_text SET title = new.title, source = new.source WHERE rowid = -new.place;
END;
CREATE TRIGGER job_text_delete AFTER DELETE ON job BEGIN
    DELETE FROM job_text WHERE rowid = -old.place;
END;

-- What the dispatcher takes: stops first, then the rest of a pipeline in its order.
DROP INDEX outbox_by_turn;
CREATE INDEX outbox_stops ON outbox (priority DESC, id) WHERE command = 'stop';
CREATE INDEX outbox_by_turn ON outbox (pipeline, priority DESC, id) WHERE command <> 'stop';

-- Manifests are there of what succeeded alone.
DROP INDEX execution_unlisted;
CREATE INDEX execution_unlisted ON execution (arn) WHERE artifacts_read = 0 AND status = 'SUCCEEDED';

-- The server through which an upload comes: another one must not take it for left behind.
ALTER TABLE upload ADD COLUMN server TEXT;

-- An execution knows in which state its error arose, as its job does: a redrive that does not come about leaves it so.
ALTER TABLE execution ADD COLUMN failed_state TEXT;
UPDATE execution SET failed_state = job.failed_state FROM job WHERE job.execution_arn = execution.arn AND job.failed_state IS NOT NULL;

-- Whether a canary's verdict took a failed item into account, or a person who let the operation go on did.
ALTER TABLE bulk_item ADD COLUMN seen BIGINT NOT NULL DEFAULT 0;
CREATE INDEX bulk_item_begun ON bulk_item (job_id) WHERE state = 'begun';
CREATE INDEX bulk_item_unseen ON bulk_item (bulk_id, position) WHERE state = 'failed' AND seen = 0;
