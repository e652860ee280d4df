-- Version 1.
--
-- Everything of one resource of one cluster has one small number, its scope, and every index begins with it: a first
-- sync writes into few pages, a caller's clusters are ranges rather than filters, and an answer over many clusters is
-- a merge of sorted ranges.

-- The last sequence number given out; one row. A delete takes a number too, so that a later version can add a table
-- (sequence, scope, namespace, name, uid) of what went, filled where rows are deleted and where a scope is removed.
CREATE TABLE counter (sequence INTEGER NOT NULL) STRICT;
INSERT INTO counter VALUES (0);

CREATE TABLE resource (
    id INTEGER PRIMARY KEY,
    api_group TEXT NOT NULL,
    version TEXT NOT NULL,
    resource TEXT NOT NULL,
    UNIQUE (api_group, version, resource)
) STRICT;

-- Numbers are never used again: those of removed scopes may still be in rows on their way out.
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

-- Removed scopes whose rows are still being deleted.
CREATE TABLE garbage (scope INTEGER PRIMARY KEY) STRICT;

CREATE TABLE object (
    id INTEGER PRIMARY KEY,    -- scope << 32 | a number within it: a scope's objects and bodies lie together
    scope INTEGER NOT NULL,
    namespace TEXT NOT NULL,
    name TEXT NOT NULL,
    uid ANY NOT NULL,          -- 16 bytes, or the text if it is no UUID
    owner ANY,                 -- the controlling owner's uid, likewise
    created INTEGER NOT NULL,  -- seconds since 1970
    version ANY NOT NULL,      -- the child's resourceVersion: an integer, or the text if it is none
    sequence INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    terms BLOB NOT NULL        -- the object's rows in term, encoded (terms.rs)
) STRICT;
CREATE UNIQUE INDEX object_key ON object (scope, namespace, name);
-- Whole orders, and the namespace in all: what is passed over is passed over in the index.
CREATE INDEX object_name ON object (scope, name, namespace);
CREATE INDEX object_created ON object (scope, created, namespace, name);
CREATE INDEX object_version ON object (scope, version, namespace, name);
CREATE INDEX object_sequence ON object (scope, sequence, namespace);
CREATE INDEX object_owner ON object (scope, owner) WHERE owner IS NOT NULL;

-- Apart from object, so that a scan of objects does not read bodies.
CREATE TABLE body (
    id INTEGER PRIMARY KEY,
    size INTEGER NOT NULL,     -- of the JSON
    json BLOB NOT NULL         -- zstd
) STRICT;

-- What objects are looked up by: label keys (resource 0) and field paths of one resource that a query has used.
-- filled is the last object whose field has been looked at; NULL when all have.
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
    value ANY NOT NULL,        -- text; an empty blob for an object or a list
    namespace TEXT NOT NULL,   -- that of the object
    object INTEGER NOT NULL,
    PRIMARY KEY (scope, key, value, namespace, object)
) STRICT, WITHOUT ROWID;

-- Which names hold three characters in a row. Says where to look; the name itself decides.
CREATE VIRTUAL TABLE name_trigram USING fts5 (
    name, content = '', detail = 'none', columnsize = 0, tokenize = 'trigram case_sensitive 1'
);
