//! Who has which role.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Error, List, Metadata, Text, cells, decode, fields},
    duration::age,
    text::join,
};

fields! { Binding<'a> { metadata: Metadata<'a>, subjects: List<Subject<'a>>, role_ref: Role<'a>, }}

fields! { Subject<'a> { kind: Text<'a>, namespace: Text<'a>, name: Text<'a>, }}

fields! { Role<'a> { kind: Text<'a>, name: Text<'a>, }}

/// Name, Role, Age; Users, Groups, ServiceAccounts.
pub(crate) fn bindings(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Binding { metadata, subjects, role_ref } = decode(object)?;
    let of_kind = |kind: &'static str| subjects.iter().filter(move |subject| &*subject.kind == kind);
    let accounts = of_kind("ServiceAccount").map(|account| format!("{}/{}", account.namespace, account.name));
    Ok(cells![
        &*metadata.name,
        format!("{}/{}", role_ref.kind, role_ref.name),
        age(&metadata.creation_timestamp, now),
        join(of_kind("User").map(|user| &user.name), ", "),
        join(of_kind("Group").map(|group| &group.name), ", "),
        join(accounts, ", "),
    ])
}
