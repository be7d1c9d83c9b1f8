-- Blocks also say where four letters and digits stand that are part of a number or an id. Those that were made before do
-- not: they are made again.
DELETE FROM text_gram;
DROP TABLE text_gram_large;
DELETE FROM text_part;
DELETE FROM text_block;
DELETE FROM text_queue;
-- What a block says of its jobs' texts. On PostgreSQL a server of an earlier version cannot make one any more.
ALTER TABLE text_block ADD COLUMN layout INTEGER NOT NULL DEFAULT 0;
-- What is in many jobs is kept in pieces, by slots in the block: a page of it needs one of them.
CREATE TABLE text_gram_large (
    block BIGINT NOT NULL,
    gram  BIGINT NOT NULL,
    piece BIGINT NOT NULL,                       -- below zero: it is all of the set
    slots BLOB   NOT NULL,
    PRIMARY KEY (block, gram, piece)
);
INSERT INTO text_queue (job_id) SELECT id FROM job ORDER BY id;
