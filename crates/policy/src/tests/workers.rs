//! What a worker makes of the source objects of a policy, whatever happens to the lists and watches.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use api::{
    names::policy::conditions::{
        FAILED, NO_SOURCE_RESOURCE, NOT_SYNCED, RECONCILED, SOURCES_UNLISTED, SUCCESS, WAIT_SYNCED,
    },
    policy::{ClusterImportPolicy, PediaClusterLifecycle},
};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use kube::runtime::{
    reflector::{self, store::Writer},
    watcher::Event,
};
use kubeio::{Body, Error, Lane, Transport};
use runtime::Tasks;
use serde_json::{Value, json};
use testkit::apiserver::{ApiServer, Ask, Fault, SECRETS, Trouble};
use tokio::{sync::watch, time::sleep};

use crate::{
    Options,
    examine::Shared,
    fake::FakeParent,
    parent::Refusal,
    registry::{Readiness, Registry},
    worker::supervise,
};

const SOURCES: &str = "/apis/cluster.mcp.io/v1/clusters";
const POLICY: &str = "/apis/policy.clusterpedia.io/v1alpha1/clusterimportpolicies/mcp";
const LIFECYCLES: &str = "/apis/policy.clusterpedia.io/v1alpha1/pediaclusterlifecycles";

struct To(Arc<ApiServer>);

impl Transport for To {
    fn send(&self, request: Request<Bytes>, _: Lane) -> BoxFuture<'_, Result<Response<Body>, Error>> {
        let answer = self.0.answer(&request.uri().to_string());
        Box::pin(async { answer.ok_or_else(|| Error::Unreachable("connection refused".into())) })
    }
}

/// A parent whose lists and watches are one server, and whose writes are another: what is written is shown to the worker
/// when the test says so.
struct World {
    server: Arc<ApiServer>,
    parent: Arc<FakeParent>,
    registry: Arc<Registry>,
    writer: Writer<PediaClusterLifecycle>,
    policy: watch::Sender<Arc<ClusterImportPolicy>>,
    tasks: Tasks,
    shown: BTreeSet<String>,
}

fn policy() -> ClusterImportPolicy {
    let policy = json!({
        "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "ClusterImportPolicy",
        "metadata": { "name": "mcp", "uid": "p", "generation": 1, "finalizers": ["clusterpedia.io/cluster-import-policy-controller"] },
        "spec": {
            "source": { "group": "cluster.mcp.io", "resource": "clusters",
                        "selectorTemplate": "{{ ne .source.spec.take \"no\" }}" },
            "references": [{ "key": "s", "group": "", "resource": "secrets", "namespaceTemplate": "{{ .source.spec.ns }}",
                             "nameTemplate": "{{ .source.metadata.name }}" }],
            "nameTemplate": "mcp-{{ .source.spec.name | default .source.metadata.name }}",
            "template": "spec: { apiserver: a, syncResources: [] }",
            "creationCondition": "true",
        },
    });
    serde_json::from_value(policy).unwrap()
}

impl World {
    fn new(served: bool) -> Self {
        let server = ApiServer::new();
        if served {
            server.serve(SOURCES, "Cluster", false);
        }
        let parent = Arc::new(FakeParent::default());
        parent.put(POLICY, serde_json::to_value(policy()).unwrap());
        let (registry, mut wakes) = Registry::new();
        let (store, writer) = reflector::store();
        let (sender, receiver) = watch::channel(Arc::new(policy()));
        let shared = Arc::new(Shared {
            parent: parent.clone(),
            registry: registry.clone(),
            renderers: crate::renderers::Renderers::default(),
            options: Options::default(),
        });
        let tasks = Tasks::new();
        tasks.spawn("wakes", async move { while wakes.recv().await.is_some() {} });
        tasks.spawn("worker", supervise(shared, Arc::new(To(server.clone())), store, receiver));
        let mut world =
            Self { server, parent, registry, writer, policy: sender, tasks, shown: BTreeSet::new() };
        world.writer.apply_watcher_event(&Event::Init);
        world.writer.apply_watcher_event(&Event::InitDone);
        world
    }

    fn cluster(&self, name: &str, spec: &Value) {
        self.server.put(SOURCES, "", name, &json!({}), &json!({ "spec": spec }));
    }

    /// Shows the worker the lifecycles that were written.
    fn show(&mut self) {
        let there: BTreeSet<String> = self.names();
        for name in &there {
            let mut object = self.parent.get(&format!("{LIFECYCLES}/{name}")).unwrap();
            if object["metadata"]["uid"].is_null() {
                object["metadata"]["uid"] = json!(format!("uid of {name}"));
                self.parent.put(&format!("{LIFECYCLES}/{name}"), object.clone());
            }
            self.writer.apply_watcher_event(&Event::Apply(serde_json::from_value(object).unwrap()));
        }
        for name in self.shown.difference(&there) {
            let mut gone =
                PediaClusterLifecycle::new(name, api::policy::PediaClusterLifecycleSpec::default());
            gone.metadata.uid = Some(format!("uid of {name}"));
            self.writer.apply_watcher_event(&Event::Delete(gone));
        }
        self.shown = there;
        self.registry.lifecycle_changed("mcp");
    }

    fn names(&self) -> BTreeSet<String> {
        self.parent.names(LIFECYCLES)
    }

    /// Waits until there are these lifecycles and no others.
    async fn until(&mut self, names: &[&str]) {
        let wanted: BTreeSet<String> = names.iter().map(|name| (*name).to_owned()).collect();
        for _ in 0..600 {
            self.show();
            if self.names() == wanted {
                return;
            }
            sleep(Duration::from_millis(200)).await;
        }
        panic!("there are {:?}, not {wanted:?}: {}", self.names(), self.status());
    }

    /// Nothing happens to the lifecycles for a minute.
    async fn keeps(&mut self, names: &[&str]) {
        for _ in 0..60 {
            sleep(Duration::from_secs(1)).await;
            self.until(names).await;
        }
    }

    fn status(&self) -> Value {
        self.parent.get(POLICY).unwrap()["status"].clone()
    }

    /// Waits until a condition has this reason, and gives its message.
    async fn until_reason(&mut self, type_: &str, reason: &str) -> String {
        for _ in 0..600 {
            self.show();
            let conditions = self.status()["conditions"].as_array().cloned().unwrap_or_default();
            if let Some(found) = conditions.iter().find(|of| of["type"] == type_ && of["reason"] == reason) {
                return found["message"].as_str().unwrap_or_default().to_owned();
            }
            sleep(Duration::from_millis(200)).await;
        }
        panic!("{type_} does not become {reason}: {}", self.status());
    }
}

impl Drop for World {
    fn drop(&mut self) {
        self.tasks.cancel();
    }
}

#[tokio::test(start_paused = true)]
async fn every_selected_object_has_a_lifecycle_as_long_as_it_is_there() {
    let mut world = World::new(true);
    world.cluster("a", &json!({}));
    world.cluster("b", &json!({ "take": "no" }));
    world.until(&["mcp-a"]).await;
    let told = world.until_reason("Reconciling", RECONCILED).await;
    assert!(
        told.starts_with(
            "spec.source.selectorTemplate selects 1 of 2 clusters.cluster.mcp.io, 0 are imported"
        )
    );
    assert_eq!((&world.status()["sources"], &world.status()["selected"]), (&json!(2), &json!(1)));
    world.until_reason("Validated", SUCCESS).await;
    assert_eq!(world.registry.readiness("mcp"), Readiness::Ready);
    let lifecycle = world.parent.get(&format!("{LIFECYCLES}/mcp-a")).unwrap();
    assert_eq!(lifecycle["metadata"]["ownerReferences"][0]["uid"], "p");
    assert_eq!(lifecycle["spec"]["references"][0]["version"], "v1");

    world.cluster("b", &json!({}));
    world.until(&["mcp-a", "mcp-b"]).await;
    world.cluster("b", &json!({ "take": "no" }));
    world.until(&["mcp-a"]).await;
    world.server.delete(SOURCES, "", "a");
    world.until(&[]).await;
    let told = world.until_reason("Reconciling", RECONCILED).await;
    assert!(told.contains("selects none of 1 clusters.cluster.mcp.io: nothing is imported"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_matter_is_not_written() {
    let mut world = World::new(true);
    world.cluster("a", &json!({}));
    world.until(&["mcp-a"]).await;
    world.keeps(&["mcp-a"]).await;
    world.parent.take_writes();
    for beat in 0..20 {
        world.cluster("a", &json!({ "heartbeat": beat }));
        sleep(Duration::from_secs(2)).await;
    }
    world.server.cut();
    world.server.forget();
    world.keeps(&["mcp-a"]).await;
    assert_eq!(world.parent.take_writes(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_list_that_breaks_off_or_an_object_that_cannot_be_rendered_takes_nothing_away() {
    let mut world = World::new(true);
    world.cluster("a", &json!({}));
    world.cluster("b", &json!({}));
    world.until(&["mcp-a", "mcp-b"]).await;
    // Everything is listed anew, and lists break off in the middle.
    world.server.plant(Trouble::new(&[Ask::List], SOURCES, Fault::Breaks(60)));
    world.server.delete(SOURCES, "", "b");
    world.server.forget();
    world.server.cut();
    world.keeps(&["mcp-a", "mcp-b"]).await;
    world.server.heal();
    world.until(&["mcp-a"]).await;
    // A number cannot be compared with a text.
    world.cluster("a", &json!({ "take": 1 }));
    let told = world.until_reason("Reconciling", FAILED).await;
    assert!(
        told.starts_with("clusters.cluster.mcp.io a: spec.source.selectorTemplate, line 1, column 4: "),
        "{told}"
    );
    world.keeps(&["mcp-a"]).await;
}

#[tokio::test(start_paused = true)]
async fn two_objects_with_one_name_and_a_lifecycle_of_somebody_else_are_told() {
    let mut world = World::new(true);
    let theirs = json!({
        "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "PediaClusterLifecycle",
        "metadata": { "name": "mcp-c", "uid": "uid of mcp-c", "ownerReferences": [{
            "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "ClusterImportPolicy", "name": "other", "uid": "o", "controller": true,
        }] },
        "spec": { "source": { "group": "", "version": "v1", "resource": "secrets", "name": "x" }, "template": "", "creationCondition": "" },
    });
    world.parent.put(&format!("{LIFECYCLES}/mcp-c"), theirs);
    world.cluster("a", &json!({ "name": "same" }));
    world.cluster("b", &json!({ "name": "same" }));
    world.cluster("c", &json!({}));
    world.until(&["mcp-c", "mcp-same"]).await;
    let told = world.until_reason("Reconciling", FAILED).await;
    assert!(
        told.contains("clusters.cluster.mcp.io b: it would have the name \"mcp-same\", which a has already"),
        "{told}"
    );
    assert!(told.contains("the PediaClusterLifecycle mcp-c belongs to ClusterImportPolicy other"), "{told}");
    world.server.delete(SOURCES, "", "a");
    world.server.delete(SOURCES, "", "c");
    world.until_reason("Reconciling", RECONCILED).await;
    assert_eq!(world.parent.get(&format!("{LIFECYCLES}/mcp-same")).unwrap()["spec"]["source"]["name"], "b");
}

#[tokio::test(start_paused = true)]
async fn what_the_hub_may_not_list_comes_with_the_line_that_grants_it() {
    let mut world = World::new(true);
    world.server.forbid(SOURCES);
    let told = world.until_reason("Reconciling", SOURCES_UNLISTED).await;
    assert!(
        told.contains(
            "kubectl create clusterrole clusterway-policy-mcp-clusters.cluster.mcp.io --verb=get,list,watch"
        ),
        "{told}"
    );
    let waits = format!("{:?}", world.registry.readiness("mcp"));
    assert!(waits.contains("Waits") && waits.contains("kubectl create clusterrole"), "{waits}");
    let mut world = World::new(true);
    world.server.forbid(SECRETS);
    let told = world.until_reason("Reconciling", NOT_SYNCED).await;
    assert!(told.contains("--resource=secrets && kubectl label clusterrole"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_newcomer_does_not_take_the_lifecycle_of_an_object_that_is_called_alike() {
    let mut world = World::new(true);
    let source = |world: &World| {
        world.parent.get(&format!("{LIFECYCLES}/mcp-same")).unwrap()["spec"]["source"]["name"].clone()
    };
    world.cluster("b", &json!({ "name": "same" }));
    world.until(&["mcp-same"]).await;
    world.keeps(&["mcp-same"]).await;
    world.cluster("a", &json!({ "name": "same" }));
    let told = world.until_reason("Reconciling", FAILED).await;
    assert!(
        told.starts_with(
            "clusters.cluster.mcp.io a: it would have the name \"mcp-same\", which b has already"
        ),
        "{told}"
    );
    world.keeps(&["mcp-same"]).await;
    assert_eq!(source(&world), "b");
    // The incumbent cannot be rendered for a while.
    world.cluster("b", &json!({ "name": "same", "take": 1 }));
    world.keeps(&["mcp-same"]).await;
    assert_eq!(source(&world), "b");
    world.server.delete(SOURCES, "", "b");
    world.until_reason("Reconciling", RECONCILED).await;
    assert_eq!(source(&world), "a");
}

#[tokio::test(start_paused = true)]
async fn an_object_that_fails_for_good_keeps_no_other_waiting() {
    let mut world = World::new(true);
    world.cluster("bad", &json!({ "take": 1 }));
    world.until_reason("Reconciling", FAILED).await;
    for name in ["a", "b", "c"] {
        // The status has been written, and nothing else is going on.
        sleep(Duration::from_secs(2)).await;
        world.cluster(name, &json!({}));
        sleep(Duration::from_millis(500)).await;
        assert!(world.names().contains(&format!("mcp-{name}")), "{name} waits: {:?}", world.names());
        world.show();
    }
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_read_takes_no_lifecycle_away() {
    let mut world = World::new(true);
    world.cluster("a", &json!({}));
    world.cluster("b", &json!({}));
    world.until(&["mcp-a", "mcp-b"]).await;
    world.server.put(SOURCES, "", "b", &json!({}), &json!({ "metadata": { "labels": 5 } }));
    world.server.forget();
    world.server.cut();
    let told = world.until_reason("Reconciling", FAILED).await;
    assert!(
        told.starts_with("1 of the clusters.cluster.mcp.io cannot be read: until they can, nothing is"),
        "{told}"
    );
    world.keeps(&["mcp-a", "mcp-b"]).await;
    world.server.delete(SOURCES, "", "a");
    world.until(&["mcp-b"]).await;
    // Nor can be read that it is gone; but sooner or later there is a list of which all can be read.
    world.server.delete(SOURCES, "", "b");
    world.keeps(&["mcp-b"]).await;
    sleep(Duration::from_mins(5)).await;
    world.until(&[]).await;
    world.until_reason("Reconciling", RECONCILED).await;
}

#[tokio::test(start_paused = true)]
async fn keys_to_the_parent_are_imported_by_no_policy_although_it_needs_only_metadata() {
    let mut world = World::new(true);
    let mut of_secrets = policy();
    of_secrets.metadata.generation = Some(2);
    of_secrets.spec.source = api::policy::PolicySource { resource: "secrets".into(), ..Default::default() };
    of_secrets.spec.references.clear();
    of_secrets.spec.name_template = String::from("mcp-{{ .source.metadata.name }}");
    world.policy.send_replace(Arc::new(of_secrets));
    let kind = json!({ "type": "kubernetes.io/service-account-token" });
    world.server.put(SECRETS, "ns", "key", &json!({}), &kind);
    world.server.put(SECRETS, "ns", "other", &json!({}), &json!({ "type": "Opaque" }));
    world.until(&["mcp-other"]).await;
    world.keeps(&["mcp-other"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_does_not_tell_what_it_has_is_waited_for_and_that_is_said() {
    let mut world = World::new(true);
    world.server.plant(Trouble::new(&[Ask::Discovery], "", Fault::Refuses(500, None)));
    let mut newer = policy();
    newer.metadata.generation = Some(2);
    newer.spec.creation_condition = String::from("false");
    world.policy.send_replace(Arc::new(newer));
    let told = world.until_reason("Reconciling", WAIT_SYNCED).await;
    assert!(told.contains("does not tell what resources it has"), "{told}");
    let conditions = world.status()["conditions"].clone();
    assert_eq!(
        conditions.as_array().unwrap().len(),
        1,
        "nobody has looked at this version yet: {conditions}"
    );
    world.server.heal();
    world.until_reason("Reconciling", RECONCILED).await;
}

#[tokio::test(start_paused = true)]
async fn a_platform_that_comes_later_is_found_and_one_that_goes_takes_nothing_away() {
    let mut world = World::new(false);
    let told = world.until_reason("Validated", NO_SOURCE_RESOURCE).await;
    assert!(told.contains("the API server has no clusters.cluster.mcp.io"), "{told}");
    world.server.serve(SOURCES, "Cluster", false);
    world.cluster("a", &json!({}));
    world.until(&["mcp-a"]).await;
    world.until_reason("Validated", SUCCESS).await;
    world.server.unserve(SOURCES);
    world.server.cut();
    world.until_reason("Validated", NO_SOURCE_RESOURCE).await;
    world.keeps(&["mcp-a"]).await;
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_is_broken_and_mended_leaves_what_there_is() {
    let mut world = World::new(true);
    world.cluster("a", &json!({}));
    world.until(&["mcp-a"]).await;
    let mut broken = policy();
    broken.spec.template = String::from("{{");
    world.policy.send_replace(Arc::new(broken));
    world.until_reason("Validated", "InvalaidPolicy").await;
    assert_eq!(world.status()["conditions"].as_array().unwrap().len(), 1, "nothing else is said");
    world.keeps(&["mcp-a"]).await;
    let mut mended = policy();
    mended.spec.creation_condition = String::from("false");
    world.policy.send_replace(Arc::new(mended));
    world.until_reason("Reconciling", RECONCILED).await;
    assert_eq!(
        world.parent.get(&format!("{LIFECYCLES}/mcp-a")).unwrap()["spec"]["creationCondition"],
        "false"
    );
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_said_is_said_later_although_nothing_else_happens() {
    let mut world = World::new(true);
    world.cluster("a", &json!({}));
    for (template, type_, reason) in [
        ("spec: { apiserver: a, syncResources: [] }", "Reconciling", RECONCILED),
        ("{{", "Validated", "InvalaidPolicy"),
    ] {
        let refusal = Refusal::Later(String::from("the API server answered 500"));
        world.parent.refuse_below("/clusterimportpolicies/mcp/status", Some(refusal));
        let mut next = policy();
        next.spec.template = template.to_owned();
        world.policy.send_replace(Arc::new(next));
        sleep(Duration::from_secs(60)).await;
        let said = world.status()["conditions"].to_string();
        assert!(!said.contains(reason), "{said}");
        world.parent.refuse_below("", None);
        sleep(Duration::from_secs(20)).await;
        world.until_reason(type_, reason).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_policy_that_goes_takes_its_lifecycles_along() {
    let mut world = World::new(true);
    world.cluster("a", &json!({}));
    world.until(&["mcp-a"]).await;
    let mut going = policy();
    going.metadata.deletion_timestamp = Some(serde_json::from_value(json!("2026-01-01T00:00:00Z")).unwrap());
    world.policy.send_replace(Arc::new(going));
    world.until(&[]).await;
    for _ in 0..600 {
        world.show();
        if world.parent.get(POLICY).unwrap()["metadata"]["finalizers"] == json!([]) {
            return;
        }
        sleep(Duration::from_millis(200)).await;
    }
    panic!("the policy is held: {}", world.parent.get(POLICY).unwrap());
}

#[tokio::test(start_paused = true)]
async fn a_thousand_objects_are_a_thousand_lifecycles_each_written_once() {
    let mut world = World::new(true);
    for number in 0..1_000 {
        world.cluster(&format!("c{number:04}"), &json!({}));
    }
    for _ in 0..600 {
        world.show();
        if world.names().len() == 1_000 {
            break;
        }
        sleep(Duration::from_millis(200)).await;
    }
    sleep(Duration::from_secs(30)).await;
    let writes = world.parent.take_writes();
    assert_eq!(writes.iter().filter(|write| write.starts_with("apply")).count(), 1_000);
}
