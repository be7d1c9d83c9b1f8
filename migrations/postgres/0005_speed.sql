-- Pages by two of status, error and failed state: each reads its own rows and no others. Only failures are in them.

CREATE INDEX job_by_status_error ON job (status, error, id) WHERE error IS NOT NULL;
CREATE INDEX job_by_status_failed_state ON job (status, failed_state, id) WHERE failed_state IS NOT NULL;
CREATE INDEX job_by_error_failed_state ON job (error, failed_state, id) WHERE error IS NOT NULL AND failed_state IS NOT NULL;
