-- A database that version 1 has written: one thing named a in the namespace default of cluster c. Its body is added by
-- the test.
CREATE SCHEMA clusterway;
CREATE TABLE clusterway.schema (version integer NOT NULL);
INSERT INTO clusterway.schema VALUES (1);
CREATE EXTENSION pg_trgm WITH SCHEMA clusterway;

CREATE TABLE clusterway.counter (
    sequence bigint NOT NULL,
    fields bigint NOT NULL
);
INSERT INTO clusterway.counter VALUES (0, 0);
CREATE SEQUENCE clusterway.writer;
CREATE TABLE clusterway.resource (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    api_group text COLLATE "C" NOT NULL,
    version text COLLATE "C" NOT NULL,
    resource text COLLATE "C" NOT NULL,
    UNIQUE (api_group, version, resource)
);
CREATE TABLE clusterway.scope (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource integer NOT NULL REFERENCES clusterway.resource,
    cluster text COLLATE "C" NOT NULL,
    checkpoint text,
    generation bigint NOT NULL DEFAULT 0,
    objects bigint NOT NULL DEFAULT 0,
    last_object bigint NOT NULL DEFAULT 0,
    writer bigint NOT NULL DEFAULT 0,
    description text,
    UNIQUE (resource, cluster)
) WITH (fillfactor = 50);
CREATE INDEX scope_cluster ON clusterway.scope (cluster);
CREATE TABLE clusterway.garbage (scope integer PRIMARY KEY);
CREATE TABLE clusterway.object (
    id bigint PRIMARY KEY,
    scope integer NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    name text COLLATE "C" NOT NULL,
    uid bytea NOT NULL,
    owner bytea,
    created bigint NOT NULL,
    version bytea NOT NULL,
    sequence bigint NOT NULL,
    generation bigint NOT NULL,
    size integer NOT NULL,
    terms bytea[] NOT NULL
) WITH (fillfactor = 90, autovacuum_vacuum_scale_factor = 0.05, autovacuum_analyze_scale_factor = 0.05);
CREATE UNIQUE INDEX object_key ON clusterway.object (scope, namespace, name);
CREATE INDEX object_name ON clusterway.object (scope, name, namespace);
CREATE INDEX object_created ON clusterway.object (scope, created, namespace, name);
CREATE INDEX object_version ON clusterway.object (scope, version, namespace, name);
CREATE INDEX object_sequence ON clusterway.object (scope, sequence, namespace, name);
CREATE INDEX object_owner ON clusterway.object (scope, owner) WHERE owner IS NOT NULL;
DO $$
BEGIN
    EXECUTE format(
        'CREATE INDEX object_trigram ON clusterway.object USING gin (name %s.gin_trgm_ops)'
        ' WITH (gin_pending_list_limit = 256)',
        (SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'pg_trgm'));
END
$$;
CREATE TABLE clusterway.body (
    id bigint PRIMARY KEY,
    json bytea NOT NULL
);
ALTER TABLE clusterway.body ALTER COLUMN json SET STORAGE EXTERNAL;
CREATE TABLE clusterway.term_key (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    resource integer NOT NULL,
    path text COLLATE "C" NOT NULL,
    filled bigint,
    UNIQUE (resource, path)
);
CREATE TABLE clusterway.term (
    scope integer NOT NULL,
    term bytea NOT NULL,
    namespace text COLLATE "C" NOT NULL,
    object bigint NOT NULL,
    PRIMARY KEY (scope, term, namespace, object)
);

UPDATE clusterway.counter SET sequence = 5;
SELECT nextval('clusterway.writer');
INSERT INTO clusterway.resource (api_group, version, resource) VALUES ('', 'v1', 'things');
INSERT INTO clusterway.scope (resource, cluster, checkpoint, objects, last_object, writer) VALUES (1, 'c', '5', 1, 1, 1);
INSERT INTO clusterway.term_key (resource, path) VALUES (0, 'app');
INSERT INTO clusterway.object VALUES (4294967297, 1, 'default', 'a', '\x017569642d61', NULL, 1000, '\x008000000000000005', 5, 0, 25,
    '{"\\x00000001","\\x000000010161"}');
INSERT INTO clusterway.term VALUES (1, '\x000000010161', 'default', 4294967297);
