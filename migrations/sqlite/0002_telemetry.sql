-- Invocations as Lambda's platform.report tells them, and how far the telemetry stream was read.

CREATE TABLE invocation (
    request_id      TEXT   NOT NULL PRIMARY KEY,
    function        TEXT   NOT NULL,
    version         TEXT   NOT NULL,
    digest          TEXT,                          -- of the image that ran; resolved through Lambda afterwards
    status          TEXT   NOT NULL,
    init_ms         REAL,                          -- initDurationMs: only a cold start has it
    duration_ms     REAL   NOT NULL,
    max_memory_mib  BIGINT,
    at_ms           BIGINT NOT NULL
) WITHOUT ROWID;
CREATE INDEX invocation_cold ON invocation (function, digest, init_ms, at_ms) WHERE init_ms IS NOT NULL AND digest IS NOT NULL;
CREATE INDEX invocation_by_function ON invocation (function, digest) WHERE digest IS NOT NULL;
CREATE INDEX invocation_unresolved ON invocation (function, version) WHERE digest IS NULL;
CREATE INDEX invocation_by_age ON invocation (at_ms);

-- A published version's image never changes, so what Lambda said once stays true after the version is deleted.
CREATE TABLE function_version (
    function TEXT NOT NULL,
    version  TEXT NOT NULL,
    digest   TEXT NOT NULL,
    PRIMARY KEY (function, version)
) WITHOUT ROWID;

CREATE TABLE shard_checkpoint (
    stream   TEXT NOT NULL,
    shard    TEXT NOT NULL,
    sequence TEXT NOT NULL,
    PRIMARY KEY (stream, shard)
) WITHOUT ROWID;
