-- A text is found by blocks of jobs, which the server makes beside what is submitted: a submit only says that a job's
-- text is to be read. Of a block is kept which jobs it has, and of every three characters in which of these they stand.
DROP TRIGGER job_text_insert;
DROP TRIGGER job_text_update;
DROP TRIGGER job_text_delete;
DROP INDEX job_by_place;
DROP TABLE job_text;
ALTER TABLE job DROP COLUMN place;

-- Jobs in no block yet, or with another text than the one in their block.
CREATE TABLE text_queue (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    job_id TEXT NOT NULL
);
INSERT INTO text_queue (job_id) SELECT id FROM job ORDER BY id;
CREATE TRIGGER text_queue_insert AFTER INSERT ON job BEGIN
    INSERT INTO text_queue (job_id) VALUES (new.id);
END;
CREATE TRIGGER text_queue_update AFTER UPDATE OF title, source ON job
    WHEN old.title <> new.title OR old.source <> new.source BEGIN
    INSERT INTO text_queue (job_id) VALUES (new.id);
END;

CREATE TABLE text_block (
    id             INTEGER PRIMARY KEY AUTOINCREMENT,
    state          TEXT   NOT NULL,              -- making, current, replaced (by a larger one), leaving
    jobs           BIGINT NOT NULL,
    first_id       TEXT   NOT NULL,              -- the oldest of its jobs
    last_id        TEXT   NOT NULL,
    replaced_at_ms BIGINT
);
-- The jobs of a block in the order of their ids, some at a time; 16 bytes each. With rowids: without, the inner pages
-- of these two would hold whole rows, and few of them (https://www.sqlite.org/withoutrowid.html).
CREATE TABLE text_part (
    block    BIGINT NOT NULL,
    part     BIGINT NOT NULL,
    first_id TEXT   NOT NULL,
    ids      BLOB   NOT NULL,
    PRIMARY KEY (block, part)
);
CREATE INDEX text_part_by_id ON text_part (block, first_id);
CREATE TABLE text_gram (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,                       -- three characters of 21 bits each
    slots BLOB   NOT NULL,                       -- the numbers of jobs in their block, a Roaring bitmap
    PRIMARY KEY (block, gram)
);
