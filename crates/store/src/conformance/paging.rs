//! Pages: where they begin, and that they fit together.

use std::{num::NonZeroU64, sync::Arc};

use super::{
    Place, all, cases,
    data::{Draft, batch, cluster, draft, put, things},
    name_of, names, open,
};
use crate::{Change, Content, Error, ObjectName, OrderBy, OrderField, Query, Start, Token, Visible};

cases![
    equals_come_by_cluster_namespace_and_name,
    resource_versions_order_by_number,
    a_full_last_page_has_no_token,
    a_token_holds_its_place_whatever_comes_and_goes,
    a_token_is_refused_with_another_query,
    rights_are_no_part_of_a_token,
    an_offset_passes_over_so_many,
    a_great_offset_passes_over_so_many,
    count_knows_no_pages,
    long_answers_are_whole,
];

fn page(limit: u64, order: &[OrderBy]) -> Query {
    Query { limit: NonZeroU64::new(limit), order: order.to_vec(), ..Query::of(things()) }
}

async fn equals_come_by_cluster_namespace_and_name(place: Arc<dyn Place>) {
    let store = open(&place).await;
    for cluster in ["b", "a"] {
        put(&store, cluster, &[draft("n", "y"), draft("n", "x"), draft("m", "z")]).await;
    }
    let expected = ["a/m/z", "a/n/x", "a/n/y", "b/m/z", "b/n/x", "b/n/y"];
    assert_eq!(names(&store, &Query::of(things())).await, expected);
    let by_age = Query { order: vec![OrderBy::ascending(OrderField::CreatedAt)], ..Query::of(things()) };
    assert_eq!(names(&store, &by_age).await, expected);
    let down = Query { order: vec![OrderBy::descending(OrderField::CreatedAt)], ..Query::of(things()) };
    let reversed: Vec<&str> = expected.into_iter().rev().collect();
    assert_eq!(names(&store, &down).await, reversed);
}

async fn resource_versions_order_by_number(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let versions = ["10", "9", "abc", "007", "9223372036854775808"];
    put(&store, "c", &versions.map(|version| draft("n", &format!("v{version}")).version(version))).await;
    let order = vec![OrderBy::ascending(OrderField::ResourceVersion)];
    let expected = ["c/n/v9", "c/n/v10", "c/n/v007", "c/n/v9223372036854775808", "c/n/vabc"];
    assert_eq!(names(&store, &Query { order, ..Query::of(things()) }).await, expected);
}

async fn a_full_last_page_has_no_token(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &["a", "b", "c"].map(|name| draft("n", name))).await;
    for (limit, more) in [(2, true), (3, false), (4, false)] {
        let (rows, token) = all(&store, &page(limit, &[])).await;
        assert_eq!((rows.len() as u64, token.is_some()), (limit.min(3), more));
    }
    assert_eq!(all(&store, &Query::of(things())).await.1, None);
}

async fn a_token_holds_its_place_whatever_comes_and_goes(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &["b", "d", "f", "h"].map(|name| draft("n", name))).await;
    for descending in [false, true] {
        let query = page(2, &[OrderBy { field: OrderField::Name, descending }]);
        let (rows, token) = all(&store, &query).await;
        assert_eq!(rows.len(), 2);
        let token = Token::from_client(token.unwrap().as_str());
        // The last object of the page goes, and one on each side comes.
        let changes = vec![
            Change::Delete(ObjectName::new("n", &*rows[1].position.name)),
            draft("n", "a").upsert(),
            draft("n", "i").upsert(),
        ];
        store.apply(batch("c", &things(), changes)).await.unwrap();
        let next = Query { start: Start::After(token), limit: None, ..query };
        let (rows, end) = all(&store, &next).await;
        let found: Vec<&str> = rows.iter().map(|row| row.position.name.as_str()).collect();
        assert_eq!(found, if descending { ["d", "b", "a"] } else { ["f", "h", "i"] });
        assert_eq!(end, None);
        let changes = vec![
            Change::Delete(ObjectName::new("n", "a")),
            Change::Delete(ObjectName::new("n", "i")),
            draft("n", "d").upsert(),
            draft("n", "f").upsert(),
        ];
        store.apply(batch("c", &things(), changes)).await.unwrap();
    }
}

async fn a_token_is_refused_with_another_query(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &["a", "b"].map(|name| draft("n", name))).await;
    let (_, token) = all(&store, &page(1, &[])).await;
    let start = Start::After(token.unwrap());
    let other = Query { names: ["b".to_owned()].into(), start, ..page(1, &[]) };
    assert!(matches!(store.select(other).await, Err(Error::Invalid { parameter: "continue", .. })));
    let rubbish = Query { start: Start::After(Token::from_client("rubbish")), ..page(1, &[]) };
    assert!(matches!(store.select(rubbish).await, Err(Error::Invalid { parameter: "continue", .. })));
}

async fn rights_are_no_part_of_a_token(place: Arc<dyn Place>) {
    let store = open(&place).await;
    for cluster in ["a", "b"] {
        put(&store, cluster, &["x", "y"].map(|name| draft("n", name))).await;
    }
    let (_, token) = all(&store, &page(1, &[])).await;
    let start = Start::After(token.unwrap());
    let allowed = Some([(cluster("b"), Visible::All)].into());
    let rest = Query { start, allowed, limit: None, ..page(1, &[]) };
    let found: Vec<String> = all(&store, &rest).await.0.iter().map(name_of).collect();
    assert_eq!(found, ["b/n/x", "b/n/y"]);
}

async fn an_offset_passes_over_so_many(place: Arc<dyn Place>) {
    let store = open(&place).await;
    for cluster in ["a", "b", "c"] {
        let drafts: Vec<Draft> = (0..300).map(|at| draft("n", &format!("n{at:03}"))).collect();
        put(&store, cluster, &drafts).await;
    }
    for field in [OrderField::Cluster, OrderField::Name, OrderField::Sequence] {
        let (whole, _) = all(&store, &Query { limit: None, ..page(1, &[OrderBy::descending(field)]) }).await;
        for offset in [0, 1, 299, 300, 301, 650, 895, 900, 5000] {
            let start = Start::Offset(offset);
            let (rows, token) = all(&store, &Query { start, ..page(7, &[OrderBy::descending(field)]) }).await;
            let expected: Vec<_> = whole.iter().skip(offset as usize).take(7).cloned().collect();
            assert_eq!(rows, expected, "{field:?} {offset}");
            assert_eq!(token.is_some(), offset + 7 < 900);
        }
    }
}

async fn a_great_offset_passes_over_so_many(place: Arc<dyn Place>) {
    let store = open(&place).await;
    // Clusters of very unlike sizes and names.
    for (cluster, count, prefix) in [("a", 2500, "n"), ("b", 1000, "n"), ("c", 700, "z"), ("d", 3, "m")] {
        let draft = |at: u64| {
            let namespace = ["x", "y", ""][at as usize % 3];
            draft(namespace, &format!("{prefix}{:04}", at * 7 % 2503))
                .created((at % 50) as i64)
                .version(&at.to_string())
        };
        put(&store, cluster, &(0..count).map(draft).collect::<Vec<_>>()).await;
    }
    let fields = [
        OrderField::Cluster,
        OrderField::Namespace,
        OrderField::Name,
        OrderField::CreatedAt,
        OrderField::ResourceVersion,
        OrderField::Sequence,
    ];
    let allowed = Some(["a", "b", "c"].map(|name| (cluster(name), Visible::All)).into());
    for (at, field) in fields.into_iter().enumerate() {
        let mixed = OrderBy { field: fields[(at + 2) % 6], descending: at % 2 == 0 };
        for order in [vec![OrderBy::ascending(field)], vec![OrderBy::descending(field), mixed]] {
            let query = match at % 3 {
                0 => page(7, &order),
                1 => Query { namespaces: ["x".to_owned(), String::new()].into(), ..page(7, &order) },
                _ => Query { since: Some(5), allowed: allowed.clone(), ..page(7, &order) },
            };
            let query = Query { content: Content::Keys, ..query };
            let (whole, _) = all(&store, &Query { limit: None, ..query.clone() }).await;
            for offset in [1000, 1500, 2489, 4000, 4190, 4203, 9000] {
                let (rows, _) = all(&store, &Query { start: Start::Offset(offset), ..query.clone() }).await;
                let expected: Vec<_> = whole.iter().skip(offset as usize).take(7).cloned().collect();
                assert_eq!(rows, expected, "{order:?} {offset}");
            }
        }
    }
}

async fn count_knows_no_pages(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &["a", "b", "c"].map(|name| draft("n", name))).await;
    let query = Query { start: Start::Offset(2), ..page(1, &[]) };
    assert_eq!(store.count(query).await.unwrap(), 3);
}

async fn long_answers_are_whole(place: Arc<dyn Place>) {
    let store = open(&place).await;
    for cluster in ["a", "b"] {
        let drafts: Vec<Draft> =
            (0..1500).map(|at| draft("n", &format!("n{:04}", at * 7 % 1500)).created(at / 10)).collect();
        put(&store, cluster, &drafts).await;
    }
    for field in [OrderField::Name, OrderField::CreatedAt, OrderField::Cluster] {
        let order = vec![OrderBy::ascending(field)];
        let (rows, token) = all(&store, &Query { order: order.clone(), ..Query::of(things()) }).await;
        assert_eq!((rows.len(), token), (3000, None));
        assert!(rows.windows(2).all(|pair| pair[0].position.compare(&pair[1].position, &[order[0]]).is_le()));
    }
}
