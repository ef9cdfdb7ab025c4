-- Files that go. A note is written in the transaction that deletes the artifact's row, and deleted when its file is gone: so an interruption between the two
-- leaves no file that nobody knows of. The digest may have several notes, and by now a row again: then the file stays.
CREATE TABLE artifact_removal (id {id}, sha256 {blob} NOT NULL);
