//! What keeps pods running: Deployments and their like, and pod templates.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Error, List, Metadata, Text, TextMap, cells, decode, fields},
    duration::age,
    selector::{Invalid, LabelSelector},
    text::{NONE, join, labels},
};

fields! { Workload<'a> { metadata: Metadata<'a>, spec: Spec<'a>, status: Status, }}

fields! { Spec<'a> { replicas: i64, selector: LabelSelector<'a>, template: Template<'a>, }}

fields! { Status {
    replicas: i64,
    ready_replicas: i64,
    updated_replicas: i64,
    available_replicas: i64,
    desired_number_scheduled: i64,
    current_number_scheduled: i64,
    number_ready: i64,
    updated_number_scheduled: i64,
    number_available: i64,
}}

fields! { Template<'a> { metadata: TemplateMetadata<'a>, spec: PodSpec<'a>, }}

fields! { TemplateMetadata<'a> { labels: TextMap<'a>, }}

fields! { PodSpec<'a> { containers: List<Container<'a>>, node_selector: TextMap<'a>, }}

fields! { Container<'a> { name: Text<'a>, image: Text<'a>, }}

impl Template<'_> {
    /// The names of the containers.
    pub(crate) fn containers(&self) -> String {
        join(self.spec.containers.iter().map(|container| &container.name), ",")
    }

    /// The images of the containers.
    pub(crate) fn images(&self) -> String {
        join(self.spec.containers.iter().map(|container| &container.image), ",")
    }
}

/// Name, Ready, Up-to-date, Available, Age; Containers, Images, Selector.
pub(crate) fn deployments(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Workload { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        format!("{}/{}", status.ready_replicas, spec.replicas),
        status.updated_replicas,
        status.available_replicas,
        age(&metadata.creation_timestamp, now),
        spec.template.containers(),
        spec.template.images(),
        spec.selector.requirements().unwrap_or_else(|Invalid| "<invalid>".into()),
    ])
}

/// Name, Desired, Current, Ready, Age; Containers, Images, Selector.
pub(crate) fn replica_sets(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Workload { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.replicas,
        status.replicas,
        status.ready_replicas,
        age(&metadata.creation_timestamp, now),
        spec.template.containers(),
        spec.template.images(),
        spec.selector.print(),
    ])
}

/// Name, Ready, Age; Containers, Images.
pub(crate) fn stateful_sets(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Workload { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        format!("{}/{}", status.ready_replicas, spec.replicas),
        age(&metadata.creation_timestamp, now),
        spec.template.containers(),
        spec.template.images(),
    ])
}

/// Name, Desired, Current, Ready, Up-to-date, Available, Node Selector, Age; Containers, Images, Selector.
pub(crate) fn daemon_sets(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Workload { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        status.desired_number_scheduled,
        status.current_number_scheduled,
        status.number_ready,
        status.updated_number_scheduled,
        status.number_available,
        labels(&spec.template.spec.node_selector),
        age(&metadata.creation_timestamp, now),
        spec.template.containers(),
        spec.template.images(),
        spec.selector.print(),
    ])
}

fields! { ReplicationController<'a> { metadata: Metadata<'a>, spec: ReplicationSpec<'a>, status: Status, }}

fields! { ReplicationSpec<'a> { replicas: i64, selector: TextMap<'a>, template: Template<'a>, }}

/// Name, Desired, Current, Ready, Age; Containers, Images, Selector.
pub(crate) fn replication_controllers(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let ReplicationController { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.replicas,
        status.replicas,
        status.ready_replicas,
        age(&metadata.creation_timestamp, now),
        spec.template.containers(),
        spec.template.images(),
        labels(&spec.selector),
    ])
}

fields! { PodTemplate<'a> { metadata: Metadata<'a>, template: Template<'a>, }}

/// Name, Containers, Images, Pod Labels.
pub(crate) fn pod_templates(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let PodTemplate { metadata, template } = decode(object)?;
    Ok(cells![&*metadata.name, template.containers(), template.images(), labels(&template.metadata.labels),])
}

fields! { ControllerRevision<'a> { metadata: OwnedMetadata<'a>, revision: i64, }}

fields! { OwnedMetadata<'a> {
    name: Text<'a>,
    creation_timestamp: Text<'a>,
    owner_references: List<Owner<'a>>,
}}

fields! { Owner<'a> { api_version: Text<'a>, kind: Text<'a>, name: Text<'a>, controller: bool, }}

/// Name, Controller, Revision, Age.
pub(crate) fn controller_revisions(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let ControllerRevision { metadata, revision } = decode(object)?;
    let controller = metadata.owner_references.iter().find(|owner| owner.controller);
    Ok(cells![
        &*metadata.name,
        controller.map_or_else(|| NONE.into(), Owner::print),
        revision,
        age(&metadata.creation_timestamp, now),
    ])
}

impl Owner<'_> {
    /// `statefulset.apps/db`.
    fn print(&self) -> String {
        let kind = self.kind.to_lowercase();
        match self.api_version.rsplit_once('/') {
            _ if kind.is_empty() && self.name.is_empty() => String::new(),
            Some((group, _)) => format!("{kind}.{group}/{}", self.name),
            None => format!("{kind}/{}", self.name),
        }
    }
}
