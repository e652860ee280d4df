use std::sync::Arc;

use super::*;
use crate::{
    Resource,
    fake::{Answer, Fake, event, ok, pod, refused},
};

fn request() -> WatchRequest {
    let selection = Selection::all(Resource::new("", "v1", "pods"));
    WatchRequest { selection, resource_version: String::from("5"), bookmarks: true }
}

async fn watch(answer: Answer) -> (Arc<Fake>, Watch) {
    let fake = Fake::script([answer]);
    let watch = Watch::begin(&*fake, &request()).await.unwrap();
    (fake, watch)
}

#[tokio::test]
async fn events_come_one_by_one_whatever_their_pieces() {
    let bookmark = r#"{"kind":"Pod","metadata":{"resourceVersion":"9"}}"#;
    let stream = [
        event("ADDED", &pod("a", 6)),
        event("MODIFIED", &pod("a", 7)),
        event("DELETED", &pod("a", 8)),
        event("BOOKMARK", bookmark),
    ]
    .concat();
    let answer = stream.as_bytes().chunks(7).fold(ok(""), |answer, piece| answer.then(piece.to_vec()));
    let (fake, mut watch) = watch(answer).await;
    assert_eq!(watch.next().await.unwrap(), Some(WatchEvent::Added(pod("a", 6).into())));
    assert_eq!(watch.next().await.unwrap(), Some(WatchEvent::Modified(pod("a", 7).into())));
    assert_eq!(watch.next().await.unwrap(), Some(WatchEvent::Deleted(pod("a", 8).into())));
    let Some(WatchEvent::Bookmark(bookmark)) = watch.next().await.unwrap() else { panic!() };
    assert_eq!(bookmark.resource_version, "9");
    assert_eq!(watch.next().await.unwrap(), None);
    assert_eq!(watch.next().await.unwrap(), None);
    assert_eq!(fake.asked()[0].lane, Lane::Watch);
}

#[tokio::test]
async fn a_watch_asks_for_plain_bytes_and_for_an_end() {
    let (fake, _) = watch(ok("")).await;
    let asked = &fake.asked()[0];
    assert_eq!(asked.headers["accept-encoding"], "identity");
    let path = &asked.path;
    assert!(path.starts_with("/api/v1/pods?watch=true&resourceVersion=5&timeoutSeconds=2"), "{path}");
    assert!(path.ends_with("&allowWatchBookmarks=true"), "{path}");
}

#[tokio::test]
async fn a_place_that_is_gone_is_expired_whether_it_is_said_at_first_or_later() {
    let fake = Fake::script([refused(410)]);
    assert!(matches!(Watch::begin(&*fake, &request()).await, Err(Error::Expired(_))));
    let status = meta::Status::gone("too old resource version: 5 (7)").to_json();
    let (_, mut watch) = watch(ok(event("ERROR", &status))).await;
    assert!(matches!(watch.next().await, Err(Error::Expired(_))));
    assert_eq!(watch.next().await.unwrap(), None);
}

#[tokio::test]
async fn a_watch_that_breaks_off_is_unreachable_and_one_of_something_else_is_broken() {
    let half = &event("ADDED", &pod("a", 6))[..20];
    for (answer, reason) in [
        (ok(half.to_owned()), "Unreachable"),
        (ok(half.to_owned()).breaks(), "Unreachable"),
        (ok(crate::fake::page("7", "", &[])), "BrokenAnswer"),
        (ok(event("OTHER", "{}")), "BrokenAnswer"),
    ] {
        let (_, mut watch) = watch(answer).await;
        assert_eq!(watch.next().await.unwrap_err().reason(), reason);
    }
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_nobody_ends_ends_by_itself() {
    let (_, mut watch) = watch(ok("").stalls()).await;
    let began = Instant::now();
    assert_eq!(watch.next().await.unwrap(), None);
    let took = began.elapsed().as_secs();
    assert!((210..=251).contains(&took), "{took}");
    assert!(watch.had_its_time());
}
