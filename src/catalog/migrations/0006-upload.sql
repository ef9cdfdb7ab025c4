-- Files that clients send in chunks. The bytes lie in the store under the uuid; a chunk is what was told to be there.
CREATE TABLE upload (
  id {id}, uuid {blob} NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL, size {int} NOT NULL, completed {int});
CREATE TABLE upload_chunk (
  upload_id {int} NOT NULL REFERENCES upload(id) ON DELETE CASCADE, at {int} NOT NULL, size {int} NOT NULL,
  PRIMARY KEY (upload_id, at)) {norowid};
