use std::time::Duration;

use tokio::time::timeout;

use super::*;
use crate::{
    Resource,
    fake::{Fake, ok, page, pod, refused},
};

fn pods() -> Selection {
    Selection::all(Resource::new("", "v1", "pods"))
}

fn list(fake: &Arc<Fake>) -> List {
    List::new(fake.clone(), ListRequest::new(pods()))
}

/// The names of the objects up to the end or an error.
async fn names(list: &mut List) -> (Vec<String>, Option<Error>) {
    let mut names = Vec::new();
    loop {
        match list.next().await {
            Ok(Some(item)) => names.push(meta::RawObject::from_json(&item, "v1", "Pod").unwrap().key.name),
            Ok(None) => return (names, None),
            Err(error) => return (names, Some(error)),
        }
    }
}

#[tokio::test]
async fn pages_follow_each_other_and_the_last_says_where_to_watch_from() {
    let fake = Fake::script([
        ok(page("7", "two&", &[&pod("a", 1), &pod("b", 2)])),
        ok(page("7", "", &[&pod("c", 3)])),
    ]);
    let mut list = list(&fake);
    assert_eq!(names(&mut list).await.0, ["a", "b", "c"]);
    assert_eq!(list.resource_version(), "7");
    assert!(list.next().await.unwrap().is_none());
    assert_eq!(fake.paths(), ["/api/v1/pods?limit=500", "/api/v1/pods?limit=2000&continue=two%26"]);
    assert!(fake.asked().iter().all(|asked| asked.lane == Lane::Short));
}

/// The page sizes that were asked for.
fn sizes(fake: &Fake) -> Vec<u32> {
    let size = |path: String| path.split("limit=").nth(1)?.split('&').next()?.parse().ok();
    fake.paths().into_iter().filter_map(size).collect()
}

#[tokio::test(start_paused = true)]
async fn pages_grow_while_they_come_quickly() {
    let pages = (0..5).map(|number| ok(page("7", &number.to_string(), &[&pod("a", 1)])));
    let fake = Fake::script(pages.chain([ok(page("7", "", &[]))]));
    let mut list = list(&fake);
    for _ in 0..4 {
        list.next().await.unwrap();
    }
    // Whoever takes an object slowly holds up the page it is in.
    tokio::time::sleep(Duration::from_secs(3)).await;
    names(&mut list).await;
    assert_eq!(sizes(&fake), [500, 2000, 8000, 10_000, 500, 2000]);
}

#[tokio::test(start_paused = true)]
async fn a_page_is_asked_for_again_in_its_size_and_the_next_is_small() {
    let second = page("7", "three", &[&pod("b", 2)]);
    let half = second[..second.len() - 30].to_owned();
    let fake = Fake::script([
        ok(page("7", "two", &[&pod("a", 1)])),
        ok(half).breaks(),
        ok(second),
        ok(page("7", "", &[&pod("c", 1)])),
    ]);
    assert_eq!(names(&mut list(&fake)).await.0, ["a", "b", "c"]);
    assert_eq!(sizes(&fake), [500, 2000, 2000, 500]);
}

#[tokio::test]
async fn an_answer_may_not_be_compressed() {
    let fake = Fake::script([ok(page("7", "", &[])).header("content-encoding", "gzip")]);
    assert!(matches!(names(&mut list(&fake)).await.1, Some(Error::Broken(_))));
    assert_eq!(fake.asked()[0].headers["accept-encoding"], "identity");
}

#[test]
fn what_is_asked_for_stands_in_the_path() {
    let selection = Selection {
        resource: Resource::new("apps", "v1", "deployments"),
        namespace: Some(String::from("default")),
        label_selector: Some(String::from("app in (a,b)")),
        field_selector: Some(String::from("metadata.name=a")),
        metadata_only: false,
    };
    let request = |at| ListRequest { at, page_size: None, ..ListRequest::new(selection.clone()) };
    let base = "/apis/apps/v1/namespaces/default/deployments\
                ?labelSelector=app+in+%28a%2Cb%29&fieldSelector=metadata.name%3Da";
    let version = || String::from("5");
    for (at, more) in [
        (ListAt::Newest, ""),
        (ListAt::Any, "&resourceVersion=0"),
        (ListAt::NotOlderThan(version()), "&resourceVersion=5&resourceVersionMatch=NotOlderThan"),
        (ListAt::Exactly(version()), "&resourceVersion=5&resourceVersionMatch=Exact"),
    ] {
        assert_eq!(request(at).path(None, None), format!("{base}{more}"));
    }
    assert_eq!(request(ListAt::Any).path(Some("t"), None), format!("{base}&continue=t"));
}

#[tokio::test]
async fn nothing_is_read_ahead_of_the_object_that_is_asked_for() {
    let whole = page("7", "", &[&pod("a", 1), &pod("b", 2), &pod("c", 3)]);
    let middle = whole.find(r#"{"metadata":{"name":"b""#).unwrap();
    let (begin, rest) = whole.split_at(middle);
    let fake = Fake::script([ok(begin.to_owned()).then(rest.to_owned())]);
    let mut list = list(&fake);
    list.next().await.unwrap();
    assert_eq!(fake.pieces_read(), 1);
    list.next().await.unwrap();
    list.next().await.unwrap();
    assert_eq!(fake.pieces_read(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_busy_server_is_asked_again_after_the_time_it_wants() {
    let fake = Fake::script([
        refused(429).header("retry-after", "4"),
        refused(503).header("retry-after", "2"),
        ok(page("7", "", &[&pod("a", 1)])),
    ]);
    let began = Instant::now();
    assert_eq!(names(&mut list(&fake)).await.0, ["a"]);
    let took = began.elapsed();
    assert!(took >= Duration::from_secs(6) && took < Duration::from_secs(8), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stays_busy_is_given_up() {
    let fake = Fake::new(|_| refused(429).header("retry-after", "1"));
    let (_, error) = names(&mut list(&fake)).await;
    assert!(matches!(error, Some(Error::TooManyRequests { .. })), "{error:?}");
    assert_eq!(fake.asked().len(), 5);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_a_long_rest_is_left_to_the_caller() {
    let fake = Fake::new(|_| refused(429).header("retry-after", "600"));
    let (_, error) = names(&mut list(&fake)).await;
    assert_eq!(error.unwrap().retry_after(), Some(Duration::from_secs(600)));
    assert_eq!(fake.asked().len(), 1);
}

#[tokio::test]
async fn a_refusal_is_the_callers_at_once() {
    for (status, reason) in [(401, "Unauthorized"), (403, "Forbidden"), (404, "NotFound"), (410, "Expired")] {
        let fake = Fake::new(move |_| refused(status));
        assert_eq!(names(&mut list(&fake)).await.1.unwrap().reason(), reason);
        assert_eq!(fake.asked().len(), 1);
    }
}

#[tokio::test]
async fn what_is_no_answer_of_an_api_server_is_broken() {
    let html = || ok("<html>").header("content-type", "text/html; charset=utf-8");
    let redirect = || refused(302).header("location", "https://login");
    let other = || ok(r#"{"kind":"Pod","metadata":{}}"#);
    let malformed = || ok(r#"{"kind":"PodList","items":[1]}"#);
    for answer in [html(), redirect(), other(), malformed()] {
        let fake = Fake::script([answer]);
        let (_, error) = names(&mut list(&fake)).await;
        assert!(matches!(error, Some(Error::Broken(_))), "{error:?}");
    }
}

#[tokio::test]
async fn a_first_page_that_breaks_off_is_an_error_because_its_state_is_gone() {
    let whole = page("7", "", &[&pod("a", 1), &pod("b", 2)]);
    let half = &whole[..whole.len() - 30];
    for answer in [ok(half.to_owned()), ok(half.to_owned()).breaks()] {
        let fake = Fake::script([answer, ok(whole.clone())]);
        let (names, error) = names(&mut list(&fake)).await;
        assert_eq!(names, ["a"]);
        assert!(matches!(error, Some(Error::Unreachable(_))), "{error:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_later_page_that_breaks_off_is_asked_for_again_and_nothing_comes_twice() {
    let second = page("7", "", &[&pod("b", 2), &pod("c", 3)]);
    let half = second[..second.len() - 30].to_owned();
    let fake = Fake::script([
        ok(page("7", "two", &[&pod("a", 1)])),
        ok(half.clone()).stalls(),
        ok(half).breaks(),
        ok(second),
    ]);
    let mut list = list(&fake);
    let (names, error) = names(&mut list).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!(list.resource_version(), "7");
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_stalls_ends_after_the_idle_deadline() {
    let whole = page("7", "", &[&pod("a", 1), &pod("b", 2)]);
    let fake = Fake::script([ok(whole[..whole.len() - 30].to_owned()).stalls()]);
    let began = Instant::now();
    let (_, error) = names(&mut list(&fake)).await;
    assert!(matches!(error, Some(Error::Unreachable(_))), "{error:?}");
    assert!(began.elapsed() >= IDLE && began.elapsed() < IDLE * 2);
}

#[tokio::test]
async fn a_continue_token_that_is_too_old_makes_the_caller_list_again() {
    let fake = Fake::script([ok(page("7", "two", &[&pod("a", 1)])), refused(410)]);
    assert!(matches!(names(&mut list(&fake)).await.1, Some(Error::Expired(_))));
}

#[tokio::test]
async fn a_list_without_end_ends_at_the_limit() {
    let numbers = std::sync::atomic::AtomicU64::new(0);
    let fake = Fake::new(move |_| {
        let token = numbers.fetch_add(1, std::sync::atomic::Ordering::Relaxed).to_string();
        ok(page("7", &token, &[]))
    });
    let mut list = List::new(fake.clone(), ListRequest { limit: 20, ..ListRequest::new(pods()) });
    assert!(matches!(names(&mut list).await.1, Some(Error::Broken(_))));
    assert_eq!(fake.asked().len(), 21);

    let fake = Fake::new(|_| ok(page("7", "same", &[])));
    assert!(matches!(names(&mut self::list(&fake)).await.1, Some(Error::Broken(_))));
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cancelled_step_loses_nothing() {
    let fake = Fake::script([refused(429).header("retry-after", "10"), ok(page("7", "", &[&pod("a", 1)]))]);
    let mut list = list(&fake);
    assert!(timeout(Duration::from_secs(5), list.next()).await.is_err());
    assert!(timeout(Duration::from_secs(60), list.next()).await.unwrap().unwrap().is_some());
    assert_eq!(fake.asked().len(), 2);
}

#[tokio::test]
async fn the_newest_resource_version_costs_one_object_without_its_body() {
    let fake = Fake::script([ok(page("9", "more", &[&pod("a", 1)]))]);
    assert_eq!(newest_version(&*fake, &pods()).await.unwrap(), "9");
    let asked = &fake.asked()[0];
    assert_eq!(asked.path, "/api/v1/pods?limit=1");
    assert!(asked.headers["accept"].to_str().unwrap().contains("PartialObjectMetadataList"));
}
