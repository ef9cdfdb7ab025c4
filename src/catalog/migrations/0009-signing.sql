-- Programs that sign metadata. public_key is armoured; fingerprint is that of its primary key.
CREATE TABLE signing_service (
  id {id}, uuid {blob} NOT NULL UNIQUE, name TEXT NOT NULL UNIQUE, created {int} NOT NULL, updated {int} NOT NULL,
  public_key TEXT NOT NULL, pubkey_fingerprint TEXT NOT NULL, script TEXT NOT NULL);
