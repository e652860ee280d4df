//! Requests for certificates, and bundles of trusted ones.

use jiff::{SignedDuration, Timestamp};
use meta::TableCells;

use crate::{
    decode::{Condition, Error, List, Metadata, Text, TextMap, cells, decode, fields},
    duration::{age, human_duration},
    text::{NONE, labels},
};

fields! { SigningRequest<'a> { metadata: Metadata<'a>, spec: SigningSpec<'a>, status: SigningStatus<'a>, }}

fields! { SigningSpec<'a> { signer_name: Text<'a>, username: Text<'a>, expiration_seconds: Option<i64>, }}

fields! { SigningStatus<'a> { conditions: List<Condition<'a>>, certificate: Text<'a>, }}

/// Name, Age, SignerName, Requestor, RequestedDuration, Condition.
pub(crate) fn signing_requests(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let SigningRequest { metadata, spec, status } = decode(object)?;
    let duration = spec.expiration_seconds.map(|seconds| human_duration(SignedDuration::from_secs(seconds)));
    Ok(cells![
        &*metadata.name,
        age(&metadata.creation_timestamp, now),
        spec.signer_name.or(NONE),
        spec.username,
        duration.unwrap_or_else(|| NONE.into()),
        status.print(),
    ])
}

impl SigningStatus<'_> {
    /// `Approved,Issued`. A condition counts whatever its status is.
    fn print(&self) -> String {
        let has = |type_: &str| self.conditions.iter().any(|condition| &*condition.type_ == type_);
        let decision = match (has("Denied"), has("Approved")) {
            (true, _) => "Denied",
            (false, true) => "Approved",
            (false, false) => "Pending",
        };
        let failed = if has("Failed") { ",Failed" } else { "" };
        let issued = if self.certificate.is_empty() { "" } else { ",Issued" };
        format!("{decision}{failed}{issued}")
    }
}

fields! { TrustBundle<'a> { metadata: Metadata<'a>, spec: TrustBundleSpec<'a>, }}

fields! { TrustBundleSpec<'a> { signer_name: Text<'a>, }}

/// Name, SignerName.
pub(crate) fn trust_bundles(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let TrustBundle { metadata, spec } = decode(object)?;
    Ok(cells![&*metadata.name, spec.signer_name.or(NONE)])
}

fields! { PodRequest<'a> { metadata: Metadata<'a>, spec: PodRequestSpec<'a>, status: PodRequestStatus<'a>, }}

fields! { PodRequestSpec<'a> {
    pod_name: Text<'a>,
    service_account_name: Text<'a>,
    node_name: Text<'a>,
    signer_name: Text<'a>,
    unverified_user_annotations: TextMap<'a>,
}}

fields! { PodRequestStatus<'a> { conditions: List<Condition<'a>>, }}

/// Name, PodName, ServiceAccountName, NodeName, SignerName, State, UnverifiedUserAnnotations.
pub(crate) fn pod_requests(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let PodRequest { metadata, spec, status } = decode(object)?;
    let state = status.conditions.iter().rfind(|c| matches!(&*c.type_, "Denied" | "Failed" | "Issued"));
    Ok(cells![
        &*metadata.name,
        spec.pod_name,
        spec.service_account_name,
        spec.node_name,
        spec.signer_name,
        state.map_or("Pending", |condition| &condition.type_),
        labels(&spec.unverified_user_annotations),
    ])
}
