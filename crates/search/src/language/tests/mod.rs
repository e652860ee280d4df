//! What requests mean.

mod beyond;
mod contract;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use store::{OrderBy, Resource};

use super::*;

fn place() -> Place {
    Place::of(Resource::new("", "v1", "pods"))
}

fn parameters(pairs: &[(&str, &str)]) -> Parameters {
    let encode = |text| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let pairs: Vec<_> =
        pairs.iter().map(|(name, value)| format!("{}={}", encode(name), encode(value))).collect();
    Parameters::parse(&pairs.join("&")).unwrap()
}

fn ask(pairs: &[(&str, &str)]) -> Result<Search, Error> {
    Search::parse(place(), &parameters(pairs))
}

/// The request of `kubectl get pods -l LABELS`.
fn kubectl(labels: &str) -> Result<Search, Error> {
    ask(&[("limit", "500"), ("labelSelector", labels)])
}

fn found(pairs: &[(&str, &str)]) -> Search {
    ask(pairs).unwrap_or_else(|error| panic!("{pairs:?}: {error}"))
}

fn by_label(labels: &str) -> Search {
    kubectl(labels).unwrap_or_else(|error| panic!("{labels}: {error}"))
}

/// The parameter at fault.
fn fault(result: Result<Search, Error>) -> String {
    let error = result.unwrap_err();
    assert!(error.reason.len() > 5, "{error}");
    error.parameter
}

fn texts<const N: usize>(values: [&str; N]) -> BTreeSet<String> {
    values.map(str::to_owned).into()
}

fn clusters<const N: usize>(values: [&str; N]) -> BTreeSet<ClusterName> {
    values.map(ClusterName::new).into()
}

fn order(search: &Search) -> Vec<String> {
    let term = |term: &OrderBy| format!("{:?}{}", term.field, if term.descending { " desc" } else { "" });
    search.query.order.iter().map(term).collect()
}
