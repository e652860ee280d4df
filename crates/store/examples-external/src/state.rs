//! What is stored.

use std::collections::BTreeMap;

use meta::RawObject;
use serde::{Deserialize, Serialize};
use store::{
    Applied, ClusterName, Error, Generation, ObjectName, Position, Resource, StoredVersion, Version,
};

/// Everything, and the last number given out.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub(crate) struct State {
    pub(crate) sequence: u64,
    pub(crate) scopes: Vec<Scope>,
}

/// One resource of one cluster.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Scope {
    pub(crate) cluster: ClusterName,
    pub(crate) resource: Resource,
    pub(crate) checkpoint: Option<String>,
    pub(crate) generation: u64,
    pub(crate) description: Option<String>,
    pub(crate) objects: Vec<Object>,
}

/// One object, its key fields beside its JSON.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Object {
    pub(crate) position: Position,
    pub(crate) uid: String,
    pub(crate) owner: Option<String>,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) generation: u64,
    pub(crate) json: String,
}

impl Object {
    pub(crate) fn is_named(&self, name: &ObjectName) -> bool {
        (&self.position.namespace, &self.position.name) == (&name.namespace, &name.name)
    }
}

pub(crate) fn stored_version(object: &Object) -> StoredVersion {
    StoredVersion {
        name: ObjectName::new(&*object.position.namespace, &*object.position.name),
        resource_version: object.position.version.to_string(),
    }
}

impl Scope {
    pub(crate) fn checkpoint(&mut self, checkpoint: Option<String>) {
        self.checkpoint = checkpoint.or(self.checkpoint.take());
    }
}

impl State {
    pub(crate) fn find(&self, cluster: &ClusterName, resource: &Resource) -> Option<&Scope> {
        self.scopes.iter().find(|scope| (&scope.cluster, &scope.resource) == (cluster, resource))
    }

    /// A scope, made if there is none.
    pub(crate) fn scope(&mut self, cluster: &ClusterName, resource: &Resource) -> &mut Scope {
        let known =
            self.scopes.iter().position(|scope| (&scope.cluster, &scope.resource) == (cluster, resource));
        let at = known.unwrap_or_else(|| {
            self.scopes.push(Scope {
                cluster: cluster.clone(),
                resource: resource.clone(),
                checkpoint: None,
                generation: 0,
                description: None,
                objects: Vec::new(),
            });
            self.scopes.len() - 1
        });
        &mut self.scopes[at]
    }

    /// Forgets scopes; each is one change.
    pub(crate) fn remove(&mut self, doomed: impl Fn(&Scope) -> bool) {
        let before = self.scopes.len();
        self.scopes.retain(|scope| !doomed(scope));
        self.sequence += (before - self.scopes.len()) as u64;
    }

    pub(crate) fn upsert(
        &mut self,
        cluster: &ClusterName,
        resource: &Resource,
        object: &RawObject,
        applied: &mut Applied,
    ) {
        let (key, sequence) = (&object.key, self.sequence + 1);
        let scope = self.scope(cluster, resource);
        let name = ObjectName::new(&*key.namespace, &*key.name);
        let known = scope.objects.iter_mut().find(|object| object.is_named(&name));
        let version = Version::new(&key.resource_version);
        if let Some(known) = known {
            if known.position.version == version && known.uid == key.uid {
                known.generation = scope.generation;
                applied.unchanged += 1;
                return;
            }
            scope.objects.retain(|object| !object.is_named(&name));
        }
        scope.objects.push(Object {
            position: Position {
                cluster: cluster.clone(),
                resource: resource.clone(),
                namespace: name.namespace,
                name: name.name,
                created: key.created,
                version,
                sequence,
            },
            uid: key.uid.clone(),
            owner: key.owner.as_ref().map(|owner| owner.uid.clone()),
            labels: key.labels.clone(),
            generation: scope.generation,
            json: String::from_utf8_lossy(&object.json).into_owned(),
        });
        self.sequence = sequence;
        applied.upserted += 1;
        applied.sequence = sequence;
    }

    pub(crate) fn delete(
        &mut self,
        cluster: &ClusterName,
        resource: &Resource,
        name: &ObjectName,
        applied: &mut Applied,
    ) {
        let scope = self.scope(cluster, resource);
        let before = scope.objects.len();
        scope.objects.retain(|object| !object.is_named(name));
        if scope.objects.len() < before {
            self.sequence += 1;
            applied.deleted += 1;
            applied.sequence = self.sequence;
        }
    }

    pub(crate) fn sweep(
        &mut self,
        generation: &Generation,
        checkpoint: Option<String>,
    ) -> Result<u64, Error> {
        let Generation { cluster, resource, number } = generation;
        let known = self.find(cluster, resource).is_some_and(|scope| scope.generation == *number);
        if !known {
            return Err(Error::Superseded);
        }
        let scope = self.scope(cluster, resource);
        let before = scope.objects.len();
        scope.objects.retain(|object| object.generation == *number);
        scope.checkpoint(checkpoint);
        let deleted = (before - scope.objects.len()) as u64;
        self.sequence += deleted;
        Ok(deleted)
    }
}
