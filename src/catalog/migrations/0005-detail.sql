-- What only publications need of a unit, in a form of its format's own: file lists, changelogs. Beside the unit's row, which lists and filters read.
CREATE TABLE content_detail (
  content_id {int} NOT NULL PRIMARY KEY REFERENCES content(id) ON DELETE CASCADE, data {blob} NOT NULL);
