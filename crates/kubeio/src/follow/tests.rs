use super::*;
use crate::{
    Resource,
    fake::{Answer, Fake, event, ok, page, pod, refused},
};

fn follow(fake: &Arc<Fake>, resume: Option<&str>) -> Follower {
    let selection = Selection::all(Resource::new("", "v1", "pods"));
    let resume = resume.map(str::to_owned);
    Follower::new(fake.clone(), FollowRequest { resume, ..FollowRequest::new(selection, "Pod") })
}

/// The next steps, in short.
async fn steps(follower: &mut Follower, number: usize) -> Vec<String> {
    let mut steps = Vec::new();
    for _ in 0..number {
        steps.push(match follower.next().await {
            Step::ListBegan => String::from("list"),
            Step::Listed(pod) => format!("= {}", pod.key.name),
            Step::ListDone { resource_version } => format!("listed {resource_version}"),
            Step::Changed(pod) => format!("+ {} {}", pod.key.name, pod.key.resource_version),
            Step::Deleted(pod) => format!("- {} {}", pod.key.name, pod.key.resource_version),
            Step::Bookmark { resource_version } => format!("at {resource_version}"),
            Step::Unreadable(_) => String::from("unreadable"),
            Step::Failed { error, .. } => format!("failed {}", error.reason()),
        });
    }
    steps
}

/// What was asked for, in short.
fn asked(fake: &Fake) -> Vec<String> {
    let short = |path: &String| {
        let part =
            |name: &str| path.split(['?', '&']).find_map(|part| part.strip_prefix(name)).map(str::to_owned);
        if let Some(version) = part("resourceVersion=") {
            return format!("watch {version}");
        }
        match part("limit=").as_deref() {
            Some("1") => String::from("newest"),
            Some(_) => String::from("list"),
            None => String::from("whole list"),
        }
    };
    fake.paths().iter().map(short).collect()
}

fn listed(version: &str, pods: &[&str]) -> Answer {
    ok(page(version, "", pods))
}

fn expired() -> Answer {
    ok(event("ERROR", &meta::Status::gone("too old").to_json()))
}

#[tokio::test(start_paused = true)]
async fn a_list_is_followed_by_a_watch_from_its_place() {
    let events = [
        event("ADDED", &pod("b", 8)),
        event("MODIFIED", &pod("a", 9)),
        event("DELETED", &pod("b", 10)),
        event("BOOKMARK", r#"{"metadata":{"resourceVersion":"20"}}"#),
    ];
    let fake = Fake::script([listed("7", &[&pod("a", 1)]), ok(events.concat()).stalls(), ok("").stalls()]);
    let mut follower = follow(&fake, None);
    let expected = ["list", "= a", "listed 7", "+ b 8", "+ a 9", "- b 10", "at 20"];
    assert_eq!(steps(&mut follower, 7).await, expected);
    // The watch comes to its regular end, and the next goes on where it was.
    let silence = tokio::time::timeout(Duration::from_secs(300), follower.next()).await;
    assert!(silence.is_err());
    assert_eq!(asked(&fake), ["list", "watch 7", "watch 20"]);
}

#[tokio::test]
async fn nothing_is_asked_for_between_the_word_that_a_list_begins_and_the_next_step() {
    let fake = Fake::script([listed("7", &[])]);
    let mut follower = follow(&fake, None);
    assert_eq!(steps(&mut follower, 1).await, ["list"]);
    assert!(fake.asked().is_empty());
    assert_eq!(steps(&mut follower, 1).await, ["listed 7"]);
}

#[tokio::test]
async fn a_stored_place_is_gone_on_from_without_a_list() {
    let fake = Fake::script([listed("30", &[]), ok(event("ADDED", &pod("c", 25))).stalls()]);
    assert_eq!(steps(&mut follow(&fake, Some("20")), 1).await, ["+ c 25"]);
    assert_eq!(asked(&fake), ["newest", "watch 20"]);
}

#[tokio::test]
async fn a_cluster_that_was_set_back_is_listed_again() {
    let fake = Fake::script([listed("9", &[]), listed("9", &[&pod("a", 1)]), ok("").stalls()]);
    assert_eq!(steps(&mut follow(&fake, Some("20")), 3).await, ["list", "= a", "listed 9"]);
    assert_eq!(asked(&fake), ["newest", "list"]);
}

#[tokio::test]
async fn a_place_that_is_gone_leads_to_a_list_at_once() {
    let fake = Fake::script([
        listed("30", &[]),
        expired(),
        listed("30", &[&pod("a", 29)]),
        ok(event("DELETED", &pod("a", 31))).stalls(),
    ]);
    let expected = ["list", "= a", "listed 30", "- a 31"];
    assert_eq!(steps(&mut follow(&fake, Some("20")), 4).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_place_that_is_gone_again_right_after_the_list_is_waited_for() {
    let script = [
        listed("7", &[]),
        expired(),
        listed("8", &[]),
        refused(410),
        listed("9", &[]),
        ok(event("ADDED", &pod("a", 10))).stalls(),
    ];
    let fake = Fake::script(script);
    let expected = ["list", "listed 7", "list", "listed 8", "failed Expired", "list", "listed 9", "+ a 10"];
    assert_eq!(steps(&mut follow(&fake, None), 8).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_list_too_slow_for_its_pages_is_tried_in_one() {
    let fake =
        Fake::script([ok(page("7", "two", &[&pod("a", 1)])), refused(410), listed("8", &[&pod("a", 1)])]);
    let expected = ["list", "= a", "failed Expired", "list", "= a", "listed 8"];
    assert_eq!(steps(&mut follow(&fake, None), 6).await, expected);
    assert_eq!(asked(&fake), ["list", "list", "whole list"]);
}

#[tokio::test(start_paused = true)]
async fn a_broken_watch_goes_on_from_its_last_event_after_a_look_at_the_newest_place() {
    let fake = Fake::script([
        listed("7", &[]),
        ok(event("ADDED", &pod("a", 8))).breaks(),
        listed("9", &[]),
        ok(event("MODIFIED", &pod("a", 9))).stalls(),
    ]);
    let expected = ["list", "listed 7", "+ a 8", "failed Unreachable", "+ a 9"];
    assert_eq!(steps(&mut follow(&fake, None), 5).await, expected);
    assert_eq!(asked(&fake), ["list", "watch 7", "newest", "watch 8"]);
}

#[tokio::test(start_paused = true)]
async fn failures_in_a_row_wait_longer_up_to_a_minute_and_an_event_makes_the_next_a_first_one() {
    let fake = Fake::new(|asked| {
        if asked.path.contains("watch") { ok(event("ADDED", &pod("a", 8))).breaks() } else { refused(403) }
    });
    let mut follower = follow(&fake, None);
    let mut longest = Duration::ZERO;
    for _ in 0..20 {
        if let Step::Failed { retry_in, .. } = follower.next().await {
            longest = longest.max(retry_in);
            assert!(retry_in <= Duration::from_secs(60));
        }
    }
    assert!(longest > Duration::from_secs(10), "{longest:?}");
    follower.place = Some(String::from("7"));
    follower.doubt = false;
    assert_eq!(steps(&mut follower, 1).await, ["+ a 8"]);
    let Step::Failed { retry_in, .. } = follower.next().await else { panic!() };
    assert!(retry_in <= Duration::from_secs(1));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_wants_a_rest_gets_it() {
    let fake =
        Fake::script([listed("7", &[]), refused(429).header("retry-after", "90"), listed("7", &[]), ok("")]);
    let mut follower = follow(&fake, None);
    steps(&mut follower, 2).await;
    let Step::Failed { retry_in, .. } = follower.next().await else { panic!() };
    assert_eq!(retry_in, Duration::from_secs(90));
    let failed = Instant::now();
    follower.next().await;
    assert!(failed.elapsed() >= retry_in);
}

#[tokio::test(start_paused = true)]
async fn a_watch_that_ends_as_soon_as_it_begins_is_not_begun_again_and_again() {
    let fake = Fake::new(|asked| if asked.path.contains("watch") { ok("") } else { listed("7", &[]) });
    let expected = ["list", "listed 7", "failed Unreachable", "failed Unreachable"];
    assert_eq!(steps(&mut follow(&fake, None), 4).await, expected);
}

#[tokio::test(start_paused = true)]
async fn a_resource_that_went_and_came_again_is_listed_again() {
    let fake = Fake::script([listed("7", &[]), refused(404), refused(404), listed("30", &[])]);
    let expected = ["list", "listed 7", "failed NotFound", "list", "failed NotFound", "list", "listed 30"];
    assert_eq!(steps(&mut follow(&fake, None), 7).await, expected);
}

#[tokio::test]
async fn one_object_that_cannot_be_read_does_not_stop_the_others() {
    let fake = Fake::script([
        listed("7", &["{}", &pod("a", 1)]),
        ok([event("ADDED", r#"{"metadata":[]}"#), event("ADDED", &pod("b", 8))].concat()).stalls(),
    ]);
    let expected = ["list", "unreadable", "= a", "listed 7", "unreadable", "+ b 8"];
    assert_eq!(steps(&mut follow(&fake, None), 6).await, expected);
}

#[tokio::test]
async fn objects_know_their_kind_though_lists_do_not_say_it() {
    let fake = Fake::script([listed("7", &[&pod("a", 1)])]);
    let mut follower = follow(&fake, None);
    follower.next().await;
    let Step::Listed(pod) = follower.next().await else { panic!() };
    assert_eq!((pod.key.api_version.as_str(), pod.key.kind.as_str()), ("v1", "Pod"));
}

#[test]
fn resource_versions_are_compared_as_numbers_of_any_length_and_only_as_numbers() {
    for (a, b, before) in [
        ("9", "10", true),
        ("10", "9", false),
        ("10", "10", false),
        ("099", "100", true),
        ("99999999999999999999998", "99999999999999999999999", true),
        ("", "1", false),
        ("1", "a2", false),
    ] {
        assert_eq!(is_before(a, b), before, "{a} {b}");
    }
}
