-- The model: Pulp 3's vocabulary. One statement ends at a line that ends in ';'.
--
-- Written once for SQLite and PostgreSQL; the words in braces are replaced by db_sqlite.c (or its sibling):
-- {id} an integer primary key that counts itself and never gives a number twice (flights and caches remember them), {int} 64
-- bits, {real}, {blob}, {path} text that sorts by bytes, {norowid} the primary key is the table.
-- Times are microseconds since 1970 UTC, booleans 0 and 1, digests and UUIDs raw bytes, json text.
-- Every object has an integer id for joins and a uuid for the API.

CREATE TABLE users (
  id {id}, username TEXT NOT NULL UNIQUE, password TEXT NOT NULL, is_staff {int} NOT NULL DEFAULT 0,
  is_active {int} NOT NULL DEFAULT 1, first_name TEXT NOT NULL DEFAULT '', last_name TEXT NOT NULL DEFAULT '',
  email TEXT NOT NULL DEFAULT '', date_joined {int} NOT NULL);

CREATE TABLE remote (
  id {id}, uuid {blob} NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  url TEXT NOT NULL, policy TEXT NOT NULL, labels TEXT NOT NULL DEFAULT '{{}}',
  ca_cert TEXT, client_cert TEXT, client_key TEXT, tls_validation {int} NOT NULL DEFAULT 1,
  proxy_url TEXT, proxy_username TEXT, proxy_password TEXT, username TEXT, password TEXT,
  max_retries {int}, total_timeout {real}, connect_timeout {real}, sock_connect_timeout {real}, sock_read_timeout {real},
  headers TEXT NOT NULL DEFAULT '[]', download_concurrency {int}, rate_limit {int}, extra TEXT NOT NULL DEFAULT '{{}}');

CREATE TABLE repository (
  id {id}, uuid {blob} NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  description TEXT, labels TEXT NOT NULL DEFAULT '{{}}', remote_id {int} REFERENCES remote(id) ON DELETE SET NULL,
  retain_repo_versions {int}, retain_checkpoints {int}, autopublish {int} NOT NULL DEFAULT 0,
  next_version {int} NOT NULL DEFAULT 0, last_sync_details TEXT NOT NULL DEFAULT '{{}}', extra TEXT NOT NULL DEFAULT '{{}}');
CREATE INDEX repository_remote_id ON repository(remote_id);

-- The remotes that a repository was synced with: only there do a remote's credentials serve it (C20).
CREATE TABLE repository_remote (
  repository_id {int} NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
  remote_id {int} NOT NULL REFERENCES remote(id) ON DELETE CASCADE,
  PRIMARY KEY (repository_id, remote_id)) {norowid};
CREATE INDEX repository_remote_remote ON repository_remote(remote_id);

-- A version with complete = 0 is being made; nothing serves it, and the next start or sync sweeps it.
-- Deleting a version moves no rows of its content: the next one takes over its numbers, those from `since` to `number`.
CREATE TABLE repository_version (
  id {id}, uuid {blob} NOT NULL UNIQUE, repository_id {int} NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
  number {int} NOT NULL, since {int} NOT NULL DEFAULT 0, complete {int} NOT NULL DEFAULT 0, created {int} NOT NULL, updated {int} NOT NULL,
  base_version_id {int} REFERENCES repository_version(id) ON DELETE SET NULL,
  added {int} NOT NULL DEFAULT 0, removed {int} NOT NULL DEFAULT 0, present {int} NOT NULL DEFAULT 0,
  UNIQUE (repository_id, number));
CREATE INDEX repository_version_base ON repository_version(base_version_id);
CREATE INDEX repository_version_making ON repository_version(repository_id) WHERE complete = 0;

CREATE TABLE content (
  id {id}, uuid {blob} NOT NULL UNIQUE, type TEXT NOT NULL, natural_key TEXT NOT NULL, created {int} NOT NULL, updated {int} NOT NULL,
  labels TEXT NOT NULL DEFAULT '{{}}', extra TEXT NOT NULL DEFAULT '{{}}',
  UNIQUE (type, natural_key));

CREATE TABLE artifact (
  id {id}, uuid {blob} NOT NULL UNIQUE, sha256 {blob} NOT NULL UNIQUE, size {int} NOT NULL, created {int} NOT NULL,
  md5 {blob}, sha1 {blob}, sha224 {blob}, sha384 {blob}, sha512 {blob});

CREATE TABLE content_artifact (
  id {id}, content_id {int} NOT NULL REFERENCES content(id) ON DELETE CASCADE, relative_path {path} NOT NULL,
  artifact_id {int} REFERENCES artifact(id),
  UNIQUE (content_id, relative_path));
CREATE INDEX content_artifact_artifact ON content_artifact(artifact_id);

-- failed_at: sent wrong bytes then. missing_at: answered 404 or 410 then (P7); null again once it was had.
CREATE TABLE remote_artifact (
  id {id}, content_artifact_id {int} NOT NULL REFERENCES content_artifact(id) ON DELETE CASCADE,
  remote_id {int} NOT NULL REFERENCES remote(id) ON DELETE CASCADE, url TEXT NOT NULL, size {int},
  md5 {blob}, sha1 {blob}, sha224 {blob}, sha256 {blob}, sha384 {blob}, sha512 {blob},
  failed_at {int}, missing_at {int},
  UNIQUE (content_artifact_id, remote_id));
CREATE INDEX remote_artifact_remote ON remote_artifact(remote_id);
CREATE INDEX remote_artifact_missing ON remote_artifact(missing_at) WHERE missing_at IS NOT NULL;

-- A unit is in version n when version_added <= n and (version_removed is null or version_removed > n). Numbers, not ids.
-- Version v added it when version_added is between v.since and v.number and it is in v (a row that came and went inside
-- of that range does not exist), and removed it when version_removed is between them.
CREATE TABLE repository_content (
  repository_id {int} NOT NULL REFERENCES repository(id) ON DELETE CASCADE,
  content_id {int} NOT NULL REFERENCES content(id), version_added {int} NOT NULL, version_removed {int},
  PRIMARY KEY (repository_id, content_id, version_added)) {norowid};
CREATE INDEX repository_content_content ON repository_content(content_id);
CREATE INDEX repository_content_added ON repository_content(repository_id, version_added);
CREATE INDEX repository_content_removed ON repository_content(repository_id, version_removed) WHERE version_removed IS NOT NULL;

-- The same fact by path: what a request asks for. One seek, however many repositories hold the same path, and
-- listings walk it in order. One row for each artifact of each row of repository_content, always with the same two version
-- numbers and changed in the same transaction: so it needs no index to be found from there, and its content artifact
-- cannot go while it is here. added_at: when the unit entered the repository; it outlives the version that added it.
CREATE TABLE repository_path (
  repository_id {int} NOT NULL REFERENCES repository(id) ON DELETE CASCADE, relative_path {path} NOT NULL,
  version_added {int} NOT NULL, version_removed {int}, content_artifact_id {int} NOT NULL, added_at {int} NOT NULL,
  PRIMARY KEY (repository_id, relative_path, version_added, content_artifact_id)) {norowid};

CREATE TABLE publication (
  id {id}, uuid {blob} NOT NULL UNIQUE, type TEXT NOT NULL, created {int} NOT NULL, updated {int} NOT NULL,
  repository_version_id {int} NOT NULL REFERENCES repository_version(id) ON DELETE CASCADE,
  complete {int} NOT NULL DEFAULT 0, pass_through {int} NOT NULL DEFAULT 1, checkpoint {int} NOT NULL DEFAULT 0,
  extra TEXT NOT NULL DEFAULT '{{}}');
CREATE INDEX publication_version ON publication(repository_version_id);
CREATE INDEX publication_making ON publication(id) WHERE complete = 0;

CREATE TABLE published_artifact (
  publication_id {int} NOT NULL REFERENCES publication(id) ON DELETE CASCADE, relative_path {path} NOT NULL,
  artifact_id {int} REFERENCES artifact(id), content_artifact_id {int} REFERENCES content_artifact(id),
  PRIMARY KEY (publication_id, relative_path)) {norowid};
CREATE INDEX published_artifact_artifact ON published_artifact(artifact_id);
CREATE INDEX published_artifact_ca ON published_artifact(content_artifact_id);

CREATE TABLE distribution (
  id {id}, uuid {blob} NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  base_path {path} NOT NULL UNIQUE, labels TEXT NOT NULL DEFAULT '{{}}', hidden {int} NOT NULL DEFAULT 0,
  content_guard_id {int}, checkpoint {int} NOT NULL DEFAULT 0,
  repository_id {int} REFERENCES repository(id) ON DELETE SET NULL,
  repository_version_id {int} REFERENCES repository_version(id) ON DELETE SET NULL,
  publication_id {int} REFERENCES publication(id) ON DELETE SET NULL,
  remote_id {int} REFERENCES remote(id) ON DELETE SET NULL, extra TEXT NOT NULL DEFAULT '{{}}');
CREATE INDEX distribution_repository ON distribution(repository_id);
CREATE INDEX distribution_version ON distribution(repository_version_id);
CREATE INDEX distribution_publication ON distribution(publication_id);

-- What a distribution served before, and until when: still answered for a window, so that a client between two of its
-- requests sees no gap (P10).
CREATE TABLE distribution_history (
  distribution_id {int} NOT NULL REFERENCES distribution(id) ON DELETE CASCADE,
  publication_id {int} NOT NULL REFERENCES publication(id) ON DELETE CASCADE, superseded_at {int} NOT NULL,
  PRIMARY KEY (distribution_id, publication_id)) {norowid};
CREATE INDEX distribution_history_publication ON distribution_history(publication_id);
CREATE INDEX distribution_history_end ON distribution_history(superseded_at);

CREATE TABLE worker (
  id {id}, uuid {blob} NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, kind TEXT NOT NULL, created {int} NOT NULL, updated {int} NOT NULL,
  last_heartbeat {int} NOT NULL, versions TEXT NOT NULL DEFAULT '{{}}', pid {int} NOT NULL DEFAULT 0, host TEXT NOT NULL DEFAULT '');

CREATE TABLE task_group (
  id {id}, uuid {blob} NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL, description TEXT NOT NULL DEFAULT '',
  all_tasks_dispatched {int} NOT NULL DEFAULT 0);

CREATE TABLE task (
  id {id}, uuid {blob} NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL, name TEXT NOT NULL, state TEXT NOT NULL,
  args TEXT NOT NULL DEFAULT '{{}}', logging_cid TEXT NOT NULL DEFAULT '', created_by {int},
  unblocked_at {int}, started_at {int}, finished_at {int}, error TEXT, result TEXT,
  worker_id {int} REFERENCES worker(id) ON DELETE SET NULL, parent_id {int} REFERENCES task(id) ON DELETE SET NULL,
  group_id {int} REFERENCES task_group(id) ON DELETE SET NULL, pid {int});
CREATE INDEX task_state ON task(state, id);
CREATE INDEX task_parent ON task(parent_id);
CREATE INDEX task_grouped ON task(group_id);
CREATE INDEX task_worker ON task(worker_id);
-- What a worker may take, oldest first.
CREATE INDEX task_ready ON task(id) WHERE state = 'waiting' AND unblocked_at IS NOT NULL;

-- ord keeps the order of reserved_resources_record: exclusive ones first.
CREATE TABLE task_resource (
  task_id {int} NOT NULL REFERENCES task(id) ON DELETE CASCADE, ord {int} NOT NULL, resource TEXT NOT NULL, exclusive {int} NOT NULL,
  PRIMARY KEY (task_id, ord)) {norowid};
CREATE INDEX task_resource_resource ON task_resource(resource, task_id);

-- The reservations of unfinished tasks, those that wait included: whether a task is free is one or two seeks for each
-- resource, however many tasks there were.
CREATE TABLE task_lock (
  resource TEXT NOT NULL, exclusive {int} NOT NULL, task_id {int} NOT NULL REFERENCES task(id) ON DELETE CASCADE,
  PRIMARY KEY (resource, exclusive, task_id)) {norowid};
CREATE INDEX task_lock_task ON task_lock(task_id);

CREATE TABLE task_created (
  task_id {int} NOT NULL REFERENCES task(id) ON DELETE CASCADE, ord {int} NOT NULL, prn TEXT NOT NULL, href TEXT NOT NULL,
  PRIMARY KEY (task_id, ord)) {norowid};
CREATE INDEX task_created_href ON task_created(href);

CREATE TABLE progress_report (
  task_id {int} NOT NULL REFERENCES task(id) ON DELETE CASCADE, ord {int} NOT NULL, message TEXT NOT NULL, code TEXT NOT NULL,
  state TEXT NOT NULL, total {int}, done {int} NOT NULL DEFAULT 0, suffix TEXT,
  PRIMARY KEY (task_id, ord)) {norowid};
