//! Ingresses, network policies, and who owns which address.

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Count, Error, List, Metadata, Text, cells, decode, fields},
    duration::age,
    selector::LabelSelector,
    services::LoadBalancer,
    text::{NONE, join},
};

/// How many hosts are printed.
const MOST: usize = 3;

fields! { Ingress<'a> { metadata: Metadata<'a>, spec: IngressSpec<'a>, status: IngressStatus<'a>, }}

fields! { IngressSpec<'a> { ingress_class_name: Option<Text<'a>>, rules: List<Rule<'a>>, tls: Count, }}

fields! { Rule<'a> { host: Text<'a>, }}

fields! { IngressStatus<'a> { load_balancer: LoadBalancer<'a>, }}

/// Name, Class, Hosts, Address, Ports, Age.
pub(crate) fn ingresses(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Ingress { metadata, spec, status } = decode(object)?;
    Ok(cells![
        &*metadata.name,
        spec.ingress_class_name.as_deref().unwrap_or(NONE),
        hosts(&spec.rules),
        status.load_balancer.print(),
        if spec.tls.0 > 0 { "80, 443" } else { "80" },
        age(&metadata.creation_timestamp, now),
    ])
}

/// `a,b,c + 2 more...`; the rest are counted as rules, also those without a host.
fn hosts(rules: &[Rule<'_>]) -> String {
    let mut hosts = Vec::new();
    for rule in rules {
        if hosts.len() == MOST {
            return format!("{} + {} more...", join(hosts, ","), rules.len() - MOST);
        }
        if !rule.host.is_empty() {
            hosts.push(&rule.host);
        }
    }
    if hosts.is_empty() { "*".into() } else { join(hosts, ",") }
}

fields! { IngressClass<'a> { metadata: Metadata<'a>, spec: IngressClassSpec<'a>, }}

fields! { IngressClassSpec<'a> { controller: Text<'a>, parameters: Option<Parameters<'a>>, }}

fields! { Parameters<'a> { api_group: Option<Text<'a>>, kind: Text<'a>, name: Text<'a>, }}

/// Name, Controller, Parameters, Age.
pub(crate) fn ingress_classes(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let IngressClass { metadata, spec } = decode(object)?;
    let parameters = spec.parameters.map(|Parameters { api_group, kind, name }| match api_group {
        Some(group) => format!("{kind}.{group}/{name}"),
        None => format!("{kind}/{name}"),
    });
    Ok(cells![
        &*metadata.name,
        spec.controller,
        parameters.unwrap_or_else(|| NONE.into()),
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { NetworkPolicy<'a> { metadata: Metadata<'a>, spec: NetworkPolicySpec<'a>, }}

fields! { NetworkPolicySpec<'a> { pod_selector: LabelSelector<'a>, }}

/// Name, Pod-Selector, Age.
pub(crate) fn network_policies(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let NetworkPolicy { metadata, spec } = decode(object)?;
    Ok(cells![&*metadata.name, spec.pod_selector.print(), age(&metadata.creation_timestamp, now)])
}

fields! { IpAddress<'a> { metadata: Metadata<'a>, spec: IpAddressSpec<'a>, }}

fields! { IpAddressSpec<'a> { parent_ref: Option<Parent<'a>>, }}

fields! { Parent<'a> { group: Text<'a>, resource: Text<'a>, namespace: Text<'a>, name: Text<'a>, }}

/// Name, ParentRef.
///
/// The server sends an age as well, but has no column for it.
pub(crate) fn ip_addresses(object: &[u8], _: Timestamp) -> Result<TableCells, Error> {
    let IpAddress { metadata, spec } = decode(object)?;
    let parent = spec.parent_ref.map(|Parent { group, resource, namespace, name }| {
        let dot = if group.is_empty() { "" } else { "." };
        let slash = if namespace.is_empty() { "" } else { "/" };
        format!("{resource}{dot}{group}/{namespace}{slash}{name}")
    });
    Ok(cells![&*metadata.name, parent.unwrap_or_else(|| NONE.into())])
}

fields! { ServiceCidr<'a> { metadata: Metadata<'a>, spec: ServiceCidrSpec<'a>, }}

fields! { ServiceCidrSpec<'a> { cidrs: List<Text<'a>>, }}

/// Name, CIDRs, Age.
pub(crate) fn service_cidrs(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let ServiceCidr { metadata, spec } = decode(object)?;
    Ok(cells![&*metadata.name, join(spec.cidrs.iter(), ","), age(&metadata.creation_timestamp, now)])
}
