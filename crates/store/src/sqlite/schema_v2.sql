-- Version 2: a text about a resource of a cluster, kept beside its objects.
ALTER TABLE scope ADD COLUMN description TEXT;
