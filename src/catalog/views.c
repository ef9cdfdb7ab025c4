/* The views: SQL as data. Expressions are constants of this file; names come from callers, values never do. */
#include "catalog/views.h"

#include "base/check.h"

#include <string.h>

/* Column that writes may set, column that is read only, reference to another view. */
#define RW(name_, type_, sql_)                                            \
	{                                                                 \
		.name = name_, .type = type_, .sql = sql_, .store = name_ \
	}
#define SECRET(name_, type_, sql_)                                                        \
	{                                                                                 \
		.name = name_, .type = type_, .sql = sql_, .store = name_, .secret = true \
	}
#define RO(name_, type_, sql_, joins_)                                     \
	{                                                                  \
		.name = name_, .type = type_, .sql = sql_, .joins = joins_ \
	}
#define REF(name_, sql_, joins_, store_, view_)                                                              \
	{                                                                                                    \
		.name = name_, .type = COL_UUID, .sql = sql_, .joins = joins_, .store = store_, .ref = view_ \
	}
#define DATED(a)                                                                      \
	RO("uuid", COL_UUID, a ".uuid", 0), RO("created", COL_TIME, a ".created", 0), \
		RO("updated", COL_TIME, a ".updated", 0)
#define TYPED(a) RO("type", COL_TEXT, a ".type", 0)
#define COLUMNS(array) .columns = array, .column_count = ARRAY_LEN(array)
#define JOINS(array) .joins = array, .join_count = ARRAY_LEN(array)
#define CONDITIONS(array) .conditions = array, .condition_count = ARRAY_LEN(array)
#define BULK(array) .bulk = array, .bulk_count = ARRAY_LEN(array)

#define BULK_ROWS "1000"

/* ---- users ---- */

/* Has the user this role, himself or as one of a group? */
#define HAS_ROLE(role)                                                                                           \
	"EXISTS (SELECT 1 FROM role_assignment a JOIN role o ON o.id = a.role_id WHERE o.name = '" role "' AND " \
	"(a.user_id = u.id OR a.group_id IN (SELECT m.group_id FROM user_group_member m WHERE m.user_id = u.id)))"
/* Users and groups are addressed by their numbers. */
#define NUMBERED(a) RO("uuid", COL_TEXT, "CAST(" a " AS TEXT)", 0), RO("id", COL_INT, a, 0)

static const struct view_column user_columns[] = {
	NUMBERED("u.id"),
	RO("created", COL_TIME, "u.date_joined", 0),
	RO("updated", COL_TIME, "u.date_joined", 0),
	RO("is_admin", COL_BOOL, "(u.is_staff = 1 OR " HAS_ROLE("sluice.admin") ")", 0),
	RO("is_viewer", COL_BOOL, HAS_ROLE("sluice.viewer"), 0),
	RW("username", COL_TEXT, "u.username"),
	RW("password", COL_TEXT, "u.password"),
	RW("is_staff", COL_BOOL, "u.is_staff"),
	RW("is_active", COL_BOOL, "u.is_active"),
	RW("first_name", COL_TEXT, "u.first_name"),
	RW("last_name", COL_TEXT, "u.last_name"),
	RW("email", COL_TEXT, "u.email"),
	RW("date_joined", COL_TIME, "u.date_joined"),
};
static const struct view_column group_columns[] = {
	NUMBERED("g.id"),
	RW("created", COL_TIME, "g.created"),
	RO("updated", COL_TIME, "g.created", 0),
	RW("name", COL_TEXT, "g.name"),
};
static const struct view_join member_joins[] = {
	{"JOIN users u ON u.id = m.user_id", 0},
	{"JOIN user_group g ON g.id = m.group_id", 0},
};
/* A member is addressed by the user's number below the group's. */
static const struct view_column member_columns[] = {
	NUMBERED("m.user_id"),
	RW("created", COL_TIME, "m.created"),
	RW("group_id", COL_INT, "m.group_id"),
	RW("user_id", COL_INT, "m.user_id"),
	RO("updated", COL_TIME, "m.created", 0),
	RO("group", COL_TEXT, "CAST(m.group_id AS TEXT)", 0),
	RO("group_name", COL_TEXT, "g.name", 2),
	RO("username", COL_TEXT, "u.username", 1),
};
static const struct view_column role_columns[] = {
	DATED("o"),
	RO("name", COL_TEXT, "o.name", 0),
	RO("description", COL_TEXT, "o.description", 0),
	RO("permissions", COL_JSON, "o.permissions", 0),
	RO("locked", COL_BOOL, "o.locked", 0),
};
static const struct view_join assignment_joins[] = {
	{"JOIN role o ON o.id = a.role_id", 0},
};
static const struct view_column assignment_columns[] = {
	DATED("a"),
	RW("role_id", COL_INT, "a.role_id"),
	RW("user_id", COL_INT, "a.user_id"),
	RW("group_id", COL_INT, "a.group_id"),
	RO("user", COL_TEXT, "CAST(a.user_id AS TEXT)", 0),
	RO("group", COL_TEXT, "CAST(a.group_id AS TEXT)", 0),
	RO("role", COL_TEXT, "o.name", 1),
	RO("permissions", COL_JSON, "o.permissions", 1),
	RO("description", COL_TEXT, "o.description", 1),
};

/* ---- remotes ---- */

static const struct view_column remote_columns[] = {
	DATED("r"),
	TYPED("r"),
	RW("name", COL_TEXT, "r.name"),
	RW("url", COL_TEXT, "r.url"),
	RW("policy", COL_TEXT, "r.policy"),
	RW("labels", COL_JSON, "r.labels"),
	RW("ca_cert", COL_TEXT, "r.ca_cert"),
	RW("client_cert", COL_TEXT, "r.client_cert"),
	SECRET("client_key", COL_TEXT, "r.client_key"),
	RW("tls_validation", COL_BOOL, "r.tls_validation"),
	RW("proxy_url", COL_TEXT, "r.proxy_url"),
	SECRET("proxy_username", COL_TEXT, "r.proxy_username"),
	SECRET("proxy_password", COL_TEXT, "r.proxy_password"),
	SECRET("username", COL_TEXT, "r.username"),
	SECRET("password", COL_TEXT, "r.password"),
	RW("max_retries", COL_INT, "r.max_retries"),
	RW("total_timeout", COL_REAL, "r.total_timeout"),
	RW("connect_timeout", COL_REAL, "r.connect_timeout"),
	RW("sock_connect_timeout", COL_REAL, "r.sock_connect_timeout"),
	RW("sock_read_timeout", COL_REAL, "r.sock_read_timeout"),
	SECRET("headers", COL_JSON, "r.headers"),
	RW("download_concurrency", COL_INT, "r.download_concurrency"),
	RW("rate_limit", COL_INT, "r.rate_limit"),
	RW("extra", COL_JSON, "r.extra"),
};
static const struct view_bulk remote_bulk[] = {
	{"DELETE FROM remote_artifact WHERE id IN (SELECT id FROM remote_artifact WHERE remote_id = $1 LIMIT " BULK_ROWS
	 ")"},
};
static const struct view_hold remote_hold = {
	"SELECT name FROM acs WHERE remote_id = $1 LIMIT 1", "AlternateContentSource.remote"};

/* ---- alternate content sources ---- */

static const struct view_join acs_joins[] = {
	{"JOIN remote m ON m.id = s.remote_id", 0},
};
static const struct view_column acs_columns[] = {
	DATED("s"),
	TYPED("s"),
	RW("name", COL_TEXT, "s.name"),
	RW("paths", COL_JSON, "s.paths"),
	REF("remote", "m.uuid", 1, "remote_id", "remote"),
	RO("remote_type", COL_TEXT, "m.type", 1),
	RO("last_refreshed", COL_TIME, "s.last_refreshed", 0),
};
static const struct view_bulk acs_bulk[] = {
	{"DELETE FROM acs_artifact WHERE id IN (SELECT id FROM acs_artifact WHERE acs_id = $1 LIMIT " BULK_ROWS ")"},
};

/* ---- repositories ---- */

/* The number of the newest version that clients may see, of the repository `id`. */
#define LATEST(id) \
	"(SELECT max(lv.number) FROM repository_version lv WHERE lv.repository_id = " id " AND lv.complete = 1)"
/* Was the membership `row` there at version n of its repository? */
#define HELD_AT(row, n) \
	row ".version_added <= " n " AND (" row ".version_removed IS NULL OR " row ".version_removed > " n ")"
/* Is the unit row `rc` part of version `n` of its repository? */
#define IN_VERSION(n) HELD_AT("rc", n)

static const struct view_join repository_joins[] = {
	{"LEFT JOIN remote m ON m.id = r.remote_id", 0},
};
static const struct view_column repository_columns[] = {
	DATED("r"),
	TYPED("r"),
	RW("name", COL_TEXT, "r.name"),
	RW("description", COL_TEXT, "r.description"),
	RW("labels", COL_JSON, "r.labels"),
	REF("remote", "m.uuid", 1, "remote_id", "remote"),
	RO("remote_type", COL_TEXT, "m.type", 1),
	RW("retain_repo_versions", COL_INT, "r.retain_repo_versions"),
	RW("retain_checkpoints", COL_INT, "r.retain_checkpoints"),
	RW("autopublish", COL_BOOL, "r.autopublish"),
	RW("last_sync_details", COL_JSON, "r.last_sync_details"),
	RO("latest_version", COL_INT, LATEST("r.id"), 0),
	RW("extra", COL_JSON, "r.extra"),
};
static const struct view_condition repository_conditions[] = {
	{"with_content",
		"r.id IN (SELECT rc.repository_id FROM repository_content rc JOIN content c ON c.id = rc.content_id "
		"WHERE c.uuid = ?1 AND rc.version_added <= " LATEST("rc.repository_id") ")",
		0, {COL_UUID}, 1},
	{"latest_with_content",
		"r.id IN (SELECT rc.repository_id FROM repository_content rc JOIN content c ON c.id = rc.content_id "
		"WHERE c.uuid = ?1 AND " IN_VERSION(LATEST("rc.repository_id")) ")",
		0, {COL_UUID}, 1},
};
static const struct view_bulk repository_bulk[] = {
	{"DELETE FROM published_artifact WHERE (publication_id, relative_path) IN (SELECT x.publication_id, "
	 "x.relative_path "
	 "FROM published_artifact x JOIN publication p ON p.id = x.publication_id "
	 "JOIN repository_version v ON v.id = p.repository_version_id WHERE v.repository_id = $1 LIMIT " BULK_ROWS ")"},
	{"DELETE FROM repository_path WHERE (repository_id, relative_path, version_added, content_artifact_id) IN "
	 "(SELECT x.repository_id, x.relative_path, x.version_added, x.content_artifact_id FROM repository_path x "
	 "WHERE x.repository_id = $1 LIMIT " BULK_ROWS ")"},
	{"DELETE FROM repository_content WHERE (repository_id, content_id, version_added) IN "
	 "(SELECT x.repository_id, x.content_id, x.version_added FROM repository_content x "
	 "WHERE x.repository_id = $1 LIMIT " BULK_ROWS ")"},
};

/* ---- versions ---- */

static const struct view_join version_joins[] = {
	{"JOIN repository r ON r.id = v.repository_id", 0},
	{"LEFT JOIN repository_version bv ON bv.id = v.base_version_id", 0},
	{"LEFT JOIN repository br ON br.id = bv.repository_id", 2},
};
static const struct view_column version_columns[] = {
	DATED("v"),
	RO("type", COL_TEXT, "r.type", 1),
	RO("number", COL_INT, "v.number", 0),
	RO("repository", COL_UUID, "r.uuid", 1),
	RO("base_number", COL_INT, "bv.number", 2),
	RO("base_repository", COL_UUID, "br.uuid", 6),
	RO("base_type", COL_TEXT, "br.type", 6),
	RO("added", COL_INT, "v.added", 0),
	RO("removed", COL_INT, "v.removed", 0),
	RO("present", COL_INT, "v.present", 0),
	/* Served by a distribution: directly, through a publication, or as what is newest of a repository. */
	RO("served", COL_BOOL,
		"(EXISTS (SELECT 1 FROM distribution d WHERE d.repository_version_id = v.id) OR EXISTS (SELECT 1 FROM "
		"distribution d "
		"JOIN publication p ON p.id = d.publication_id WHERE p.repository_version_id = v.id) OR EXISTS (SELECT "
		"1 FROM "
		"distribution d WHERE d.repository_id = v.repository_id AND (v.number = " LATEST(
			"v.repository_id") " OR v.id = "
					   "(SELECT sp.repository_version_id FROM publication sp JOIN "
					   "repository_version sv ON sv.id = sp.repository_version_id "
					   "WHERE sv.repository_id = v.repository_id AND sp.complete = 1 ORDER BY "
					   "sv.number DESC, sp.id DESC LIMIT 1))))",
		0),
};
static const struct view_condition version_conditions[] = {
	{"content",
		"EXISTS (SELECT 1 FROM repository_content rc JOIN content c ON c.id = rc.content_id WHERE c.uuid = ?1 "
		"AND rc.repository_id = v.repository_id AND " IN_VERSION("v.number") ")",
		0, {COL_UUID}, 1},
};

/* ---- publications ---- */

static const struct view_join publication_joins[] = {
	{"JOIN repository_version v ON v.id = p.repository_version_id", 0},
	{"JOIN repository r ON r.id = v.repository_id", 1},
};
static const struct view_column publication_columns[] = {
	DATED("p"),
	TYPED("p"),
	RO("repository_version", COL_UUID, "v.uuid", 1),
	RO("number", COL_INT, "v.number", 1),
	RO("repository", COL_UUID, "r.uuid", 3),
	RO("repository_type", COL_TEXT, "r.type", 3),
	RW("checkpoint", COL_BOOL, "p.checkpoint"),
	RW("extra", COL_JSON, "p.extra"),
};
static const struct view_condition publication_conditions[] = {
	{"content",
		"EXISTS (SELECT 1 FROM repository_content rc JOIN content c ON c.id = rc.content_id WHERE c.uuid = ?1 "
		"AND rc.repository_id = v.repository_id AND " IN_VERSION("v.number") ")",
		1, {COL_UUID}, 1},
};
static const struct view_bulk publication_bulk[] = {
	{"DELETE FROM published_artifact WHERE (publication_id, relative_path) IN (SELECT x.publication_id, "
	 "x.relative_path "
	 "FROM published_artifact x WHERE x.publication_id = $1 LIMIT " BULK_ROWS ")"},
};

/* ---- distributions ---- */

static const struct view_join distribution_joins[] = {
	{"LEFT JOIN repository r ON r.id = d.repository_id", 0},
	{"LEFT JOIN repository_version v ON v.id = d.repository_version_id", 0},
	{"LEFT JOIN repository vr ON vr.id = v.repository_id", 2},
	{"LEFT JOIN publication p ON p.id = d.publication_id", 0},
	{"LEFT JOIN remote m ON m.id = d.remote_id", 0},
	{"LEFT JOIN content_guard g ON g.id = d.content_guard_id", 0},
};
static const struct view_column distribution_columns[] = {
	DATED("d"),
	TYPED("d"),
	RW("name", COL_TEXT, "d.name"),
	RW("base_path", COL_TEXT, "d.base_path"),
	RW("labels", COL_JSON, "d.labels"),
	RW("hidden", COL_BOOL, "d.hidden"),
	RW("checkpoint", COL_BOOL, "d.checkpoint"),
	REF("repository", "r.uuid", 1, "repository_id", "repository"),
	RO("repository_type", COL_TEXT, "r.type", 1),
	REF("repository_version", "v.uuid", 2, "repository_version_id", "version"),
	RO("repository_version_number", COL_INT, "v.number", 2),
	RO("repository_version_repository", COL_UUID, "vr.uuid", 6),
	RO("repository_version_type", COL_TEXT, "vr.type", 6),
	REF("publication", "p.uuid", 8, "publication_id", "publication"),
	RO("publication_type", COL_TEXT, "p.type", 8),
	REF("remote", "m.uuid", 16, "remote_id", "remote"),
	RO("remote_type", COL_TEXT, "m.type", 16),
	REF("content_guard", "g.uuid", 32, "content_guard_id", "content_guard"),
	RO("content_guard_type", COL_TEXT, "g.type", 32),
	RW("extra", COL_JSON, "d.extra"),
};
static const struct view_condition distribution_conditions[] = {
	/* The version whose publication is answered from: the highest number, then the newest. */
	{"with_content",
		"EXISTS (SELECT 1 FROM content c JOIN repository_content rc ON rc.content_id = c.id JOIN "
		"repository_version sv "
		"ON sv.repository_id = rc.repository_id AND " IN_VERSION(
			"sv.number") " WHERE c.uuid = ?1 AND sv.id = (SELECT pv.id FROM "
				     "publication sp JOIN repository_version pv ON pv.id = sp.repository_version_id "
				     "WHERE sp.complete = 1 AND (sp.id = "
				     "d.publication_id OR pv.id = d.repository_version_id OR pv.repository_id = "
				     "d.repository_id) "
				     "ORDER BY pv.number DESC, sp.id DESC LIMIT 1))",
		0, {COL_UUID}, 1},
	/* base_path and the path of another one lie within each other: clients could reach neither or both. */
	{"overlaps",
		"(substr(d.base_path, 1, length(?1) + 1) = ?1 || '/' OR substr(?1, 1, length(d.base_path) + 1) = "
		"d.base_path || '/' OR d.base_path = ?1)",
		0, {COL_TEXT}, 1},
};

/* ---- content guards ---- */

static const struct view_column guard_columns[] = {
	DATED("g"),
	TYPED("g"),
	RW("name", COL_TEXT, "g.name"),
	RW("description", COL_TEXT, "g.description"),
	RW("header_name", COL_TEXT, "g.header_name"),
	RW("header_value", COL_TEXT, "g.header_value"),
	RW("jq_filter", COL_TEXT, "g.jq_filter"),
	RW("ca_certificate", COL_TEXT, "g.ca_certificate"),
	RW("crl", COL_TEXT, "g.crl"),
	RW("guards", COL_JSON, "g.guards"),
};

/* ---- content ---- */

static const struct view_join content_joins[] = {
	{"LEFT JOIN content_artifact ca ON ca.id = (SELECT min(x.id) FROM content_artifact x WHERE x.content_id = "
	 "c.id)",
		0},
	{"LEFT JOIN artifact a ON a.id = ca.artifact_id", 1},
};
/* Artifacts that are not saved and that no source has any more. */
#define UNAVAILABLE                                                                                                    \
	"FROM content_artifact x JOIN remote_artifact ra ON ra.content_artifact_id = x.id WHERE x.artifact_id IS "     \
	"NULL "                                                                                                        \
	"AND ra.missing_at IS NOT NULL AND NOT EXISTS (SELECT 1 FROM remote_artifact o WHERE o.content_artifact_id = " \
	"x.id "                                                                                                        \
	"AND o.missing_at IS NULL)"
static const struct view_column content_columns[] = {
	DATED("c"),
	/* Not the bare column: the index on it would be read and sorted as a whole for a page of the newest. */
	RO("type", COL_TEXT, "c.type || ''", 0),
	RO("natural_key", COL_TEXT, "c.natural_key", 0),
	RW("labels", COL_JSON, "c.labels"),
	RO("extra", COL_JSON, "c.extra", 0),
	{.name = "relative_path",
		.type = COL_TEXT,
		.sql = "ca.relative_path",
		.joins = 1,
		.within = "c.id IN (SELECT x.content_id FROM content_artifact x WHERE %)",
		.within_sql = "x.relative_path"},
	RO("artifact", COL_UUID, "a.uuid", 3),
	RO("last_used", COL_TIME, "a.last_used", 3),
	RO("size", COL_INT, "a.size", 3),
	RO("md5", COL_HEX, "a.md5", 3),
	RO("sha1", COL_HEX, "a.sha1", 3),
	RO("sha224", COL_HEX, "a.sha224", 3),
	RO("sha256", COL_HEX, "a.sha256", 3),
	RO("sha384", COL_HEX, "a.sha384", 3),
	RO("sha512", COL_HEX, "a.sha512", 3),
	RO("unavailable_since", COL_TIME, "(SELECT max(ra.missing_at) " UNAVAILABLE " AND x.content_id = c.id)", 0),
};
/* Members are the rows of repository_content. Parameters: the repository's uuid, the number of one of its versions. */
#define OF_REPOSITORY "rc.repository_id = (SELECT vr.id FROM repository vr WHERE vr.uuid = ?1)"
/* A version stands for the numbers since..number: those of deleted ones before it are its own (see 0001-model.sql). */
#define SINCE                                                                                                       \
	"(SELECT v.since FROM repository_version v WHERE v.repository_id = (SELECT vr.id FROM repository vr WHERE " \
	"vr.uuid = ?1) AND v.number = ?2)"
/* Of a version with numbers of others a unit may have come and gone, or gone and come, in between. */
#define NOT_HELD_AT(n)                                                                                 \
	"(" SINCE " = ?2 OR NOT EXISTS (SELECT 1 FROM repository_content rb WHERE rb.repository_id = " \
	"rc.repository_id AND rb.content_id = rc.content_id AND " HELD_AT("rb", n) "))"
static const struct view_condition content_conditions[] = {
	{"in_version", OF_REPOSITORY " AND " HELD_AT("rc", "?2"), 0, {COL_UUID, COL_INT}, 2, .member = true},
	{"added_by_version",
		OF_REPOSITORY " AND " HELD_AT("rc", "?2") " AND rc.version_added >= " SINCE
							  " AND " NOT_HELD_AT(SINCE " - 1"),
		0, {COL_UUID, COL_INT}, 2, .member = true},
	{"removed_by_version",
		OF_REPOSITORY
		" AND " HELD_AT("rc", SINCE " - 1") " AND rc.version_removed <= ?2 AND " NOT_HELD_AT("?2"),
		0, {COL_UUID, COL_INT}, 2, .member = true},
	{"sha256",
		"c.id IN (SELECT x.content_id FROM artifact y JOIN content_artifact x ON x.artifact_id = y.id WHERE "
		"y.sha256 = ?1 "
		"UNION SELECT x.content_id FROM remote_artifact ra JOIN content_artifact x ON x.id = "
		"ra.content_artifact_id "
		"WHERE ra.sha256 = ?1)",
		0, {COL_HEX}, 1},
	/* A member of the unit's own fields, a text. */
	{"own_field", "json_extract(c.extra, '$.' || ?1) = ?2", 0, {COL_TEXT, COL_TEXT}, 2},
	{"orphaned", "NOT EXISTS (SELECT 1 FROM repository_content rc WHERE rc.content_id = c.id) AND c.updated <= ?1",
		0, {COL_TIME}, 1},
	{"unavailable",
		/* Also what nobody offers any more, since its remote was deleted: that is in no index, so units are looked at one by one. */
		"EXISTS (SELECT 1 FROM content_artifact x WHERE x.content_id = c.id AND x.artifact_id IS NULL AND NOT "
		"EXISTS (SELECT 1 FROM remote_artifact o WHERE o.content_artifact_id = x.id AND o.missing_at IS "
		"NULL))",
		0, {0}, 0},
};

/* ---- artifacts ---- */

static const struct view_column artifact_columns[] = {
	RO("uuid", COL_UUID, "a.uuid", 0),
	RO("created", COL_TIME, "a.created", 0),
	RO("updated", COL_TIME, "a.created", 0), /* an artifact never changes */
	RO("last_used", COL_TIME, "a.last_used", 0),
	RO("size", COL_INT, "a.size", 0),
	RO("md5", COL_HEX, "a.md5", 0),
	RO("sha1", COL_HEX, "a.sha1", 0),
	RO("sha224", COL_HEX, "a.sha224", 0),
	RO("sha256", COL_HEX, "a.sha256", 0),
	RO("sha384", COL_HEX, "a.sha384", 0),
	RO("sha512", COL_HEX, "a.sha512", 0),
};
static const struct view_condition artifact_conditions[] = {
	{"in_version",
		"a.id IN (SELECT x.artifact_id FROM content_artifact x JOIN repository_content rc ON rc.content_id = "
		"x.content_id "
		"WHERE " OF_REPOSITORY " AND " HELD_AT("rc", "?2") ")",
		0, {COL_UUID, COL_INT}, 2},
	{"orphaned",
		"NOT EXISTS (SELECT 1 FROM content_artifact x WHERE x.artifact_id = a.id) AND NOT EXISTS (SELECT 1 "
		"FROM "
		"published_artifact x WHERE x.artifact_id = a.id) AND a.created <= ?1",
		0, {COL_TIME}, 1},
};

/* ---- tasks ---- */

static const struct view_join task_joins[] = {
	{"LEFT JOIN task p ON p.id = t.parent_id", 0},
	{"LEFT JOIN task_group g ON g.id = t.group_id", 0},
	{"LEFT JOIN worker w ON w.id = t.worker_id", 0},
};
static const struct view_column task_columns[] = {
	DATED("t"),
	RO("name", COL_TEXT, "t.name", 0),
	RO("state", COL_TEXT, "t.state", 0),
	RO("logging_cid", COL_TEXT, "t.logging_cid", 0),
	RO("created_by", COL_INT, "t.created_by", 0),
	RO("unblocked_at", COL_TIME, "t.unblocked_at", 0),
	RO("started_at", COL_TIME, "t.started_at", 0),
	RO("finished_at", COL_TIME, "t.finished_at", 0),
	RO("error", COL_JSON, "t.error", 0),
	{.name = "result", .type = COL_JSON, .sql = "t.result", .secret = true},
	RO("parent_task", COL_UUID, "p.uuid", 1),
	RO("task_group", COL_UUID, "g.uuid", 2),
	RO("worker", COL_UUID, "w.uuid", 4),
};
#define RESERVES "EXISTS (SELECT 1 FROM task_resource x WHERE x.task_id = t.id AND x.resource = ?1"
static const struct view_condition task_conditions[] = {
	{"reserves", RESERVES ")", 0, {COL_TEXT}, 1, .each = true},
	{"reserves_exclusive", RESERVES " AND x.exclusive = 1)", 0, {COL_TEXT}, 1, .each = true},
	{"reserves_shared", RESERVES " AND x.exclusive = 0)", 0, {COL_TEXT}, 1, .each = true},
	{"created", "EXISTS (SELECT 1 FROM task_created x WHERE x.task_id = t.id AND x.href = ?1)", 0, {COL_TEXT}, 1,
		true},
	{"child", "t.id IN (SELECT x.parent_id FROM task x WHERE x.uuid = ?1)", 0, {COL_UUID}, 1},
};
static const struct view_column task_resource_columns[] = {
	RO("task", COL_INT, "x.task_id", 0),
	RO("resource", COL_TEXT, "x.resource", 0),
	RO("exclusive", COL_BOOL, "x.exclusive", 0),
};
static const struct view_column task_created_columns[] = {
	RO("task", COL_INT, "x.task_id", 0),
	RO("prn", COL_TEXT, "x.prn", 0),
	RO("href", COL_TEXT, "x.href", 0),
};
static const struct view_column progress_columns[] = {
	RO("task", COL_INT, "x.task_id", 0),
	RO("message", COL_TEXT, "x.message", 0),
	RO("code", COL_TEXT, "x.code", 0),
	RO("state", COL_TEXT, "x.state", 0),
	RO("total", COL_INT, "x.total", 0),
	RO("done", COL_INT, "x.done", 0),
	RO("suffix", COL_TEXT, "x.suffix", 0),
};
#define TASKS_IN(state) "(SELECT count(*) FROM task x WHERE x.group_id = g.id AND x.state = '" state "')"
static const struct view_column task_group_columns[] = {
	DATED("g"),
	RO("description", COL_TEXT, "g.description", 0),
	RO("all_tasks_dispatched", COL_BOOL, "g.all_tasks_dispatched", 0),
	RO("waiting", COL_INT, TASKS_IN("waiting"), 0),
	RO("skipped", COL_INT, TASKS_IN("skipped"), 0),
	RO("running", COL_INT, TASKS_IN("running"), 0),
	RO("completed", COL_INT, TASKS_IN("completed"), 0),
	RO("failed", COL_INT, TASKS_IN("failed"), 0),
	RO("canceled", COL_INT, TASKS_IN("canceled"), 0),
	RO("canceling", COL_INT, TASKS_IN("canceling"), 0),
};
static const struct view_column worker_columns[] = {
	DATED("w"),
	RO("name", COL_TEXT, "w.name", 0),
	RO("kind", COL_TEXT, "w.kind", 0),
	RO("last_heartbeat", COL_TIME, "w.last_heartbeat", 0),
	RO("versions", COL_JSON, "w.versions", 0),
};

static const struct view_join content_artifact_joins[] = {
	{"LEFT JOIN artifact a ON a.id = x.artifact_id", 0},
};
static const struct view_column content_artifact_columns[] = {
	RO("content", COL_INT, "x.content_id", 0),
	RO("relative_path", COL_TEXT, "x.relative_path", 0),
	RO("artifact", COL_UUID, "a.uuid", 1),
};

static const struct view_column upload_columns[] = {
	DATED("u"),
	RW("size", COL_INT, "u.size"),
	RO("completed", COL_TIME, "u.completed", 0),
};
static const struct view_column upload_chunk_columns[] = {
	RO("upload", COL_INT, "x.upload_id", 0),
	RO("offset", COL_INT, "x.at", 0),
	RO("size", COL_INT, "x.size", 0),
};

static const struct view_column signing_columns[] = {
	DATED("s"),
	RW("name", COL_TEXT, "s.name"),
	RW("public_key", COL_TEXT, "s.public_key"),
	RW("pubkey_fingerprint", COL_TEXT, "s.pubkey_fingerprint"),
	RW("script", COL_TEXT, "s.script"),
};

/* What a distribution points at is about to go: so is what it served before, or it would come back with whatever the
 * distribution points at next. */
#define FORGET(what) \
	"DELETE FROM distribution_history WHERE distribution_id IN (SELECT id FROM distribution WHERE " what ")"
#define PUBLICATIONS_OF_REPOSITORY                                                                           \
	"(SELECT p.id FROM publication p JOIN repository_version v ON v.id = p.repository_version_id WHERE " \
	"v.repository_id = $1)"
#define POINTS_AT_REPOSITORY                                                                                     \
	"repository_id = $1 OR repository_version_id IN (SELECT id FROM repository_version WHERE repository_id " \
	"= $1) OR publication_id IN " PUBLICATIONS_OF_REPOSITORY

static const struct view views[] = {
	/* whoever may no longer log in is no longer let pass by a guard */
	{.name = "user", .table = "users", .from = "users u", .id = "u.id", .serves = true, COLUMNS(user_columns)},
	{.name = "remote",
		.table = "remote",
		.from = "remote r",
		.id = "r.id",
		.typed = true,
		.dated = true,
		.serves = true,
		COLUMNS(remote_columns),
		.hold = &remote_hold,
		BULK(remote_bulk)},
	{.name = "repository",
		.table = "repository",
		.from = "repository r",
		.id = "r.id",
		.typed = true,
		.dated = true,
		.serves = true,
		JOINS(repository_joins),
		COLUMNS(repository_columns),
		CONDITIONS(repository_conditions),
		.detach = {FORGET(POINTS_AT_REPOSITORY),
			"UPDATE distribution SET repository_id = NULL, repository_version_id = NULL, publication_id = "
			"NULL WHERE " POINTS_AT_REPOSITORY,
			"DELETE FROM distribution_history WHERE publication_id IN " PUBLICATIONS_OF_REPOSITORY},
		BULK(repository_bulk)},
	{.name = "version",
		.table = "repository_version",
		.from = "repository_version v",
		.id = "v.id",
		.where = "v.complete = 1",
		.serves = true,
		JOINS(version_joins),
		COLUMNS(version_columns),
		CONDITIONS(version_conditions)},
	{.name = "publication",
		.table = "publication",
		.from = "publication p",
		.id = "p.id",
		.where = "p.complete = 1",
		.typed = true,
		.dated = true,
		.serves = true,
		JOINS(publication_joins),
		COLUMNS(publication_columns),
		CONDITIONS(publication_conditions),
		.detach = {FORGET("publication_id = $1"),
			"UPDATE distribution SET publication_id = NULL WHERE publication_id = $1",
			"UPDATE publication SET complete = 0 WHERE id = $1"},
		BULK(publication_bulk)},
	{.name = "distribution",
		.table = "distribution",
		.from = "distribution d",
		.id = "d.id",
		.typed = true,
		.dated = true,
		.serves = true,
		JOINS(distribution_joins),
		COLUMNS(distribution_columns),
		CONDITIONS(distribution_conditions)},
	{.name = "content_guard",
		.table = "content_guard",
		.from = "content_guard g",
		.id = "g.id",
		.typed = true,
		.dated = true,
		.serves = true,
		COLUMNS(guard_columns),
		.detach = {"UPDATE distribution SET content_guard_id = NULL WHERE content_guard_id = $1"}},
	{.name = "content",
		.table = "content",
		.from = "content c",
		.id = "c.id",
		.member_from = "repository_content rc",
		.member_key = "rc.content_id",
		.type_count = "SELECT coalesce(sum(units), 0) FROM content_count WHERE type = $1",
		.typed = true,
		.dated = true,
		JOINS(content_joins),
		COLUMNS(content_columns),
		CONDITIONS(content_conditions)},
	{.name = "content_artifact",
		.from = "content_artifact x",
		.id = "x.id",
		JOINS(content_artifact_joins),
		COLUMNS(content_artifact_columns)},
	{.name = "upload", .table = "upload", .from = "upload u", .id = "u.id", .dated = true, COLUMNS(upload_columns)},
	{.name = "upload_chunk",
		.from = "upload_chunk x",
		.id = "x.at",
		.id_repeats = true,
		COLUMNS(upload_chunk_columns)},
	{.name = "artifact",
		.table = "artifact",
		.from = "artifact a",
		.id = "a.id",
		COLUMNS(artifact_columns),
		CONDITIONS(artifact_conditions)},
	{.name = "task",
		.table = "task",
		.from = "task t",
		.id = "t.id",
		JOINS(task_joins),
		COLUMNS(task_columns),
		CONDITIONS(task_conditions)},
	{.name = "task_resource",
		.table = "task_resource",
		.from = "task_resource x",
		.id = "x.ord",
		.id_repeats = true,
		COLUMNS(task_resource_columns)},
	{.name = "task_created",
		.table = "task_created",
		.from = "task_created x",
		.id = "x.ord",
		.id_repeats = true,
		COLUMNS(task_created_columns)},
	{.name = "progress",
		.table = "progress_report",
		.from = "progress_report x",
		.id = "x.ord",
		.id_repeats = true,
		COLUMNS(progress_columns)},
	{.name = "task_group",
		.table = "task_group",
		.from = "task_group g",
		.id = "g.id",
		COLUMNS(task_group_columns)},
	{.name = "group",
		.table = "user_group",
		.from = "user_group g",
		.id = "g.id",
		.serves = true,
		COLUMNS(group_columns)},
	{.name = "group_member",
		.table = "user_group_member",
		.from = "user_group_member m",
		.id = "m.id",
		.serves = true,
		JOINS(member_joins),
		COLUMNS(member_columns)},
	{.name = "role", .table = "role", .from = "role o", .id = "o.id", COLUMNS(role_columns)},
	{.name = "role_assignment",
		.table = "role_assignment",
		.from = "role_assignment a",
		.id = "a.id",
		.dated = true,
		.serves = true,
		JOINS(assignment_joins),
		COLUMNS(assignment_columns)},
	{.name = "worker", .table = "worker", .from = "worker w", .id = "w.id", COLUMNS(worker_columns)},
	{.name = "acs",
		.table = "acs",
		.from = "acs s",
		.id = "s.id",
		.dated = true,
		.typed = true,
		JOINS(acs_joins),
		COLUMNS(acs_columns),
		BULK(acs_bulk)},
	{.name = "signing_service",
		.table = "signing_service",
		.from = "signing_service s",
		.id = "s.id",
		.dated = true,
		COLUMNS(signing_columns)},
};

const struct view *view_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(views); i++)
		if (strcmp(views[i].name, name) == 0)
			return &views[i];
	return NULL;
}

const struct view_column *view_column_find(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->column_count; i++)
		if (strcmp(v->columns[i].name, name) == 0)
			return &v->columns[i];
	return NULL;
}

const struct view_condition *view_condition_find(const struct view *v, const char *name)
{
	for (size_t i = 0; i < v->condition_count; i++)
		if (strcmp(v->conditions[i].name, name) == 0)
			return &v->conditions[i];
	return NULL;
}
