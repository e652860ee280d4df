//! Batches made ready for a writer.

use std::sync::Arc;

use meta::RawObject;

use super::{body::Packer, fields::Paths, terms::Term};
use crate::{Batch, Change, ClusterName, Error, ObjectName, Resource};

/// A batch with everything done that takes time and needs no connection.
pub(crate) struct Prepared {
    pub(crate) cluster: ClusterName,
    pub(crate) resource: Resource,
    pub(crate) changes: Vec<PreparedChange>,
    pub(crate) checkpoint: Option<String>,
    /// The indexed paths that its objects' fields are of.
    paths: Arc<Paths>,
}

pub(crate) enum PreparedChange {
    Upsert(Box<Upsert>),
    Delete(ObjectName),
}

impl Prepared {
    /// Compresses and extracts: work for a blocking thread.
    pub(crate) fn new(batch: Batch, paths: Arc<Paths>) -> Result<Self, Error> {
        let Batch { cluster, resource, changes, checkpoint } = batch;
        let mut packer = Packer::new()?;
        let prepare = |change| match change {
            Change::Delete(name) => Ok(PreparedChange::Delete(name)),
            Change::Upsert(object) => {
                let body = packer.pack(&object.json)?;
                let fields = paths.extract(&resource, &object.json);
                Ok(PreparedChange::Upsert(Box::new(Upsert { object, body, fields })))
            }
        };
        let changes = changes.into_iter().map(prepare).collect::<Result<_, Error>>()?;
        Ok(Self { cluster, resource, changes, checkpoint, paths })
    }

    /// Extracts anew, if fields were registered since it was prepared.
    pub(crate) fn refresh(&mut self, paths: &Arc<Paths>) {
        if Arc::ptr_eq(&self.paths, paths) {
            return;
        }
        for change in &mut self.changes {
            if let PreparedChange::Upsert(upsert) = change {
                upsert.fields = paths.extract(&self.resource, &upsert.object.json);
            }
        }
        self.paths = Arc::clone(paths);
    }
}

/// An object ready to be written: what takes time was done before the writer gets it.
pub(crate) struct Upsert {
    pub(crate) object: RawObject,
    /// The compressed JSON.
    pub(crate) body: Vec<u8>,
    /// The terms of its indexed fields.
    pub(crate) fields: Vec<Term>,
}
