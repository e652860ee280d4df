use super::*;
use crate::fake::{Answer, Fake, ok, refused};

fn aggregated_answer(body: &'static str) -> Answer {
    ok(body).header("content-type", "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList")
}

const CORE: &str = r#"{"kind":"APIGroupDiscoveryList","items":[{"metadata":{},"versions":[{"version":"v1","resources":[
    {"resource":"pods","responseKind":{"group":"","version":"","kind":"Pod"},"scope":"Namespaced","singularResource":"pod",
     "verbs":["watch","list","get"],"shortNames":["po"],"categories":["all"],
     "subresources":[{"subresource":"log","responseKind":{"kind":"Pod"},"verbs":["get"]}]},
    {"resource":"nodes","responseKind":{"kind":"Node"},"scope":"Cluster","singularResource":"node","verbs":["list"]}
  ],"freshness":"Current"}]}]}"#;

const GROUPS: &str = r#"{"kind":"APIGroupDiscoveryList","items":[
  {"metadata":{"name":"autoscaling"},"versions":[
    {"version":"v2","resources":[{"resource":"horizontalpodautoscalers","responseKind":{"kind":"HorizontalPodAutoscaler"},
      "scope":"Namespaced","verbs":["list"]}],"freshness":"Current"},
    {"version":"v1","resources":[{"resource":"horizontalpodautoscalers","responseKind":{"kind":"HorizontalPodAutoscaler"},
      "scope":"Namespaced","verbs":["list"]},{"resource":"onlysub","subresources":[]}],"freshness":"Current"}]},
  {"metadata":{"name":"metrics.k8s.io"},"versions":[{"version":"v1beta1","resources":null,"freshness":"Stale"}]}]}"#;

fn names(discovered: &Discovered) -> Vec<String> {
    discovered.resources.iter().map(|api| format!("{} {}", api.resource, api.priority)).collect()
}

#[tokio::test]
async fn two_documents_say_it_all_and_who_does_not_answer() {
    let fake = Fake::script([aggregated_answer(CORE), aggregated_answer(GROUPS)]);
    let discovered = discover(&*fake).await.unwrap();
    assert_eq!(
        names(&discovered),
        [
            "v1/nodes 0",
            "v1/pods 0",
            "autoscaling/v2/horizontalpodautoscalers 0",
            "autoscaling/v1/horizontalpodautoscalers 1"
        ]
    );
    let pods = &discovered.resources[1];
    assert_eq!((pods.kind.as_str(), pods.singular.as_str(), pods.namespaced), ("Pod", "pod", true));
    assert_eq!(pods.verbs, ["get", "list", "watch"]);
    assert_eq!(
        (pods.short_names.as_slice(), pods.categories.as_slice()),
        (&["po".into()][..], &["all".into()][..])
    );
    assert!(
        pods.can("watch") && !discovered.resources[0].can("watch") && !discovered.resources[0].namespaced
    );
    assert_eq!(discovered.unavailable.len(), 1);
    assert_eq!(discovered.unavailable[0].group, "metrics.k8s.io");
    assert_eq!(fake.paths(), ["/api", "/apis"]);
}

fn classic(path: &str) -> Answer {
    match path {
        "/api" => ok(r#"{"kind":"APIVersions","versions":["v1"]}"#),
        "/apis" => ok(r#"{"kind":"APIGroupList","groups":[
            {"name":"autoscaling","versions":[{"groupVersion":"autoscaling/v1","version":"v1"},
              {"groupVersion":"autoscaling/v2","version":"v2"}],
             "preferredVersion":{"groupVersion":"autoscaling/v2","version":"v2"}},
            {"name":"metrics.k8s.io","versions":[{"groupVersion":"metrics.k8s.io/v1beta1","version":"v1beta1"}]},
            {"name":"empty","versions":[{"groupVersion":"empty/v1","version":"v1"}]}]}"#),
        "/api/v1" => ok(r#"{"kind":"APIResourceList","resources":[
            {"name":"pods","singularName":"","namespaced":true,"kind":"Pod","verbs":["list","get"],"shortNames":["po"]},
            {"name":"pods/log","singularName":"","namespaced":true,"kind":"Pod","verbs":["get"]}]}"#),
        "/apis/autoscaling/v1" | "/apis/autoscaling/v2" => ok(r#"{"resources":[
            {"name":"horizontalpodautoscalers","namespaced":true,"kind":"HorizontalPodAutoscaler","verbs":null}]}"#),
        "/apis/empty/v1" => ok(r#"{"resources":null}"#),
        _ => refused(503),
    }
}

#[tokio::test(start_paused = true)]
async fn an_old_server_is_asked_group_by_group_and_a_broken_one_hides_no_other() {
    let fake = Fake::new(|asked| classic(&asked.path));
    let discovered = discover(&*fake).await.unwrap();
    assert_eq!(
        names(&discovered),
        [
            "v1/pods 0",
            "autoscaling/v2/horizontalpodautoscalers 0",
            "autoscaling/v1/horizontalpodautoscalers 1"
        ]
    );
    assert_eq!(discovered.resources[0].singular, "pod");
    let [unavailable] = discovered.unavailable.as_slice() else { panic!("{:?}", discovered.unavailable) };
    assert_eq!((unavailable.group.as_str(), unavailable.version.as_str()), ("metrics.k8s.io", "v1beta1"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_is_busy_for_a_moment_is_asked_again() {
    let fake = Fake::script([
        refused(429).header("retry-after", "1"),
        aggregated_answer(CORE),
        aggregated_answer(r#"{"items":null}"#),
    ]);
    assert_eq!(names(&discover(&*fake).await.unwrap()), ["v1/nodes 0", "v1/pods 0"]);
}

#[tokio::test]
async fn nothing_found_out_is_an_error_and_not_an_empty_cluster() {
    for (answer, reason) in [
        (refused(401), "Unauthorized"),
        (refused(403), "Forbidden"),
        (ok("[]"), "BrokenAnswer"),
        (ok("{}"), "BrokenAnswer"),
        (aggregated_answer(r#"{"items":[]}"#), "BrokenAnswer"),
    ] {
        let fake = Fake::script([answer, aggregated_answer(r#"{"items":[]}"#)]);
        assert_eq!(discover(&*fake).await.unwrap_err().reason(), reason);
    }
}
