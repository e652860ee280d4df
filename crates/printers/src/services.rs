//! Services, and the endpoints behind them.

use std::collections::BTreeSet;

use jiff::Timestamp;
use meta::TableCells;

use crate::{
    decode::{Error, List, Metadata, Text, TextMap, cells, decode, fields},
    duration::age,
    text::{NONE, UNKNOWN, UNSET, join, join_some, labels},
};

/// How many endpoints and ports are printed.
const MOST: usize = 3;

fields! { Service<'a> { metadata: Metadata<'a>, spec: Spec<'a>, status: Status<'a>, }}

fields! { Spec<'a> {
    #[serde(rename = "type")]
    type_: Text<'a>,
    #[serde(rename = "clusterIP")]
    cluster_ip: Text<'a>,
    #[serde(rename = "clusterIPs")]
    cluster_ips: List<Text<'a>>,
    #[serde(rename = "externalIPs")]
    external_ips: List<Text<'a>>,
    external_name: Text<'a>,
    ports: List<Port<'a>>,
    selector: TextMap<'a>,
}}

fields! { Port<'a> { port: i64, node_port: i64, protocol: Text<'a>, }}

fields! { Status<'a> { load_balancer: LoadBalancer<'a>, }}

fields! { LoadBalancer<'a> { ingress: List<Ingress<'a>>, }}

fields! { Ingress<'a> { ip: Text<'a>, hostname: Text<'a>, }}

impl LoadBalancer<'_> {
    /// Addresses or else names, sorted.
    pub(crate) fn print(&self) -> String {
        let points: BTreeSet<&str> = self.ingress.iter().map(|point| point.ip.or(&point.hostname)).collect();
        join(points.iter().filter(|point| !point.is_empty()), ",")
    }
}

/// Name, Type, Cluster-IP, External-IP, Port(s), Age; Selector.
pub(crate) fn services(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Service { metadata, spec, status } = decode(object)?;
    let cluster_ip =
        if spec.cluster_ip.is_empty() { spec.cluster_ips.first() } else { Some(&spec.cluster_ip) };
    let ports = spec.ports.iter().map(|port| match port {
        Port { port, node_port: 0, protocol } => format!("{port}/{protocol}"),
        Port { port, node_port, protocol } => format!("{port}:{node_port}/{protocol}"),
    });
    let ports = join(ports, ",");
    Ok(cells![
        &*metadata.name,
        &*spec.type_,
        cluster_ip.map_or(NONE, |ip| ip.or(NONE)),
        external_ip(&spec, &status.load_balancer),
        if ports.is_empty() { NONE.into() } else { ports },
        age(&metadata.creation_timestamp, now),
        labels(&spec.selector),
    ])
}

/// Where the service is reached from outside, which depends on its type.
fn external_ip(spec: &Spec<'_>, balancer: &LoadBalancer<'_>) -> String {
    let external = || join(spec.external_ips.iter(), ",");
    match &*spec.type_ {
        "ClusterIP" | "NodePort" if spec.external_ips.is_empty() => NONE.into(),
        "ClusterIP" | "NodePort" => external(),
        "ExternalName" => spec.external_name.to_string(),
        "LoadBalancer" => match (balancer.print(), external()) {
            (points, external) if points.is_empty() && external.is_empty() => "<pending>".into(),
            (points, external) => join([points, external].iter().filter(|part| !part.is_empty()), ","),
        },
        _ => UNKNOWN.into(),
    }
}

fields! { Endpoints<'a> { metadata: Metadata<'a>, subsets: List<Subset<'a>>, }}

fields! { Subset<'a> { addresses: List<EndpointAddress<'a>>, ports: List<EndpointPort<'a>>, }}

fields! { EndpointAddress<'a> { ip: Text<'a>, }}

fields! { EndpointPort<'a> { port: Option<i64>, name: Text<'a>, }}

/// Name, Endpoints, Age.
pub(crate) fn endpoints(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let Endpoints { metadata, subsets } = decode(object)?;
    let each = subsets.iter().flat_map(|subset| {
        let ports: Vec<_> = match &*subset.ports {
            [] => vec![None],
            ports => ports.iter().map(|port| Some(port.port.unwrap_or_default())).collect(),
        };
        ports.into_iter().flat_map(|port| subset.addresses.iter().map(move |address| (&address.ip, port)))
    });
    let each = each.map(|(ip, port)| match port {
        None => ip.to_string(),
        Some(port) if ip.contains(':') => format!("[{ip}]:{port}"),
        Some(port) => format!("{ip}:{port}"),
    });
    Ok(cells![
        &*metadata.name,
        if subsets.is_empty() { NONE.into() } else { join_some(each, MOST, ",") },
        age(&metadata.creation_timestamp, now),
    ])
}

fields! { EndpointSlice<'a> {
    metadata: Metadata<'a>,
    address_type: Text<'a>,
    ports: List<EndpointPort<'a>>,
    endpoints: List<Endpoint<'a>>,
}}

fields! { Endpoint<'a> { addresses: List<Text<'a>>, }}

/// Name, AddressType, Ports, Endpoints, Age.
pub(crate) fn endpoint_slices(object: &[u8], now: Timestamp) -> Result<TableCells, Error> {
    let EndpointSlice { metadata, address_type, ports, endpoints } = decode(object)?;
    let print_port =
        |port: &EndpointPort<'_>| port.port.map_or_else(|| port.name.to_string(), |port| port.to_string());
    let addresses = endpoints.iter().flat_map(|endpoint| endpoint.addresses.iter());
    Ok(cells![
        &*metadata.name,
        address_type,
        if ports.is_empty() { UNSET.into() } else { join_some(ports.iter().map(print_port), MOST, ",") },
        if endpoints.is_empty() { UNSET.into() } else { join_some(addresses, MOST, ",") },
        age(&metadata.creation_timestamp, now),
    ])
}
