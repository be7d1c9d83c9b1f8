-- By age, so that histories which are younger than any pipeline's policy are not looked at.
DROP INDEX execution_kept;
CREATE INDEX execution_kept ON execution (ended_at_ms, arn) WHERE archived = 0 AND history_complete = 1;
