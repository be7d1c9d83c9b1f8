-- A text is found by blocks of jobs, which the server makes beside what is submitted: a submit only says that a job's
-- text is to be read. Of a block is kept which jobs it has, and of every three characters in which of these they stand.
-- The extension pg_trgm may stay: somebody else may use it by now.
DROP INDEX job_by_text;

-- Jobs in no block yet, or with another text than the one in their block.
CREATE TABLE text_queue (
    number BIGINT NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    job_id TEXT COLLATE "C" NOT NULL
);
INSERT INTO text_queue (job_id) SELECT id FROM job ORDER BY id;
CREATE FUNCTION text_queue_insert() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO text_queue (job_id) SELECT id FROM new_job;
    RETURN NULL;
END $$;
CREATE TRIGGER text_queue_insert AFTER INSERT ON job
    REFERENCING NEW TABLE AS new_job FOR EACH STATEMENT EXECUTE FUNCTION text_queue_insert();
CREATE FUNCTION text_queue_update() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    INSERT INTO text_queue (job_id) VALUES (new.id);
    RETURN NULL;
END $$;
CREATE TRIGGER text_queue_update AFTER UPDATE OF title, source ON job FOR EACH ROW
    WHEN (old.title <> new.title OR old.source <> new.source) EXECUTE FUNCTION text_queue_update();

CREATE TABLE text_block (
    id             BIGINT NOT NULL PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    state          TEXT COLLATE "C" NOT NULL,    -- making, current, replaced (by a larger one), leaving
    jobs           BIGINT NOT NULL,
    first_id       TEXT COLLATE "C" NOT NULL,    -- the oldest of its jobs
    last_id        TEXT COLLATE "C" NOT NULL,
    replaced_at_ms BIGINT
);
-- The jobs of a block in the order of their ids, some at a time; 16 bytes each.
CREATE TABLE text_part (
    block    BIGINT NOT NULL,
    part     BIGINT NOT NULL,
    first_id TEXT COLLATE "C" NOT NULL,
    ids      BYTEA  NOT NULL,
    PRIMARY KEY (block, part)
);
CREATE INDEX text_part_by_id ON text_part (block, first_id);
CREATE TABLE text_gram (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,                       -- three characters of 21 bits each
    slots BYTEA  NOT NULL,                       -- the numbers of jobs in their block, a Roaring bitmap
    PRIMARY KEY (block, gram)
);
-- Neither can be compressed.
ALTER TABLE text_part ALTER COLUMN ids SET STORAGE EXTERNAL;
ALTER TABLE text_gram ALTER COLUMN slots SET STORAGE EXTERNAL;
