-- When a remote ceased to offer it. For as long as superseded publications are answered, clients that have their metadata may be served from there.
ALTER TABLE remote_artifact ADD COLUMN dropped_at {int};
CREATE INDEX remote_artifact_dropped ON remote_artifact(dropped_at) WHERE dropped_at IS NOT NULL;
