-- Version 1. Everything is in a schema of its own, and named with it: no search path matters.
--
-- Everything of one resource of one cluster has one small number, its scope, and every index begins with it: a first
-- sync writes into few pages, a caller's clusters are ranges rather than filters, and an answer over many clusters is
-- a merge of sorted ranges.

-- One row. Its lock is held from when a transaction takes its numbers until it has committed, so numbers become visible
-- in order, whoever writes. A delete takes a number too, so that a later version can keep a trace of what went.
CREATE TABLE clusterway.counter (
    sequence bigint NOT NULL,  -- the last number given out
    fields bigint NOT NULL     -- raised when a field is registered in term_key
);
INSERT INTO clusterway.counter VALUES (0, 0);

-- The numbers of openings: who writes.
CREATE SEQUENCE clusterway.writer;

CREATE TABLE clusterway.resource (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    api_group text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    UNIQUE (api_group, version, resource)
);

-- Numbers are never used again: those of removed scopes may still be in rows on their way out.
CREATE TABLE clusterway.scope (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource integer NOT NULL REFERENCES clusterway.resource,
    cluster text COLLATE "C" NOT NULL,
    checkpoint text,
    generation bigint NOT NULL DEFAULT 0,
    objects bigint NOT NULL DEFAULT 0,
    last_object bigint NOT NULL DEFAULT 0,  -- the number within the scope of the last object made
    writer bigint NOT NULL DEFAULT 0,       -- the opening that writes it
    description text,                       -- what Store::describe was told
    UNIQUE (resource, cluster)
) WITH (fillfactor = 50);
CREATE INDEX scope_cluster ON clusterway.scope (cluster);

-- Removed scopes whose rows are still being deleted.
CREATE TABLE clusterway.garbage (scope integer PRIMARY KEY);

CREATE TABLE clusterway.object (
    id bigint PRIMARY KEY,     -- scope << 32 | a number within it
    scope integer NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    uid bytea NOT NULL,        -- values.rs says how
    owner bytea,               -- the controlling owner's uid
    created bigint NOT NULL,   -- seconds since 1970
    version bytea NOT NULL,    -- the child's resourceVersion, in its order
    sequence bigint NOT NULL,
    generation bigint NOT NULL,
    size integer NOT NULL,     -- of the JSON
    terms bytea[] NOT NULL     -- the object's rows in term, and each of their keys alone
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE UNIQUE INDEX object_key ON clusterway.object (scope, namespace, name);
-- Whole orders, and the namespace in all: what is passed over is passed over in the index.
CREATE INDEX object_name ON clusterway.object (scope, name, namespace);
CREATE INDEX object_created ON clusterway.object (scope, created, namespace, name);
CREATE INDEX object_version ON clusterway.object (scope, version, namespace, name);
CREATE INDEX object_sequence ON clusterway.object (scope, sequence, namespace, name);
CREATE INDEX object_owner ON clusterway.object (scope, owner) WHERE owner IS NOT NULL;
-- Which names hold three characters in a row. New names wait in a list that every search reads, so it is short.
DO $$
BEGIN
    EXECUTE format(
        'CREATE INDEX object_trigram ON clusterway.object USING gin (name %s.gin_trgm_ops)'
        ' WITH (gin_pending_list_limit = 256)',
        (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'));
END
$$;

-- Apart from object, so that looking at objects does not read bodies.
CREATE TABLE clusterway.body (
    id bigint PRIMARY KEY,
    json bytea NOT NULL        -- zstd
);
ALTER TABLE clusterway.body ALTER COLUMN json SET STORAGE EXTERNAL;

-- What objects are looked up by: label keys (resource 0) and field paths of one resource that a query has used.
-- filled is the last object whose field has been looked at; NULL when all have.
CREATE TABLE clusterway.term_key (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource integer NOT NULL,
    path text COLLATE "C" NOT NULL,
    filled bigint,
    UNIQUE (resource, path)
);
CREATE TABLE clusterway.term (
    scope integer NOT NULL,
    term bytea NOT NULL,       -- the key's number and the value (values.rs)
    namespace text COLLATE "C" NOT NULL,
    object bigint NOT NULL,
    PRIMARY KEY (scope, term, namespace, object)
);
