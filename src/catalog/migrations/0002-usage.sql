-- How much there is, and what was used when: what a quota and its eviction go by.

-- When a client was given it last, or when it was saved; exact to storage.use_interval. A batch of uses rewrites these rows alone,
-- and each at most once an interval.
ALTER TABLE artifact ADD COLUMN last_used {int} NOT NULL DEFAULT 0;
UPDATE artifact SET last_used = created;
-- The next to go, without a look at the rest.
CREATE INDEX artifact_last_used ON artifact(last_used);

-- The sum over artifact, one row: whoever adds or deletes artifacts changes it in the same transaction (txn_commit).
CREATE TABLE artifact_total (id {int} NOT NULL PRIMARY KEY, artifacts {int} NOT NULL, bytes {int} NOT NULL);
INSERT INTO artifact_total (id, artifacts, bytes) SELECT 1, COUNT(*), COALESCE(SUM(size), 0) FROM artifact;

-- Its format wants it at every sync (never_deferred): eviction leaves it alone.
ALTER TABLE content_artifact ADD COLUMN pinned {int} NOT NULL DEFAULT 0;
