//! The queries of the benchmark `search`, as paths of the search API.

use serde::Deserialize;

/// Pods of all clusters, on the path that may last.
pub(super) const PODS: &str = "/apis/clusterpedia.io/v1beta1/resources/all/proxy/api/v1/pods";
/// What kubectl asks for.
const TABLE: &str = "Accept: application/json;as=Table;v=v1;g=meta.k8s.io";
/// The objects of a page.
const PAGE: u32 = 500;
/// Requests of a query with few hits, of a page, and of what may take long.
const REQUESTS: (usize, usize, usize) = (200, 60, 5);

/// A pod of the store to ask for.
#[derive(Debug, Clone, Deserialize)]
pub(super) struct Pod {
    cluster: String,
    pub(super) namespace: String,
    name: String,
    owner: String,
    labels: std::collections::BTreeMap<String, String>,
}

/// One kind of query.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    pub(super) name: String,
    /// Asked in turn.
    pub(super) paths: Vec<String>,
    /// The header of a Table, or none.
    pub(super) header: Option<&'static str>,
    pub(super) requests: usize,
    /// The most milliseconds: median and p99.
    pub(super) most: (f64, f64),
}

/// What the objects of a page are sorted by: the name of the order, and its fields.
pub(super) const ORDERS: [(&str, &[&str]); 5] = [
    ("name", &["name"]),
    ("namespace", &["namespace", "name"]),
    ("created", &["created_at"]),
    ("sequence", &["sequence"]),
    ("cluster", &["cluster"]),
];

/// Queries with up to 100 hits, for each of the pods. `also` is a condition more, such as `namespaces=a,b`.
pub(super) fn few_hits(pods: &[Pod], also: Option<&str>) -> Vec<Shape> {
    let shape = |name: &str, query: &dyn Fn(&Pod) -> String| Shape {
        name: name.to_owned(),
        paths: pods.iter().map(|pod| path(&query(pod), also)).collect(),
        header: None,
        requests: REQUESTS.0,
        most: (5.0, 50.0),
    };
    let label = |pod: &Pod| format!("labelSelector=pod-template-hash={}", of(pod, "pod-template-hash"));
    let mut shapes = vec![
        shape("label", &label),
        shape("name", &|pod| format!("names={}", pod.name)),
        shape("fuzzy", &|pod| {
            let part = of(pod, "pod-template-hash");
            format!("labelSelector=internalstorage.clusterpedia.io/fuzzy-name={part}")
        }),
        shape("owner", &|pod| format!("ownerUID={}&clusters={}", pod.owner, pod.cluster)),
        shape("field", &|_| "fieldSelector=status.phase=Failed".to_owned()),
        shape("count", &|pod| format!("{}&limit=1&withRemainingCount=true", label(pod))),
    ];
    if also.is_none() {
        let label_100 =
            |pod: &Pod| format!("labelSelector=app={}&namespaces={}", of(pod, "app"), pod.namespace);
        let of_100 = shape("label_100", &label_100);
        shapes.push(Shape { name: "label_100_table".to_owned(), header: Some(TABLE), ..of_100.clone() });
        shapes.push(of_100);
        shapes.push(shape("field_100", &|pod| {
            format!("fieldSelector=spec.nodeName={}&clusters={}", node(pod), pod.cluster)
        }));
        shapes.push(shape("count_100", &|pod| format!("{}&limit=1&withRemainingCount=true", label_100(pod))));
    }
    shapes
}

/// The first use of a field: what it is searched for is indexed in the background.
pub(super) fn fields(pods: &[Pod]) -> [String; 2] {
    let node = pods.first().map(node).unwrap_or_default();
    [format!("spec.nodeName={node}"), "status.phase=Failed".to_owned()]
        .map(|selector| path(&format!("fieldSelector={selector}&limit=100"), None))
}

/// One of the generator's nodes.
fn node(pod: &Pod) -> String {
    let number = pod.name.bytes().fold(0_u32, |sum, byte| sum + u32::from(byte)) % 200;
    format!("node-{number:03}")
}

fn of<'a>(pod: &'a Pod, label: &str) -> &'a str {
    pod.labels.get(label).map_or("", String::as_str)
}

fn path(query: &str, also: Option<&str>) -> String {
    match also {
        Some(also) => format!("{PODS}?{query}&{also}"),
        None => format!("{PODS}?{query}"),
    }
}

/// An order as the query says it, in both directions, each with the end of its shape's name.
pub(super) fn directions(fields: &[&str]) -> [(&'static str, String); 2] {
    let descending: Vec<_> = fields.iter().map(|field| format!("{field}%20desc")).collect();
    [("", fields.join(",")), ("_desc", descending.join(","))]
}

/// A page of whole objects, and of a Table.
pub(super) fn page(name: &str, order: &str, token: Option<&str>, also: Option<&str>) -> [Shape; 2] {
    let from = token.map(|token| format!("&continue={token}")).unwrap_or_default();
    let objects = Shape {
        name: name.to_owned(),
        paths: vec![path(&format!("orderby={order}&limit={PAGE}&withContinue=true{from}"), also)],
        header: None,
        requests: REQUESTS.1,
        most: (25.0, 50.0),
    };
    let table =
        Shape { name: format!("{name}_table"), header: Some(TABLE), most: (10.0, 50.0), ..objects.clone() };
    [objects, table]
}

/// The page whose end is `objects` from the beginning: its answer names the token of the next.
pub(super) fn page_before(order: &str, objects: u32, also: Option<&str>) -> String {
    let query = format!(
        "orderby={order}&limit={PAGE}&withContinue=true&onlyMetadata=true&continue={}",
        objects.saturating_sub(PAGE)
    );
    path(&query, also)
}

/// Orders without an index of their own, and pages by the number of objects before them, `offset`.
pub(super) fn slow(offset: u32) -> Vec<Shape> {
    let mut shapes = Vec::new();
    let mut add = |name: &str, query: String| {
        shapes.push(Shape {
            name: name.to_owned(),
            paths: vec![path(&format!("{query}&limit={PAGE}"), None)],
            header: None,
            requests: REQUESTS.2,
            most: (1000.0, 1000.0),
        });
    };
    add("order_resource_version", "orderby=resource_version".to_owned());
    add("order_resource_version_desc", "orderby=resource_version%20desc".to_owned());
    add("order_created_name_desc", "orderby=created_at,name%20desc".to_owned());
    add("order_name_cluster_desc", "orderby=name,cluster%20desc".to_owned());
    for (name, fields) in ORDERS {
        add(&format!("offset_{name}"), format!("orderby={}&continue={offset}", fields.join(",")));
    }
    add("offset_resource_version", format!("orderby=resource_version&continue={offset}"));
    shapes
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pod() -> Pod {
        serde_json::from_value(serde_json::json!({
            "cluster": "c1", "namespace": "n1", "name": "web-1-a", "owner": "u1",
            "labels": { "app": "web", "pod-template-hash": "h1" },
        }))
        .unwrap()
    }

    #[test]
    fn every_shape_with_few_hits_is_a_path_of_its_own() {
        let shapes = few_hits(&[pod()], None);
        let mut paths: Vec<_> = shapes.iter().map(|shape| (&shape.paths, shape.header)).collect();
        paths.sort();
        paths.dedup();
        assert_eq!(paths.len(), shapes.len());
        let limited = few_hits(&[pod()], Some("namespaces=n1"));
        assert!(limited.iter().all(|shape| shape.paths[0].ends_with("&namespaces=n1")));
    }

    #[test]
    fn a_page_continues_behind_the_one_before() {
        let [_, (suffix, order)] = directions(&["namespace", "name"]);
        assert_eq!((suffix, order.as_str()), ("_desc", "namespace%20desc,name%20desc"));
        assert!(page_before(&order, 1000, None).ends_with("&continue=500"));
        let [objects, table] = page("page2", &order, Some("t"), None);
        assert!(objects.paths[0].ends_with("&continue=t") && table.header.is_some());
    }
}
