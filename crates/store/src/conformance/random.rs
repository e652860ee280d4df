//! Random objects and random queries, compared with the reference.

use std::{num::NonZeroU64, sync::Arc};

use meta::{FieldPath, FieldRequirement, LabelRequirement, Operator, Step};
use serde_json::json;

use super::{
    Place, all, cases,
    data::{Draft, batch, cluster, draft, gadgets, things},
    open,
    reference::{self, Known},
};
use crate::{
    Ancestor, Change, Content, ObjectName, OrderBy, OrderField, OwnedBy, Query, Resource, ResourcePattern,
    Row, Start, Store, Visible, sample::Random,
};

cases![random_queries_answer_as_the_reference_does];

const SEEDS: u64 = 4;
const ROUNDS: usize = 4;
const QUERIES: usize = 60;

async fn random_queries_answer_as_the_reference_does(place: Arc<dyn Place>) {
    let store = open(&place).await;
    for seed in 0..SEEDS {
        let mut random = Random::new(seed);
        let mut known = Vec::new();
        for round in 0..ROUNDS {
            change(&store, &mut known, &mut random, round).await;
            for _ in 0..QUERIES {
                let query = query(&mut random);
                compare(&store, &known, &query, &mut random).await;
            }
        }
        for name in CLUSTERS {
            store.remove_cluster(&cluster(name)).await.unwrap();
        }
    }
}

const CLUSTERS: [&str; 4] = ["a", "b", "b2", "c"];
const NAMESPACES: [&str; 4] = ["", "n", "m", "team-1"];
const VALUES: [&str; 5] = ["", "x", "y", "7", "12"];

fn resources() -> [Resource; 3] {
    [things(), gadgets(), Resource::new("gadgets.example.com", "v1", "gizmos")]
}

fn name(random: &mut Random) -> String {
    let parts = ["web", "front", "a_b", "x", "1"];
    format!("{}-{}", random.of(&parts), random.below(12))
}

fn object(random: &mut Random, version: usize) -> Draft {
    let (namespace, name) = (*random.of(&NAMESPACES), name(random));
    let version = if random.below(5) == 0 { format!("v{version}") } else { (version * 7).to_string() };
    let mut draft = draft(namespace, &name).version(&version).created(random.below(6) as i64);
    for key in ["app", "tier"] {
        if random.below(3) > 0 {
            draft = draft.label(key, random.of::<&str>(&VALUES));
        }
    }
    if random.below(2) == 0 {
        let owner = self::name(random);
        draft = draft.owned_by(&format!("uid-{namespace}-{owner}"));
    }
    let (text, list) = (*random.of(&VALUES), [*random.of(&VALUES), *random.of(&VALUES)]);
    let rest = match random.below(4) {
        0 => json!({"spec": {"v": text, "list": [{"v": list[0]}, {"v": list[1]}]}}),
        1 => json!({"spec": {"v": random.below(20), "list": []}}),
        2 => json!({"spec": {"v": {"inner": text}, "list": [{"v": 3}]}}),
        _ => json!({"spec": null}),
    };
    draft.with(rest)
}

/// Makes, changes and deletes some objects; `known` is then what is stored.
async fn change(store: &Arc<dyn Store>, known: &mut Vec<Known>, random: &mut Random, round: usize) {
    for name in CLUSTERS {
        for resource in resources() {
            let mut changes: Vec<Change> = (0..20).map(|_| object(random, round * 100).upsert()).collect();
            let doomed =
                known.iter().filter(|known| known.cluster.as_str() == name && known.resource == resource);
            for known in doomed {
                if random.below(4) == 0 {
                    changes.push(Change::Delete(ObjectName::new(
                        &*known.object.key.namespace,
                        &*known.object.key.name,
                    )));
                }
            }
            for change in &changes {
                apply(known, name, &resource, change);
            }
            store.apply(batch(name, &resource, changes)).await.unwrap();
        }
    }
    for known in known {
        let key = &known.object.key;
        let name = ObjectName::new(&*key.namespace, &*key.name);
        known.sequence =
            store.get(&known.cluster, &known.resource, &name).await.unwrap().unwrap().position.sequence;
    }
}

fn apply(known: &mut Vec<Known>, name: &str, resource: &Resource, change: &Change) {
    let (namespace, of) = match change {
        Change::Upsert(object) => (&object.key.namespace, &object.key.name),
        Change::Delete(name) => (&name.namespace, &name.name),
    };
    let at = known.iter().position(|known| {
        let key = &known.object.key;
        known.cluster.as_str() == name
            && known.resource == *resource
            && (&key.namespace, &key.name) == (namespace, of)
    });
    match (change, at) {
        (Change::Upsert(object), None) => {
            known.push(Known {
                cluster: cluster(name),
                resource: resource.clone(),
                object: object.clone(),
                sequence: 0,
            });
        }
        (Change::Upsert(object), Some(at))
            if known[at].object.key.resource_version != object.key.resource_version =>
        {
            known[at].object = object.clone();
        }
        (Change::Delete(_), Some(at)) => drop(known.remove(at)),
        _ => {}
    }
}

fn operator(random: &mut Random) -> Operator {
    let set = |random: &mut Random| (0..=random.below(2)).map(|_| (*random.of(&VALUES)).to_owned()).collect();
    match random.below(7) {
        0..=2 => Operator::In(set(random)),
        3 => Operator::NotIn(set(random)),
        4 => Operator::Exists,
        5 => Operator::NotExists,
        _ if random.below(2) == 0 => Operator::GreaterThan(random.below(15) as i64),
        _ => Operator::LessThan(random.below(15) as i64),
    }
}

fn path(random: &mut Random) -> FieldPath {
    let field = |name: &str| Step::Field(name.to_owned());
    let steps = match random.below(5) {
        0 => vec![field("spec"), field("v")],
        1 => vec![field("spec"), field("list"), Step::Any, field("v")],
        2 => vec![field("spec"), field("list"), Step::Index(1), field("v")],
        3 => vec![field("spec"), field("v"), field("inner")],
        _ => vec![field("metadata"), field("namespace")],
    };
    FieldPath { steps }
}

/// Every condition is there now and then.
fn query(random: &mut Random) -> Query {
    let one_in = |random: &mut Random, of: u64| random.below(of) == 0;
    let mut query = Query { resources: vec![random.of(&resources()).clone().into()], ..Query::default() };
    if one_in(random, 3) {
        query.resources = vec![
            ResourcePattern { group: Some("gadgets.example.com".into()), ..<_>::default() },
            things().into(),
        ];
    }
    if one_in(random, 3) {
        query.clusters = Some((0..=random.below(2)).map(|_| cluster(random.of::<&str>(&CLUSTERS))).collect());
    }
    if one_in(random, 4) {
        let visible = |random: &mut Random| match random.below(2) {
            0 => Visible::All,
            _ => Visible::Namespaces(
                (0..=random.below(2)).map(|_| (*random.of(&NAMESPACES)).to_owned()).collect(),
            ),
        };
        query.allowed =
            Some((0..3).map(|_| (cluster(random.of::<&str>(&CLUSTERS)), visible(random))).collect());
    }
    if one_in(random, 4) {
        query.namespaces = (0..=random.below(2)).map(|_| (*random.of(&NAMESPACES)).to_owned()).collect();
    }
    if one_in(random, 8) {
        query.names = (0..=random.below(4)).map(|_| name(random)).collect();
    }
    if one_in(random, 5) {
        query.fuzzy_names = (0..=random.below(2))
            .map(|_| (*random.of(&["web", "ront", "-1", "_", "b-"])).to_owned())
            .collect();
    }
    if one_in(random, 6) {
        query.since = Some(random.below(6) as i64);
    }
    if one_in(random, 6) {
        query.before = Some(query.since.unwrap_or_default() + random.below(4) as i64);
    }
    if one_in(random, 8) {
        query.clusters = Some([cluster(random.of::<&str>(&CLUSTERS))].into());
        let ancestor = match random.below(2) {
            0 => Ancestor::Uid(format!("uid-{}-{}", random.of(&NAMESPACES), name(random))),
            _ => Ancestor::Named {
                name: name(random),
                group_resource: one_in(random, 2).then(|| (String::new(), "things".to_owned())),
            },
        };
        query.owner = Some(OwnedBy { ancestor, seniority: random.below(3) as u32 });
    }
    while one_in(random, 3) {
        let key = (*random.of(&["app", "tier", "none"])).to_owned();
        query.labels.requirements.push(LabelRequirement { key, operator: operator(random) });
    }
    while one_in(random, 4) {
        let requirement = FieldRequirement { path: path(random), operator: operator(random) };
        query.fields.requirements.push(requirement);
    }
    for _ in 0..random.below(4) {
        let fields = [
            OrderField::Cluster,
            OrderField::Namespace,
            OrderField::Name,
            OrderField::CreatedAt,
            OrderField::ResourceVersion,
            OrderField::Sequence,
        ];
        query.order.push(OrderBy { field: *random.of(&fields), descending: one_in(random, 2) });
    }
    query
}

async fn compare(store: &Arc<dyn Store>, known: &[Known], query: &Query, random: &mut Random) {
    let expected = reference::select(known, query);
    let (rows, token) = all(store, query).await;
    same(&rows, &expected, query);
    assert_eq!(token, None);
    assert_eq!(store.count(query.clone()).await.unwrap(), expected.len() as u64, "count: {query:#?}");

    let offset = random.below(30);
    let limit = 1 + random.below(40);
    let mut page = Query {
        start: Start::Offset(offset),
        limit: NonZeroU64::new(limit),
        content: Content::Keys,
        ..query.clone()
    };
    let mut rest = &expected[expected.len().min(offset as usize)..];
    loop {
        let (rows, token) = all(store, &page).await;
        let (now, later) = rest.split_at(rest.len().min(limit as usize));
        same(&rows, now, &page);
        rest = later;
        assert_eq!(token.is_some(), !rest.is_empty(), "token: {page:#?}");
        let Some(token) = token else { break };
        page.start = Start::After(token);
    }
}

fn same(rows: &[Row], expected: &[&Known], query: &Query) {
    let found: Vec<_> = rows.iter().map(|row| row.position.sequence).collect();
    let wanted: Vec<_> = expected.iter().map(|known| known.sequence).collect();
    assert_eq!(found, wanted, "{query:#?}");
    for (row, known) in rows.iter().zip(expected) {
        assert!(query.content == Content::Keys || row.json[..] == known.object.json[..]);
        assert_eq!((&row.position.cluster, &row.position.resource), (&known.cluster, &known.resource));
        assert_eq!((&row.position.name, &row.uid), (&known.object.key.name, &known.object.key.uid));
    }
}
