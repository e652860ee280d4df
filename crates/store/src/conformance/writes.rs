//! What is written, and what becomes of it.

use std::sync::Arc;

use super::{
    Place, all, cases,
    data::{Draft, batch, checkpoint, cluster, draft, gadgets, put, things},
    names, open,
};
use crate::{Batch, Change, Content, Error, Generation, ObjectName, Query, Store};

cases![
    an_object_is_read_as_it_was_written,
    what_is_acknowledged_is_there_after_reopening,
    every_change_has_a_greater_number_than_all_before,
    numbers_go_on_after_reopening,
    an_upsert_of_the_stored_version_is_no_change,
    an_object_of_another_uid_is_a_change,
    of_two_changes_of_one_object_the_later_counts,
    deleting_what_is_not_there_is_no_change,
    a_checkpoint_moves_with_a_batch_that_has_one,
    an_empty_batch_can_move_the_checkpoint,
    a_sweep_deletes_what_was_not_seen,
    a_sweep_can_be_repeated,
    a_later_generation_supersedes,
    a_sweep_stores_its_checkpoint,
    a_removed_resource_is_gone_at_once,
    a_removed_cluster_is_gone_at_once,
    removed_objects_do_not_come_back,
    what_is_not_there_can_be_removed,
    clusters_and_resources_are_listed_in_order,
    versions_come_in_pages,
    the_head_is_the_number_of_the_last_change,
    a_description_stays_until_its_resource_goes,
];

fn name(name: &str) -> ObjectName {
    ObjectName::new("default", name)
}

async fn an_object_is_read_as_it_was_written(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let draft =
        draft("default", "a").version("007").created(-5).with(serde_json::json!({"spec": {"ä": "\u{0}"}}));
    put(&store, "c", std::slice::from_ref(&draft)).await;
    let row = store.get(&cluster("c"), &things(), &name("a")).await.unwrap().unwrap();
    assert_eq!(&row.json[..], &draft.object().json[..]);
    assert_eq!(row.uid, draft.key.uid);
    let position = row.position;
    assert_eq!((position.cluster, position.resource), (cluster("c"), things()));
    assert_eq!((position.namespace.as_str(), position.name.as_str()), ("default", "a"));
    assert_eq!((position.created, position.version.to_string().as_str()), (-5, "007"));
    assert!(position.sequence > 0);
    for (of, resource, name) in
        [("c", gadgets(), name("a")), ("d", things(), name("a")), ("c", things(), name("b"))]
    {
        assert_eq!(store.get(&cluster(of), &resource, &name).await.unwrap(), None);
    }
}

async fn what_is_acknowledged_is_there_after_reopening(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let changes = (0..700).map(|at| draft("default", &format!("n{at:03}")).upsert()).collect();
    let batch = Batch { checkpoint: Some("41".into()), ..batch("c", &things(), changes) };
    store.apply(batch).await.unwrap();
    let query = Query::of(things());
    let before = all(&store, &query).await;
    drop(store);
    let store = open(&place).await;
    assert_eq!(all(&store, &query).await, before);
    assert_eq!(before.0.len(), 700);
    let checkpoint = checkpoint(&store, "c").await.unwrap();
    assert_eq!((checkpoint.resource_version.as_deref(), checkpoint.objects), (Some("41"), 700));
}

async fn every_change_has_a_greater_number_than_all_before(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let mut last = 0;
    let steps = [
        vec![draft("default", "a").upsert(), draft("default", "b").upsert()],
        vec![draft("default", "a").version("2").upsert()],
        vec![Change::Delete(name("b"))],
        vec![draft("default", "b").version("3").upsert()],
    ];
    for changes in steps {
        let applied = store.apply(batch("c", &things(), changes)).await.unwrap();
        assert!(applied.sequence > last, "{applied:?} after {last}");
        let (rows, _) = all(&store, &Query::of(things())).await;
        let mut numbers: Vec<u64> = rows.iter().map(|row| row.position.sequence).collect();
        numbers.sort_unstable();
        numbers.dedup();
        assert_eq!(numbers.len(), rows.len());
        assert!(numbers.iter().all(|number| *number <= applied.sequence));
        last = applied.sequence;
    }
}

async fn numbers_go_on_after_reopening(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("default", "a")]).await;
    let deleted = batch("c", &things(), vec![Change::Delete(name("a"))]);
    let before = store.apply(deleted).await.unwrap().sequence;
    drop(store);
    let store = open(&place).await;
    let made = batch("c", &things(), vec![draft("default", "a").upsert()]);
    assert!(store.apply(made).await.unwrap().sequence > before);
}

async fn an_upsert_of_the_stored_version_is_no_change(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("default", "a")]).await;
    let (before, _) = all(&store, &Query::of(things())).await;
    let applied = store.apply(batch("c", &things(), vec![draft("default", "a").upsert()])).await.unwrap();
    assert_eq!((applied.upserted, applied.unchanged, applied.sequence), (0, 1, 0));
    assert_eq!(all(&store, &Query::of(things())).await.0, before);
}

async fn an_object_of_another_uid_is_a_change(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("default", "a").label("old", "1")]).await;
    let mut other = draft("default", "a");
    other.key.uid = "8f2d6f3c-1f0e-4a57-9c0b-0123456789ab".into();
    let applied = store.apply(batch("c", &things(), vec![other.upsert()])).await.unwrap();
    assert_eq!(applied.upserted, 1);
    let row = store.get(&cluster("c"), &things(), &name("a")).await.unwrap().unwrap();
    assert_eq!(row.uid, other.key.uid);
}

async fn of_two_changes_of_one_object_the_later_counts(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let changes = vec![
        draft("default", "a").upsert(),
        draft("default", "a").version("2").upsert(),
        draft("default", "b").upsert(),
        Change::Delete(name("b")),
    ];
    let applied = store.apply(batch("c", &things(), changes)).await.unwrap();
    assert_eq!((applied.upserted, applied.deleted), (3, 1));
    let (rows, _) = all(&store, &Query::of(things())).await;
    assert_eq!(rows.len(), 1);
    assert_eq!(rows[0].position.version.to_string(), "2");
    assert_eq!(checkpoint(&store, "c").await.unwrap().objects, 1);
}

async fn deleting_what_is_not_there_is_no_change(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let applied = store.apply(batch("c", &things(), vec![Change::Delete(name("a"))])).await.unwrap();
    assert_eq!((applied.deleted, applied.sequence), (0, 0));
}

async fn a_checkpoint_moves_with_a_batch_that_has_one(place: Arc<dyn Place>) {
    let store = open(&place).await;
    put(&store, "c", &[draft("default", "a")]).await;
    assert_eq!(checkpoint(&store, "c").await.unwrap().resource_version, None);
    let changes = vec![draft("default", "b").upsert()];
    store.apply(Batch { checkpoint: Some("7".into()), ..batch("c", &things(), changes) }).await.unwrap();
    put(&store, "c", &[draft("default", "c")]).await;
    let checkpoint = checkpoint(&store, "c").await.unwrap();
    assert_eq!((checkpoint.resource_version.as_deref(), checkpoint.objects), (Some("7"), 3));
}

async fn an_empty_batch_can_move_the_checkpoint(place: Arc<dyn Place>) {
    let store = open(&place).await;
    store.apply(Batch { checkpoint: Some("7".into()), ..batch("c", &things(), vec![]) }).await.unwrap();
    let checkpoint = checkpoint(&store, "c").await.unwrap();
    assert_eq!((checkpoint.resource_version.as_deref(), checkpoint.objects), (Some("7"), 0));
}

/// Two relists: of 1,300 objects every third is in the second, half of these unchanged.
async fn relisted(store: &Arc<dyn Store>) -> Generation {
    let drafts: Vec<Draft> = (0..1300).map(|at| draft("default", &format!("n{at:04}"))).collect();
    put(store, "c", &drafts).await;
    put(store, "other", &drafts[..3]).await;
    let generation = store.begin_generation(&cluster("c"), &things()).await.unwrap();
    let seen: Vec<Draft> = drafts
        .into_iter()
        .step_by(3)
        .enumerate()
        .map(|(at, draft)| if at % 2 == 0 { draft } else { draft.version("2") })
        .collect();
    put(store, "c", &seen).await;
    generation
}

async fn a_sweep_deletes_what_was_not_seen(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let generation = relisted(&store).await;
    assert_eq!(store.sweep(generation, None).await.unwrap(), 866);
    let (rows, _) = all(&store, &Query::of(things())).await;
    assert_eq!(rows.len(), 434 + 3);
    assert!(
        rows.iter()
            .filter(|row| row.position.cluster == cluster("c"))
            .all(|row| { row.position.name.trim_start_matches('n').parse::<u32>().unwrap() % 3 == 0 })
    );
    assert_eq!(checkpoint(&store, "c").await.unwrap().objects, 434);
}

async fn a_sweep_can_be_repeated(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let generation = relisted(&store).await;
    store.sweep(generation.clone(), None).await.unwrap();
    put(&store, "c", &[draft("default", "later")]).await;
    assert_eq!(store.sweep(generation, None).await.unwrap(), 0);
    assert_eq!(checkpoint(&store, "c").await.unwrap().objects, 435);
}

async fn a_later_generation_supersedes(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let first = relisted(&store).await;
    let second = store.begin_generation(&cluster("c"), &things()).await.unwrap();
    let error = store.sweep(first, Some("9".into())).await.unwrap_err();
    assert!(matches!(error, Error::Superseded), "{error}");
    assert_eq!(checkpoint(&store, "c").await.unwrap().objects, 1300);
    assert_eq!(store.sweep(second.clone(), None).await.unwrap(), 1300);
    store.remove_cluster(&cluster("c")).await.unwrap();
    let error = store.sweep(second, None).await.unwrap_err();
    assert!(matches!(error, Error::Superseded), "{error}");
}

async fn a_sweep_stores_its_checkpoint(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let generation = store.begin_generation(&cluster("c"), &things()).await.unwrap();
    assert_eq!(checkpoint(&store, "c").await.unwrap().resource_version, None);
    assert_eq!(store.sweep(generation, Some("12".into())).await.unwrap(), 0);
    assert_eq!(checkpoint(&store, "c").await.unwrap().resource_version.as_deref(), Some("12"));
}

/// Two resources in two clusters.
async fn two_by_two(store: &Arc<dyn Store>) {
    for cluster in ["b", "a"] {
        for resource in [things(), gadgets()] {
            let changes = vec![draft("default", "web").label("app", "web").owned_by("o").upsert()];
            store
                .apply(Batch { checkpoint: Some("1".into()), ..batch(cluster, &resource, changes) })
                .await
                .unwrap();
        }
    }
}

async fn a_removed_resource_is_gone_at_once(place: Arc<dyn Place>) {
    let store = open(&place).await;
    two_by_two(&store).await;
    store.remove_resource(&cluster("a"), &things()).await.unwrap();
    assert_eq!(names(&store, &Query::of(things())).await, ["b/default/web"]);
    assert_eq!(names(&store, &Query::of(gadgets())).await, ["a/default/web", "b/default/web"]);
    assert_eq!(store.get(&cluster("a"), &things(), &name("web")).await.unwrap(), None);
    assert_eq!(checkpoint(&store, "a").await, None);
    assert!(store.versions(&cluster("a"), &things(), None, 10).await.unwrap().is_empty());
    let fuzzy = Query { fuzzy_names: vec!["web".into()], ..Query::of(things()) };
    assert_eq!(names(&store, &fuzzy).await, ["b/default/web"]);
}

async fn a_removed_cluster_is_gone_at_once(place: Arc<dyn Place>) {
    let store = open(&place).await;
    two_by_two(&store).await;
    store.remove_cluster(&cluster("a")).await.unwrap();
    assert_eq!(names(&store, &Query { resources: vec![<_>::default()], ..<_>::default() }).await.len(), 2);
    assert_eq!(store.clusters().await.unwrap(), [cluster("b")]);
    assert!(store.checkpoints(&cluster("a")).await.unwrap().is_empty());
}

async fn removed_objects_do_not_come_back(place: Arc<dyn Place>) {
    let store = open(&place).await;
    two_by_two(&store).await;
    store.remove_cluster(&cluster("a")).await.unwrap();
    put(&store, "a", &[draft("default", "new")]).await;
    let of_a = Query { clusters: Some([cluster("a")].into()), ..Query::of(things()) };
    assert_eq!(names(&store, &of_a).await, ["a/default/new"]);
    let checkpoint = checkpoint(&store, "a").await.unwrap();
    assert_eq!((checkpoint.resource_version, checkpoint.objects), (None, 1));
    drop(store);
    let store = open(&place).await;
    assert_eq!(names(&store, &of_a).await, ["a/default/new"]);
}

async fn what_is_not_there_can_be_removed(place: Arc<dyn Place>) {
    let store = open(&place).await;
    store.remove_resource(&cluster("a"), &things()).await.unwrap();
    store.remove_cluster(&cluster("a")).await.unwrap();
}

async fn clusters_and_resources_are_listed_in_order(place: Arc<dyn Place>) {
    let store = open(&place).await;
    two_by_two(&store).await;
    store.remove_resource(&cluster("a"), &things()).await.unwrap();
    store.begin_generation(&cluster("empty"), &things()).await.unwrap();
    assert_eq!(store.clusters().await.unwrap(), ["a", "b", "empty"].map(cluster));
    assert_eq!(store.resources(None).await.unwrap(), [things(), gadgets()]);
    assert_eq!(store.resources(Some(&[cluster("a")])).await.unwrap(), [gadgets()]);
    assert_eq!(store.resources(Some(&[cluster("empty"), cluster("no")])).await.unwrap(), []);
    let resources: Vec<_> = store.checkpoints(&cluster("b")).await.unwrap();
    assert_eq!(
        resources.iter().map(|checkpoint| checkpoint.resource.clone()).collect::<Vec<_>>(),
        [things(), gadgets()]
    );
}

async fn versions_come_in_pages(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let drafts = [draft("b", "a"), draft("a", "b").version("x"), draft("", "c"), draft("a", "a")];
    put(&store, "c", &drafts).await;
    let (mut after, mut found) = (None, Vec::new());
    loop {
        let page = store.versions(&cluster("c"), &things(), after.take(), 3).await.unwrap();
        after = page.last().map(|version| version.name.clone());
        let ended = page.len() < 3;
        found.extend(page.into_iter().map(|version| {
            format!("{}/{}={}", version.name.namespace, version.name.name, version.resource_version)
        }));
        if ended {
            break;
        }
    }
    assert_eq!(found, ["/c=1", "a/a=1", "a/b=x", "b/a=1"]);
    let keys = Query { content: Content::Keys, ..Query::of(things()) };
    assert!(all(&store, &keys).await.0.iter().all(|row| row.json.is_empty()));
}

async fn the_head_is_the_number_of_the_last_change(place: Arc<dyn Place>) {
    let store = open(&place).await;
    assert_eq!(store.head().await.unwrap(), 0);
    let two = vec![draft("default", "a").upsert(), draft("default", "b").upsert()];
    let made = store.apply(batch("c", &things(), two)).await.unwrap().sequence;
    assert_eq!(store.head().await.unwrap(), made);
    put(&store, "c", &[draft("default", "a")]).await;
    assert_eq!(store.head().await.unwrap(), made, "an upsert of what is stored is no change");
    let deleted = batch("c", &things(), vec![Change::Delete(name("a"))]);
    let deleted = store.apply(deleted).await.unwrap().sequence;
    assert_eq!(store.head().await.unwrap(), deleted);
    let generation = store.begin_generation(&cluster("c"), &things()).await.unwrap();
    assert_eq!(store.sweep(generation, None).await.unwrap(), 1);
    let swept = store.head().await.unwrap();
    assert!(swept > deleted, "{swept} after {deleted}");
    store.remove_cluster(&cluster("c")).await.unwrap();
    let removed = store.head().await.unwrap();
    assert!(removed > swept, "{removed} after {swept}");
    drop(store);
    assert_eq!(open(&place).await.head().await.unwrap(), removed);
}

async fn a_description_stays_until_its_resource_goes(place: Arc<dyn Place>) {
    let store = open(&place).await;
    let described = async |store: &Arc<dyn Store>, of: Option<&[&str]>| {
        let clusters: Option<Vec<_>> = of.map(|of| of.iter().map(|name| cluster(name)).collect());
        store.description(clusters.as_deref(), &things()).await.unwrap()
    };
    assert_eq!(described(&store, None).await, None);
    for (of, text) in [("d", "of d"), ("c", "earlier"), ("c", "of c")] {
        store.describe(&cluster(of), &things(), text.into()).await.unwrap();
    }
    put(&store, "b", &[draft("default", "a")]).await;
    drop(store);
    let store = open(&place).await;
    assert_eq!(described(&store, None).await.as_deref(), Some("of c"));
    assert_eq!(described(&store, Some(&["d", "b"])).await.as_deref(), Some("of d"));
    assert_eq!(described(&store, Some(&["b"])).await, None);
    assert_eq!(store.description(None, &gadgets()).await.unwrap(), None);
    store.remove_resource(&cluster("c"), &things()).await.unwrap();
    assert_eq!(described(&store, None).await.as_deref(), Some("of d"));
    store.remove_cluster(&cluster("d")).await.unwrap();
    assert_eq!(described(&store, None).await, None);
}
