-- Alternate content sources: nearer or cheaper places that hold the same bytes. What a refresh found there is asked for by digest alone, so
-- that it serves whatever needs the bytes, in any repository and under any path.
CREATE TABLE acs (
  id {id}, uuid {blob} NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  remote_id {int} NOT NULL REFERENCES remote(id), paths TEXT NOT NULL DEFAULT '[]', last_refreshed {int});
CREATE INDEX acs_remote ON acs(remote_id);

-- seen: the task that found it there last; what the next one of the path does not find goes. failed_at, missing_at: as of remote_artifact.
CREATE TABLE acs_artifact (
  id {id}, acs_id {int} NOT NULL REFERENCES acs(id) ON DELETE CASCADE, path TEXT NOT NULL, sha256 {blob} NOT NULL,
  url TEXT NOT NULL, size {int}, seen {int} NOT NULL, failed_at {int}, missing_at {int},
  UNIQUE (sha256, acs_id, path));
CREATE INDEX acs_artifact_path ON acs_artifact(acs_id, path);
