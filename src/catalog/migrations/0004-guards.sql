-- Who may read a distribution (distribution.content_guard_id). Columns that a guard's type has no use for are null.
-- guards: of a composite one, the uuids of those of which any must let pass; what exists no more does not count.
CREATE TABLE content_guard (
  id {id}, uuid {blob} NOT NULL UNIQUE, type TEXT NOT NULL, name TEXT NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  description TEXT, header_name TEXT, header_value TEXT, jq_filter TEXT, ca_certificate TEXT, crl TEXT,
  guards TEXT NOT NULL DEFAULT '[]');
CREATE INDEX distribution_guard ON distribution(content_guard_id) WHERE content_guard_id IS NOT NULL;

-- Whom a guard of the type core.rbac lets pass.
CREATE TABLE content_guard_user (
  guard_id {int} NOT NULL REFERENCES content_guard(id) ON DELETE CASCADE,
  user_id {int} NOT NULL REFERENCES users(id) ON DELETE CASCADE,
  PRIMARY KEY (guard_id, user_id)) {norowid};
CREATE INDEX content_guard_user_user ON content_guard_user(user_id);
