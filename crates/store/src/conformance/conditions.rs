//! Every condition of the search language, one by one.

use std::{collections::BTreeMap, sync::Arc};

use meta::{FieldPath, FieldRequirement, FieldSelector, LabelRequirement, LabelSelector, Operator, Step};
use serde_json::json;

use super::{
    Place, all, cases,
    data::{batch, cluster, draft, gadgets, put, things},
    names, open,
};
use crate::{Ancestor, Content, Error, OwnedBy, Query, ResourcePattern, Store, Visible};

cases![
    resources_are_patterns_and_any_of_them_counts,
    unknown_clusters_have_no_rows,
    namespaces_and_names_are_exact_and_any_of_them_counts,
    the_empty_namespace_is_that_of_cluster_scoped_objects,
    fuzzy_names_must_all_occur_and_are_literal,
    since_is_inclusive_and_before_is_not,
    before_must_not_be_earlier_than_since,
    an_owner_is_found_by_uid,
    an_owner_is_found_by_name,
    owners_need_one_cluster_and_few_generations,
    labels_follow_kubernetes_rules_of_absent_keys,
    labels_compare_as_numbers,
    fields_compare_by_their_text,
    fields_of_lists_have_several_values,
    fields_are_as_they_are_now,
    what_a_caller_may_not_see_is_not_there,
    content_is_as_much_as_was_asked_for,
];

fn set(values: &[&str]) -> std::collections::BTreeSet<String> {
    values.iter().map(|value| (*value).to_owned()).collect()
}

fn of_things() -> Query {
    Query::of(things())
}

async fn resources_are_patterns_and_any_of_them_counts(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("n", "thing")]).await;
    store.apply(batch("c", &gadgets(), vec![draft("n", "gadget").upsert()])).await.unwrap();
    let of = |resources| Query { resources, ..Query::default() };
    let group = |group: &str| ResourcePattern { group: Some(group.into()), ..ResourcePattern::default() };
    assert_eq!(names(&store, &of(vec![])).await, [""; 0]);
    assert_eq!(names(&store, &of(vec![ResourcePattern::default()])).await, ["c/n/gadget", "c/n/thing"]);
    assert_eq!(names(&store, &of(vec![group("")])).await, ["c/n/thing"]);
    assert_eq!(names(&store, &of(vec![group("gadgets.example.com")])).await, ["c/n/gadget"]);
    assert_eq!(names(&store, &of(vec![group("other"), things().into()])).await, ["c/n/thing"]);
    let twice = of(vec![things().into(), group("")]);
    assert_eq!(names(&store, &twice).await, ["c/n/thing"]);
}

async fn unknown_clusters_have_no_rows(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "a", &[draft("n", "x")]).await;
    put(&store, "b", &[draft("n", "x")]).await;
    let of = |clusters: &[&str]| Query {
        clusters: Some(clusters.iter().map(|name| cluster(name)).collect()),
        ..of_things()
    };
    assert_eq!(names(&store, &of(&["a"])).await, ["a/n/x"]);
    assert_eq!(names(&store, &of(&["b", "c"])).await, ["b/n/x"]);
    assert_eq!(names(&store, &of(&["A"])).await, [""; 0]);
    assert_eq!(names(&store, &of(&[])).await, [""; 0]);
}

async fn namespaces_and_names_are_exact_and_any_of_them_counts(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("n", "x"), draft("m", "x"), draft("o", "y"), draft("o", "X")]).await;
    let namespaces = |of: &[&str]| Query { namespaces: set(of), ..of_things() };
    assert_eq!(names(&store, &namespaces(&["m", "n", "p"])).await, ["c/m/x", "c/n/x"]);
    assert_eq!(names(&store, &namespaces(&["N"])).await, [""; 0]);
    let named = |of: &[&str]| Query { names: set(of), ..of_things() };
    assert_eq!(names(&store, &named(&["x", "z"])).await, ["c/m/x", "c/n/x"]);
    let both = Query { namespaces: set(&["m", "o"]), names: set(&["x", "y"]), ..of_things() };
    assert_eq!(names(&store, &both).await, ["c/m/x", "c/o/y"]);
}

async fn the_empty_namespace_is_that_of_cluster_scoped_objects(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("", "node"), draft("n", "pod")]).await;
    assert_eq!(names(&store, &Query { namespaces: set(&[""]), ..of_things() }).await, ["c//node"]);
}

async fn fuzzy_names_must_all_occur_and_are_literal(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let all = ["web-frontend-1", "web-backend-1", "Web", "a_b", "aXb", "a%b", "été-1", "w"];
    put(&store, "c", &all.map(|name| draft("n", name))).await;
    let fuzzy = |parts: &[&str]| Query {
        fuzzy_names: parts.iter().map(|part| (*part).to_owned()).collect(),
        ..of_things()
    };
    let expected: [(&[&str], &[&str]); 9] = [
        (&["web"], &["c/n/web-backend-1", "c/n/web-frontend-1"]),
        (&["end-1", "front"], &["c/n/web-frontend-1"]),
        (&["a_b"], &["c/n/a_b"]),
        (&["a%b"], &["c/n/a%b"]),
        (&["_"], &["c/n/a_b"]),
        (&["té-"], &["c/n/été-1"]),
        (&["W"], &["c/n/Web"]),
        (&["b-w"], &[]),
        (&["e\"b", "web"], &[]),
    ];
    for (parts, found) in expected {
        assert_eq!(names(&store, &fuzzy(parts)).await, found, "{parts:?}");
    }
    assert_eq!(names(&store, &fuzzy(&[""])).await.len(), all.len());
}

async fn since_is_inclusive_and_before_is_not(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(
        &store,
        "c",
        &[draft("n", "a").created(10), draft("n", "b").created(20), draft("n", "c").created(30)],
    )
    .await;
    let within = |since, before| Query { since, before, ..of_things() };
    assert_eq!(names(&store, &within(Some(20), None)).await, ["c/n/b", "c/n/c"]);
    assert_eq!(names(&store, &within(None, Some(20))).await, ["c/n/a"]);
    assert_eq!(names(&store, &within(Some(10), Some(30))).await, ["c/n/a", "c/n/b"]);
    assert_eq!(names(&store, &within(Some(20), Some(20))).await, [""; 0]);
}

/// The parameter that an invalid query is refused for.
async fn refused(store: &Arc<dyn Store>, query: Query) -> &'static str {
    let counted = store.count(query.clone()).await;
    assert!(matches!(counted, Err(Error::Invalid { .. })), "{counted:?}");
    match store.select(query).await {
        Err(Error::Invalid { parameter, .. }) => parameter,
        other => panic!("{other:?}"),
    }
}

async fn before_must_not_be_earlier_than_since(place: Arc<dyn Place>) {
    let store = open(&place).await;
    assert_eq!(refused(&store, Query { since: Some(2), before: Some(1), ..of_things() }).await, "before");
}

/// deployment (things) ◄ replica set (gadgets) ◄ two pods (things), and a node.
async fn family(store: &Arc<dyn Store>) {
    put(
        store,
        "c",
        &[
            draft("n", "web"),
            draft("n", "pod-1").owned_by("uid-n-set"),
            draft("n", "pod-2").owned_by("uid-n-set"),
            draft("m", "pod-3").owned_by("uid--node"),
            draft("m", "web"),
            draft("m", "stray").owned_by("uid-not-stored"),
            draft("", "node"),
        ],
    )
    .await;
    put(store, "d", &[draft("n", "pod-1").owned_by("uid-n-set")]).await;
    let set = draft("n", "set").owned_by("uid-n-web").upsert();
    store.apply(batch("c", &gadgets(), vec![set])).await.unwrap();
}

fn owned_by(ancestor: Ancestor, seniority: u32) -> Query {
    let owner = Some(OwnedBy { ancestor, seniority });
    Query { clusters: Some([cluster("c")].into()), owner, ..of_things() }
}

async fn an_owner_is_found_by_uid(place: Arc<dyn Place>) {
    let store = open(&place).await;
    family(&store).await;
    let of = |uid: &str, seniority| owned_by(Ancestor::Uid(uid.into()), seniority);
    assert_eq!(names(&store, &of("uid-n-set", 0)).await, ["c/n/pod-1", "c/n/pod-2"]);
    assert_eq!(names(&store, &of("uid-n-web", 0)).await, [""; 0]);
    assert_eq!(names(&store, &of("uid-n-web", 1)).await, ["c/n/pod-1", "c/n/pod-2"]);
    assert_eq!(names(&store, &of("uid-n-web", 2)).await, [""; 0]);
    assert_eq!(names(&store, &of("uid-not-stored", 0)).await, ["c/m/stray"]);
    assert_eq!(names(&store, &of("", 0)).await, [""; 0]);
    let narrowed = Query { names: set(&["pod-2"]), ..of("uid-n-set", 0) };
    assert_eq!(names(&store, &narrowed).await, ["c/n/pod-2"]);
}

async fn an_owner_is_found_by_name(place: Arc<dyn Place>) {
    let store = open(&place).await;
    family(&store).await;
    let of = |name: &str, group_resource: Option<(&str, &str)>, seniority| {
        let group_resource = group_resource.map(|(group, resource)| (group.to_owned(), resource.to_owned()));
        owned_by(Ancestor::Named { name: name.into(), group_resource }, seniority)
    };
    assert_eq!(names(&store, &of("set", None, 0)).await, ["c/n/pod-1", "c/n/pod-2"]);
    let gadgets = Some(("gadgets.example.com", "gadgets"));
    assert_eq!(names(&store, &of("set", gadgets, 0)).await, ["c/n/pod-1", "c/n/pod-2"]);
    assert_eq!(names(&store, &of("set", Some(("", "things")), 0)).await, [""; 0]);
    assert_eq!(names(&store, &of("web", None, 1)).await, ["c/n/pod-1", "c/n/pod-2"]);
    assert_eq!(names(&store, &of("nobody", None, 0)).await, [""; 0]);
    let within = |namespace: &str, query: Query| Query { namespaces: set(&[namespace]), ..query };
    assert_eq!(names(&store, &within("m", of("set", None, 0))).await, [""; 0]);
    assert_eq!(names(&store, &within("n", of("web", None, 1))).await, ["c/n/pod-1", "c/n/pod-2"]);
    // A cluster-scoped owner counts in every namespace.
    assert_eq!(names(&store, &within("m", of("node", None, 0))).await, ["c/m/pod-3"]);
}

async fn owners_need_one_cluster_and_few_generations(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let owned = owned_by(Ancestor::Uid("u".into()), 0);
    assert_eq!(refused(&store, Query { clusters: None, ..owned.clone() }).await, "clusters");
    let two = Some([cluster("a"), cluster("b")].into());
    assert_eq!(refused(&store, Query { clusters: two, ..owned }).await, "clusters");
    assert_eq!(refused(&store, owned_by(Ancestor::Uid("u".into()), 9)).await, "ownerSeniority");
}

fn labels(requirements: &[(&str, Operator)]) -> Query {
    let requirements = requirements
        .iter()
        .map(|(key, operator)| LabelRequirement { key: (*key).to_owned(), operator: operator.clone() })
        .collect();
    Query { labels: LabelSelector { requirements }, ..of_things() }
}

async fn labels_follow_kubernetes_rules_of_absent_keys(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(
        &store,
        "c",
        &[
            draft("n", "a").label("app", "x").label("tier", "1"),
            draft("n", "b").label("app", "y"),
            draft("n", "c").label("app", ""),
            draft("n", "d"),
        ],
    )
    .await;
    let (within, without) = (|of: &[&str]| Operator::In(set(of)), |of: &[&str]| Operator::NotIn(set(of)));
    type Expected<'a> = (&'a [(&'a str, Operator)], &'a [&'a str]);
    let expected: [Expected<'_>; 11] = [
        (&[("app", within(&["x"]))], &["a"]),
        (&[("app", within(&["x", "y", "z"]))], &["a", "b"]),
        (&[("app", within(&[""]))], &["c"]),
        (&[("app", without(&["x"]))], &["b", "c", "d"]),
        (&[("app", without(&["x", ""]))], &["b", "d"]),
        (&[("app", Operator::Exists)], &["a", "b", "c"]),
        (&[("app", Operator::NotExists)], &["d"]),
        (&[("app", within(&["x"])), ("tier", within(&["1"]))], &["a"]),
        (&[("app", within(&["y"])), ("tier", within(&["1"]))], &[]),
        (&[("nobody-has-it", Operator::NotExists)], &["a", "b", "c", "d"]),
        (&[("nobody-has-it", Operator::Exists)], &[]),
    ];
    for (requirements, found) in expected {
        let found: Vec<String> = found.iter().map(|name| format!("c/n/{name}")).collect();
        assert_eq!(names(&store, &labels(requirements)).await, found, "{requirements:?}");
    }
}

async fn labels_compare_as_numbers(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let all = ["9", "10", "-3", "x", "007"];
    put(&store, "c", &all.map(|value| draft("n", &format!("v{value}")).label("size", value))).await;
    put(&store, "c", &[draft("n", "none")]).await;
    let above = labels(&[("size", Operator::GreaterThan(8))]);
    assert_eq!(names(&store, &above).await, ["c/n/v10", "c/n/v9"]);
    let below = labels(&[("size", Operator::LessThan(8))]);
    assert_eq!(names(&store, &below).await, ["c/n/v-3", "c/n/v007"]);
}

fn path(text: &str) -> FieldPath {
    let step = |text: &str| match text {
        "[]" => Step::Any,
        text => text.parse().map_or_else(|_| Step::Field(text.to_owned()), Step::Index),
    };
    FieldPath { steps: text.split('|').map(step).collect() }
}

fn field(at: &str, operator: Operator) -> Query {
    let requirements = vec![FieldRequirement { path: path(at), operator }];
    Query { fields: FieldSelector { requirements }, ..of_things() }
}

/// Asks some times over, because a back end may make an index of a field that is asked for.
async fn expect_fields(store: &Arc<dyn Store>, expected: &[(&str, Operator, &[&str])]) {
    for _ in 0..5 {
        for (at, operator, found) in expected {
            let found: Vec<String> = found.iter().map(|name| format!("c/n/{name}")).collect();
            assert_eq!(names(store, &field(at, operator.clone())).await, found, "{at} {operator:?}");
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

async fn fields_compare_by_their_text(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let long = "x".repeat(3000);
    put(
        &store,
        "c",
        &[
            draft("n", "a")
                .with(json!({"spec": {"v": "Running", "n": 3, "b": true, "deep": {"x.y/z": "1"}}})),
            draft("n", "b").with(json!({"spec": {"v": "", "n": 12, "b": false, "deep": [1]}})),
            draft("n", "c").with(json!({"spec": {"v": null, "n": 1.5}})),
            draft("n", "d").with(json!({"spec": {"v": long, "n": "12"}})),
            draft("n", "e").with(json!({"spec": "text"})),
        ],
    )
    .await;
    let is = |values: &[&str]| Operator::In(set(values));
    let not = |values: &[&str]| Operator::NotIn(set(values));
    expect_fields(
        &store,
        &[
            ("spec|v", is(&["Running"]), &["a"]),
            ("spec|v", is(&["Running", ""]), &["a", "b"]),
            ("spec|v", is(&[&long]), &["d"]),
            ("spec|v", not(&["Running"]), &["b", "c", "d", "e"]),
            ("spec|v", Operator::Exists, &["a", "b", "d"]),
            ("spec|v", Operator::NotExists, &["c", "e"]),
            ("spec|v", is(&["null"]), &[]),
            ("spec|n", is(&["12"]), &["b", "d"]),
            ("spec|n", is(&["1.5"]), &["c"]),
            ("spec|n", Operator::GreaterThan(3), &["b", "d"]),
            ("spec|n", Operator::LessThan(12), &["a"]),
            ("spec|b", is(&["true"]), &["a"]),
            ("spec|deep|x.y/z", is(&["1"]), &["a"]),
            ("spec|deep", Operator::Exists, &["a", "b"]),
            ("spec|deep", is(&[""]), &[]),
            ("spec", is(&["text"]), &["e"]),
            ("metadata|name", is(&["c"]), &["c"]),
        ],
    )
    .await;
}

async fn fields_of_lists_have_several_values(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(
        &store,
        "c",
        &[
            draft("n", "a").with(json!({"c": [{"name": "app", "p": [1, 2]}, {"name": "proxy", "p": [3]}]})),
            draft("n", "b").with(json!({"c": [{"name": "proxy"}]})),
            draft("n", "c").with(json!({"c": []})),
            draft("n", "d").with(json!({"c": {"name": "app"}})),
        ],
    )
    .await;
    let is = |values: &[&str]| Operator::In(set(values));
    expect_fields(
        &store,
        &[
            ("c|[]|name", is(&["app"]), &["a"]),
            ("c|[]|name", is(&["app", "proxy"]), &["a", "b"]),
            ("c|[]|name", Operator::NotIn(set(&["app"])), &["b", "c", "d"]),
            ("c|[]|name", Operator::NotExists, &["c", "d"]),
            ("c|0|name", is(&["proxy"]), &["b"]),
            ("c|1|name", is(&["proxy"]), &["a"]),
            ("c|name", is(&["app"]), &["d"]),
            ("c|[]|p|[]", Operator::GreaterThan(2), &["a"]),
        ],
    )
    .await;
}

async fn fields_are_as_they_are_now(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let at = |version: &str, phase: &str| draft("n", "a").version(version).with(json!({"phase": phase}));
    put(&store, "c", &[at("1", "Pending"), draft("n", "b").with(json!({"phase": "Pending"}))]).await;
    let phase = |value: &str| field("phase", Operator::In(set(&[value])));
    assert_eq!(names(&store, &phase("Pending")).await, ["c/n/a", "c/n/b"]);
    for round in 2..20 {
        let now = ["Running", "Pending", "Failed"][round % 3];
        put(&store, "c", &[at(&round.to_string(), now)]).await;
        for value in ["Running", "Pending", "Failed"] {
            let mut expected = Vec::new();
            if value == now {
                expected.push("c/n/a");
            }
            if value == "Pending" {
                expected.push("c/n/b");
            }
            assert_eq!(names(&store, &phase(value)).await, expected);
        }
    }
}

async fn what_a_caller_may_not_see_is_not_there(place: Arc<dyn Place>) {
    let store = open(&place).await;
    for cluster in ["a", "b", "c"] {
        let drafts = [draft("m", "x").label("app", "x"), draft("n", "x").label("app", "x"), draft("", "x")];
        put(&store, cluster, &drafts).await;
    }
    let allowed = |of: &[(&str, Visible)]| -> Option<BTreeMap<_, _>> {
        Some(of.iter().map(|(name, visible)| (cluster(name), visible.clone())).collect())
    };
    let only = |namespaces: &[&str]| Visible::Namespaces(set(namespaces));
    let seen = Query { allowed: allowed(&[("a", Visible::All), ("b", only(&["n", "o"]))]), ..of_things() };
    assert_eq!(names(&store, &seen).await, ["a//x", "a/m/x", "a/n/x", "b/n/x"]);
    let asked = Query { namespaces: set(&["m", ""]), ..seen.clone() };
    assert_eq!(names(&store, &asked).await, ["a//x", "a/m/x"]);
    let labelled = Query { labels: labels(&[("app", Operator::Exists)]).labels, ..seen.clone() };
    assert_eq!(names(&store, &labelled).await, ["a/m/x", "a/n/x", "b/n/x"]);
    let labelled = Query { labels: labels(&[("app", Operator::In(set(&["x"])))]).labels, ..seen.clone() };
    assert_eq!(names(&store, &labelled).await, ["a/m/x", "a/n/x", "b/n/x"]);
    let named = Query { names: set(&["x"]), clusters: Some([cluster("b"), cluster("c")].into()), ..seen };
    assert_eq!(names(&store, &named).await, ["b/n/x"]);
    assert_eq!(names(&store, &Query { allowed: allowed(&[]), ..of_things() }).await, [""; 0]);
    let none = Query { allowed: allowed(&[("a", only(&[]))]), ..of_things() };
    assert_eq!(names(&store, &none).await, [""; 0]);
    let unseen = Query {
        clusters: Some([cluster("c")].into()),
        allowed: allowed(&[("a", Visible::All)]),
        ..of_things()
    };
    let owner = Some(OwnedBy { ancestor: Ancestor::Uid("u".into()), seniority: 1 });
    assert_eq!(names(&store, &Query { owner, ..unseen }).await, [""; 0]);
}

async fn content_is_as_much_as_was_asked_for(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("n", "a").with(json!({"spec": {"x": 1}, "status": 2}))]).await;
    let of = |content| Query { content, ..of_things() };
    let (rows, _) = all(&store, &of(Content::Metadata)).await;
    let value: serde_json::Value = serde_json::from_slice(&rows[0].json).unwrap();
    let fields: Vec<&String> = value.as_object().unwrap().keys().collect();
    assert_eq!(fields, ["apiVersion", "kind", "metadata"]);
    assert_eq!(value["metadata"]["name"], "a");
    assert!(all(&store, &of(Content::Keys)).await.0[0].json.is_empty());
    assert!(!all(&store, &of(Content::Whole)).await.0[0].json.is_empty());
}
