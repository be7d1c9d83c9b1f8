-- Executions started outside Gantry; what one server does at a time; how far AWS's list was compared.

-- Of an adopted job: whether what it was started with was read.
ALTER TABLE job ADD COLUMN input_known BIGINT NOT NULL DEFAULT 1;
CREATE INDEX job_input_unknown ON job (id) WHERE input_known = 0;
-- With its input an adopted job's source becomes known.
CREATE TRIGGER job_text_update AFTER UPDATE OF title, source ON job
    WHEN old.title <> new.title OR old.source <> new.source BEGIN
    UPDATE job_text SET title = new.title, source = new.source WHERE rowid = new.place;
END;

-- Who took a row of the outbox; none while nobody has it.
ALTER TABLE outbox ADD COLUMN taken_by TEXT;

-- Work that one server at a time does, and servers that live.
CREATE TABLE lease (
    name     TEXT   NOT NULL PRIMARY KEY,
    holder   TEXT   NOT NULL,
    until_ms BIGINT NOT NULL
) WITHOUT ROWID;

-- When a state machine's list of executions was last compared with the store, to its end or to the sweep before.
CREATE TABLE sweep (
    state_machine TEXT   NOT NULL PRIMARY KEY,
    began_at_ms   BIGINT NOT NULL,
    deep_at_ms    BIGINT NOT NULL
) WITHOUT ROWID;
