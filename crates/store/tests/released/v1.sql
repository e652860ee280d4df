-- A file of version 1 as it was released, with one object. Never changes.
CREATE TABLE counter (sequence INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);
CREATE TABLE resource (
    id INTEGER PRIMARY KEY,
    api_group TEXT NOT NULL,
    version TEXT NOT NULL,
    resource TEXT NOT NULL,
    UNIQUE (api_group, version, resource)
) STRICT;
CREATE TABLE scope (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    resource INTEGER NOT NULL REFERENCES resource (id),
    cluster TEXT NOT NULL,
    checkpoint TEXT,
    generation INTEGER NOT NULL DEFAULT 0,
    objects INTEGER NOT NULL DEFAULT 0,
    UNIQUE (resource, cluster)
) STRICT;
CREATE INDEX scope_cluster ON scope (cluster);
CREATE TABLE garbage (scope INTEGER PRIMARY KEY) STRICT;
CREATE TABLE object (
    id INTEGER PRIMARY KEY,
    scope INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    uid ANY NOT NULL,
    owner ANY,
    created INTEGER NOT NULL,
    version ANY NOT NULL,
    sequence INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    terms BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX object_key ON object (scope, namespace, name);
CREATE INDEX object_name ON object (scope, name, namespace);
CREATE INDEX object_created ON object (scope, created, namespace, name);
CREATE INDEX object_version ON object (scope, version, namespace, name);
CREATE INDEX object_sequence ON object (scope, sequence, namespace);
CREATE INDEX object_owner ON object (scope, owner) WHERE owner IS NOT NULL;
CREATE TABLE body (
    id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,
    json BLOB NOT NULL
) STRICT;
CREATE TABLE term_key (
    id INTEGER PRIMARY KEY,
    resource INTEGER NOT NULL,
    path TEXT NOT NULL,
    filled INTEGER,
    UNIQUE (resource, path)
) STRICT;
CREATE TABLE term (
    scope INTEGER NOT NULL,
    key INTEGER NOT NULL,
    value ANY NOT NULL,
    namespace TEXT NOT NULL,
    object INTEGER NOT NULL,
    PRIMARY KEY (scope, key, value, namespace, object)
) STRICT, WITHOUT ROWID;
CREATE VIRTUAL TABLE name_trigram USING fts5 (
    name, content = '', detail = 'none', columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
UPDATE counter SET sequence = 5;
INSERT INTO resource VALUES (1, '', 'v1', 'things');
INSERT INTO scope VALUES (1, 1, 'c', '4', 0, 1);
INSERT INTO object VALUES (4294967297, 1, '', 'n000000', 'n000000', NULL, 0, 0, 5, 0, x'010261');
INSERT INTO term_key VALUES (1, 0, 'app', NULL);
INSERT INTO term VALUES (1, 1, 'a', '', 4294967297);
INSERT INTO name_trigram (rowid, name) VALUES (4294967297, 'n000000');
PRAGMA application_id = 0x43577374;
PRAGMA user_version = 1;
