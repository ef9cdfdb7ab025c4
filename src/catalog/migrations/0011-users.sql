-- Users together, and what they may do.
CREATE TABLE user_group (id {id}, name TEXT NOT NULL UNIQUE, created {int} NOT NULL);
CREATE TABLE user_group_member (
  id {id}, group_id {int} NOT NULL REFERENCES user_group(id) ON DELETE CASCADE,
  user_id {int} NOT NULL REFERENCES users(id) ON DELETE CASCADE, created {int} NOT NULL,
  UNIQUE (group_id, user_id));
CREATE INDEX user_group_member_user ON user_group_member(user_id);

-- permissions: JSON. Those that the program knows; nobody changes them.
CREATE TABLE role (
  id {id}, uuid {blob} NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  description TEXT NOT NULL, permissions TEXT NOT NULL, locked {int} NOT NULL DEFAULT 1);
INSERT INTO role (uuid, name, created, updated, description, permissions) VALUES
  (CAST('role-of-an-admin' AS BLOB), 'sluice.admin', 1, 1, 'may do everything', '["*"]'),
  (CAST('role-of-a-viewer' AS BLOB), 'sluice.viewer', 2, 2, 'may read everything but secrets', '["view"]'),
  (CAST('role-for-an-rbac' AS BLOB), 'core.rbaccontentguard_downloader', 3, 3, 'may fetch what a guard protects',
   '["core.download_rbaccontentguard"]');

-- What somebody may do everywhere: either a user or a group. The unique index has 0 for null, which never equals null.
CREATE TABLE role_assignment (
  id {id}, uuid {blob} NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  role_id {int} NOT NULL REFERENCES role(id) ON DELETE CASCADE,
  user_id {int} REFERENCES users(id) ON DELETE CASCADE, group_id {int} REFERENCES user_group(id) ON DELETE CASCADE);
CREATE UNIQUE INDEX role_assignment_once ON role_assignment(role_id, COALESCE(user_id, 0), COALESCE(group_id, 0));
CREATE INDEX role_assignment_user ON role_assignment(user_id) WHERE user_id IS NOT NULL;
CREATE INDEX role_assignment_group ON role_assignment(group_id) WHERE group_id IS NOT NULL;

-- The groups that a guard of the type core.rbac lets pass, beside content_guard_user.
CREATE TABLE content_guard_group (
  guard_id {int} NOT NULL REFERENCES content_guard(id) ON DELETE CASCADE,
  group_id {int} NOT NULL REFERENCES user_group(id) ON DELETE CASCADE,
  PRIMARY KEY (guard_id, group_id)) {norowid};
CREATE INDEX content_guard_group_group ON content_guard_group(group_id);
