//! What happens to one lifecycle, reason by reason, on the platform of the article.

mod previews;
mod properties;
mod shipped;
mod workers;

use std::sync::Arc;

use api::{
    names::policy::lifecycle::{
        CLUSTER_CREATED, CLUSTER_EXISTED, CLUSTER_UPDATED, CREATION_FAILED, ORPHAN, OWNER_FAILED,
        PATCH_FAILED, REFERENCE_NOT_FOUND, REFERENCE_UNPARSED, SOURCE_NOT_FOUND, UNRESOLVED, WAIT_CONDITION,
        WAIT_DEPENDENT,
    },
    policy::{ClusterImportPolicy, PediaClusterLifecycle},
};
use kubeio::Resource;
use serde_json::{Value, json};

use crate::{
    Options,
    examine::{Shared, examine},
    fake::FakeParent,
    imports::{Imports, Negotiated, Outcome, lifecycle},
    parent::Refusal,
    registry::{Readiness, Registry},
    renderers::Renderers,
};

/// The policy of the article's last part, to the letter.
const MCP: &str = r#"
apiVersion: policy.clusterpedia.io/v1alpha1
kind: ClusterImportPolicy
metadata:
  name: mcp
spec:
  source:
    group: "cluster.mcp.io"
    resource: clusters
    versions: []
  references:
    - group: ""
      resource: secrets
      versions: []
      namespaceTemplate: "{{ .source.spec.authSecretRef.namespace }}"
      nameTemplate: "{{ .source.spec.authSecretRef.name }}"
      key: authSecret
  nameTemplate: "mcp-{{ .source.metadata.name }}"
  template: |
    spec:
      apiserver: "{{ .source.spec.apiEndpoint }}"
      caData: "{{ .references.authSecret.data.ca }}"
      tokenData: "{{ .references.authSecret.data.token }}"
      syncResources:
        - group: ""
          resources:
          - "pods"
        - group: "apps"
          resources:
          - "*"
      syncResourcesRefName: ""
  creationCondition: |
    {{ if ne .source.spec.apiEndpoint "" }}
      {{ range .source.status.conditions }}
        {{ if eq .type "Ready" }}
          {{ if eq .status "True" }} true {{ end }}
        {{ end }}
      {{ end }}
    {{ end }}
"#;
const SOURCE: &str = "/apis/cluster.mcp.io/v1/clusters/cluster-1";
const SECRET: &str = "/api/v1/namespaces/default/secrets/cluster-1";
const CLUSTER: &str = "/apis/cluster.clusterpedia.io/v1alpha2/pediaclusters/mcp-cluster-1";
const LIFECYCLE: &str = "/apis/policy.clusterpedia.io/v1alpha1/pediaclusterlifecycles/mcp-cluster-1";
/// Nobody is to read it anywhere but in the PediaCluster.
const TOKEN: &str = "aHVudGVyMg==";

/// A parent with one cluster of the platform, and the lifecycle of it.
struct World {
    parent: Arc<FakeParent>,
    shared: Shared,
    _wakes: tokio::sync::mpsc::Receiver<String>,
}

fn policy() -> ClusterImportPolicy {
    serde_saphyr::from_str(MCP).unwrap()
}

fn source(status: &Value) -> Value {
    json!({
        "apiVersion": "cluster.mcp.io/v1", "kind": "Cluster", "metadata": { "name": "cluster-1", "uid": "s" },
        "spec": { "apiEndpoint": "https://172.10.10.10:6443",
                  "authSecretRef": { "namespace": "default", "name": "cluster-1" } },
        "status": { "conditions": [{ "type": "Ready", "status": status }] },
    })
}

fn secret(token: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "Opaque",
        "metadata": { "name": "cluster-1", "namespace": "default" },
        "data": { "ca": "Y2E=", "token": token },
    })
}

impl World {
    fn new() -> Self {
        let parent = Arc::new(FakeParent::default());
        let (registry, wakes) = Registry::new();
        registry.set_readiness("mcp", Readiness::Ready);
        let shared = Shared {
            parent: parent.clone(),
            registry,
            renderers: Renderers::default(),
            options: Options::default(),
        };
        let world = Self { parent, shared, _wakes: wakes };
        world.parent.put(SOURCE, source(&json!("True")));
        world.parent.put(SECRET, secret(TOKEN));
        let negotiated = Negotiated {
            source: Resource::new("cluster.mcp.io", "v1", "clusters"),
            references: vec![Resource::new("", "v1", "secrets")],
        };
        let spec = lifecycle(&policy().spec, &negotiated, "", "cluster-1");
        let owner = json!({ "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "ClusterImportPolicy",
                            "name": "mcp", "uid": "p", "controller": true });
        world.parent.put(
            LIFECYCLE,
            json!({
                "apiVersion": "policy.clusterpedia.io/v1alpha1", "kind": "PediaClusterLifecycle",
                "metadata": { "name": "mcp-cluster-1", "uid": "l", "generation": 1, "ownerReferences": [owner] },
                "spec": spec,
            }),
        );
        world
    }

    fn lifecycle(&self) -> Option<PediaClusterLifecycle> {
        self.parent.get(LIFECYCLE).map(|object| serde_json::from_value(object).unwrap())
    }

    /// One look, and what it says: of each condition status, reason and message.
    async fn look(&self) -> Vec<(String, String, String, String)> {
        let _ = examine(&self.shared, &self.lifecycle().unwrap()).await;
        let Some(status) = self.lifecycle().and_then(|lifecycle| lifecycle.status) else { return vec![] };
        let told =
            status.conditions.into_iter().map(|of| (of.type_, of.status, of.reason, of.message)).collect();
        assert!(!format!("{told:?}").contains(TOKEN) && !format!("{told:?}").contains("hunter2"), "{told:?}");
        told
    }

    /// One look that says that nothing was made, for this reason and with these words.
    async fn waits(&self, reason: &str, words: &str) {
        let told = self.look().await;
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!((&*told[0].0, &*told[0].1, &*told[0].2), ("Created", "False", reason), "{told:?}");
        assert!(told[0].3.contains(words), "{told:?}");
        assert_eq!(self.parent.get(CLUSTER), None);
    }

    /// One look that says that there is a PediaCluster, and whether it is in step.
    async fn stands(&self, created: &str, updating: &str) -> String {
        let told = self.look().await;
        let reasons: Vec<_> = told.iter().map(|of| (&*of.0, &*of.2)).collect();
        assert_eq!(reasons, [("Created", created), ("Updating", updating)], "{told:?}");
        told[1].3.clone()
    }

    /// Changes a part of the lifecycle.
    fn change(&self, pointer: &str, value: Value) {
        let mut object = self.parent.get(LIFECYCLE).unwrap();
        *object.pointer_mut(pointer).unwrap() = value;
        self.parent.put(LIFECYCLE, object);
    }
}

#[test]
fn the_policy_of_the_article_is_one_and_names_the_cluster() {
    let imports = Imports::parse(&policy().spec).unwrap();
    assert_eq!(imports.outcome(source(&json!("True"))), Outcome::Taken(String::from("mcp-cluster-1")));
    assert!(!imports.metadata_is_enough());
}

#[tokio::test]
async fn a_cluster_of_the_article_becomes_a_pedia_cluster_and_then_nothing_is_written() {
    let world = World::new();
    assert_eq!(world.look().await[0].2, CLUSTER_CREATED);
    let cluster = world.parent.get(CLUSTER).unwrap();
    assert_eq!(cluster["spec"]["apiserver"], "https://172.10.10.10:6443");
    assert_eq!((&cluster["spec"]["caData"], &cluster["spec"]["tokenData"]), (&json!("Y2E="), &json!(TOKEN)));
    assert_eq!(cluster["spec"]["syncResources"][1], json!({ "group": "apps", "resources": ["*"] }));
    assert_eq!(cluster["metadata"]["ownerReferences"][0]["uid"], "l");
    let status = world.lifecycle().unwrap().status.unwrap();
    assert_eq!(status.references[0].name, "cluster-1");
    world.stands(CLUSTER_CREATED, CLUSTER_UPDATED).await;
    world.parent.take_writes();
    world.stands(CLUSTER_CREATED, CLUSTER_UPDATED).await;
    assert_eq!(world.parent.take_writes(), [""; 0], "there was nothing to write");
}

#[tokio::test]
async fn rotated_credentials_are_written_and_what_users_edited_stays() {
    let world = World::new();
    world.look().await;
    let mut cluster = world.parent.get(CLUSTER).unwrap();
    cluster["spec"]["syncResources"] = json!([]);
    cluster["spec"]["apiserver"] = json!("https://edited-by-hand");
    world.parent.put(CLUSTER, cluster);
    world.parent.put(SECRET, secret("bmV3"));
    // Once made, it is kept in step whatever becomes of the condition.
    world.parent.put(SOURCE, source(&json!("False")));
    world.stands(CLUSTER_CREATED, CLUSTER_UPDATED).await;
    let spec = world.parent.get(CLUSTER).unwrap()["spec"].clone();
    assert_eq!((&spec["tokenData"], &spec["syncResources"]), (&json!("bmV3"), &json!([])));
    assert_eq!(spec["apiserver"], "https://172.10.10.10:6443");
}

#[tokio::test]
async fn the_condition_is_waited_for_and_the_status_of_the_article_is_called_what_it_is() {
    let world = World::new();
    world.parent.put(SOURCE, source(&json!("False")));
    world.waits(WAIT_CONDITION, "spec.creationCondition renders to nothing").await;
    // `status: True`, as the article has it, is a boolean.
    world.parent.put(SOURCE, source(&json!(true)));
    world.waits(WAIT_CONDITION, "spec.creationCondition, line 4, column 13: ").await;
    world.waits(WAIT_CONDITION, "unlike types").await;
    world.parent.put(SOURCE, source(&json!("True")));
    assert_eq!(world.look().await[0].2, CLUSTER_CREATED);
}

#[tokio::test]
async fn what_is_missing_is_named_and_heals() {
    let world = World::new();
    world.parent.remove(SOURCE);
    world.waits(SOURCE_NOT_FOUND, "there is no clusters.cluster.mcp.io cluster-1").await;
    world.parent.put(SOURCE, source(&json!("True")));
    world.parent.remove(SECRET);
    world
        .waits(
            REFERENCE_NOT_FOUND,
            "there is no secrets default/cluster-1, which the policy calls \"authSecret\"",
        )
        .await;
    world.parent.put(SECRET, secret(TOKEN));
    assert_eq!(world.look().await[0].2, CLUSTER_CREATED);
    world.parent.remove(SECRET);
    world.stands(CLUSTER_CREATED, REFERENCE_NOT_FOUND).await;
    assert_eq!(world.parent.get(CLUSTER).unwrap()["spec"]["tokenData"], TOKEN, "nothing is taken away");
}

#[tokio::test]
async fn a_reference_that_cannot_be_named_says_which_template() {
    let world = World::new();
    let mut nameless = source(&json!("True"));
    nameless["spec"]["authSecretRef"].as_object_mut().unwrap().remove("name");
    world.parent.put(SOURCE, nameless);
    world.waits(REFERENCE_UNPARSED, "spec.references[authSecret].nameTemplate renders to nothing").await;
    world.change("/spec/references/0/nameTemplate", json!("{{ .source.spec.authSecretRef | b64dec }}"));
    world.waits(REFERENCE_UNPARSED, "spec.references[authSecret].nameTemplate, line 1, column 33: ").await;
    world.change("/spec/references/0/nameTemplate", json!("{{"));
    world.waits(REFERENCE_UNPARSED, "not a template: spec.references[authSecret].nameTemplate, line 1").await;
}

#[tokio::test]
async fn a_template_that_renders_to_no_pedia_cluster_says_why() {
    let world = World::new();
    world.parent.put(SECRET, secret("hunter2!"));
    world.waits(UNRESOLVED, "spec.tokenData that does not fit a PediaCluster: it has to be base64").await;
    world.change("/spec/template", json!("spec: {{ .references.authSecret.data.token }"));
    world.waits(UNRESOLVED, "not a template: spec.template, line 1").await;
    world.change("/spec/template", json!("{{ .references.authSecret.data.token.none }}"));
    world.waits(UNRESOLVED, "the PediaCluster cannot be rendered: spec.template, line 1, column ").await;
}

#[tokio::test]
async fn nobody_is_imported_for_nobody_and_not_before_the_policy_is_in_step() {
    let world = World::new();
    world.shared.registry.set_readiness("mcp", Readiness::Waits(String::from("secrets are being listed")));
    world.waits(WAIT_DEPENDENT, "secrets are being listed").await;
    world.change("/metadata/ownerReferences", json!([]));
    world.waits(ORPHAN, "no ClusterImportPolicy owns it").await;
}

#[tokio::test]
async fn what_the_watches_tell_is_not_polled_and_what_nobody_tells_is() {
    let minute = std::time::Duration::from_mins(1);
    let next = async |world: &World| examine(&world.shared, &world.lifecycle().unwrap()).await.unwrap();
    let world = World::new();
    world.parent.put(SOURCE, source(&json!("False")));
    assert!(next(&world).await > minute, "the condition waits for the source");
    world.parent.remove(SECRET);
    assert!(next(&world).await > minute, "whoever makes the Secret is seen");
    world.shared.registry.set_readiness("mcp", Readiness::Soon);
    assert!(next(&world).await > minute, "the policy tells");
    world.shared.registry.set_readiness("mcp", Readiness::Ready);
    world.parent.forbid(SECRET);
    assert!(next(&world).await < minute, "nobody tells of rights");
    let world = World::new();
    world.parent.refuse(Some(Refusal::Refused { why: String::from("no"), about_owner: false }));
    assert!(next(&world).await < minute, "nobody tells of what the API server accepts");
}

#[tokio::test]
async fn a_hub_that_has_just_started_says_nothing_before_it_knows() {
    let world = World::new();
    world.look().await;
    world.stands(CLUSTER_CREATED, CLUSTER_UPDATED).await;
    world.parent.take_writes();
    world.shared.registry.forget("mcp");
    world.stands(CLUSTER_CREATED, CLUSTER_UPDATED).await;
    assert_eq!(world.parent.take_writes(), [""; 0]);
}

#[tokio::test]
async fn what_the_hub_may_not_read_comes_with_the_line_that_grants_it() {
    let world = World::new();
    world.parent.forbid(SECRET);
    world
        .waits(
            WAIT_DEPENDENT,
            "the hub may not read secrets default/cluster-1. To let it: kubectl -n default create role \
             clusterway-policy-mcp-secrets --verb=get,list,watch --resource=secrets",
        )
        .await;
    let world = World::new();
    let mut key = secret(TOKEN);
    key["type"] = json!("kubernetes.io/service-account-token");
    world.parent.put(SECRET, key);
    world.waits(WAIT_DEPENDENT, "let somebody into the parent and are not for policies").await;
}

#[tokio::test]
async fn a_refusal_of_the_api_server_is_told_and_tried_again() {
    let world = World::new();
    let refused =
        |about_owner| Refusal::Refused { why: String::from("the API server forbids it: no"), about_owner };
    world.parent.refuse(Some(refused(false)));
    world
        .waits(CREATION_FAILED, "the PediaCluster mcp-cluster-1 cannot be made: the API server forbids it")
        .await;
    world.parent.refuse(Some(refused(true)));
    world.waits(OWNER_FAILED, "cannot be made").await;
    world.parent.refuse(None);
    world.look().await;
    world.parent.put(SECRET, secret("bmV3"));
    world.parent.refuse(Some(refused(false)));
    let why = world.stands(CLUSTER_CREATED, PATCH_FAILED).await;
    assert!(why.contains("cannot be brought in step: the API server forbids it"), "{why}");
    world.parent.refuse(None);
    world.stands(CLUSTER_CREATED, CLUSTER_UPDATED).await;
}

#[tokio::test]
async fn a_cluster_that_was_there_before_is_kept_in_step_and_stays() {
    let world = World::new();
    let mine =
        json!({ "metadata": { "name": "mcp-cluster-1", "uid": "c" }, "spec": { "syncResources": [] } });
    world.parent.put(CLUSTER, mine);
    world.stands(CLUSTER_EXISTED, CLUSTER_UPDATED).await;
    assert_eq!(world.parent.get(CLUSTER).unwrap()["spec"]["tokenData"], TOKEN);
    let mut going = world.parent.get(LIFECYCLE).unwrap();
    going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
    world.parent.put(LIFECYCLE, going);
    world.look().await;
    assert!(world.parent.get(CLUSTER).is_some());
    assert_eq!(world.lifecycle().unwrap().metadata.finalizers, Some(vec![]));
}

#[tokio::test]
async fn a_child_that_takes_the_name_of_somebody_elses_cluster_changes_nothing_in_it() {
    let world = World::new();
    let mine = json!({
        "metadata": { "name": "mcp-cluster-1", "uid": "c" },
        "spec": { "apiserver": "https://prod", "tokenData": "bWluZQ==", "syncResources": [] },
    });
    world.parent.put(CLUSTER, mine.clone());
    world.change("/spec/template", json!("spec: { clusterId: anyone, syncResources: [] }"));
    let why = world.stands(CLUSTER_EXISTED, PATCH_FAILED).await;
    assert!(why.ends_with("Rename one, or delete the PediaCluster"), "{why}");
    assert_eq!(world.parent.get(CLUSTER), Some(mine));
    assert!(!world.parent.take_writes().iter().any(|write| write.contains("pediaclusters/")));
    // What was made for the lifecycle follows its template wherever it leads.
    let world = World::new();
    world.look().await;
    world.change("/spec/template", json!("spec: { clusterId: anyone, syncResources: [] }"));
    world.stands(CLUSTER_CREATED, CLUSTER_UPDATED).await;
    let spec = world.parent.get(CLUSTER).unwrap()["spec"].clone();
    assert_eq!((&spec["clusterId"], &spec["tokenData"]), (&json!("anyone"), &Value::Null));
}

#[tokio::test]
async fn a_lifecycle_that_goes_takes_its_cluster_along_unless_it_is_told_not_to() {
    for (orphans, stays) in [(false, false), (true, true)] {
        let world = World::new();
        world.look().await;
        let mut going = world.parent.get(LIFECYCLE).unwrap();
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        if orphans {
            going["metadata"]["finalizers"].as_array_mut().unwrap().push(json!("orphan"));
        }
        world.parent.put(LIFECYCLE, going);
        world.look().await;
        assert_eq!(world.parent.get(CLUSTER).is_some(), stays);
        assert!(
            !format!("{:?}", world.lifecycle().unwrap().metadata.finalizers).contains("lifecycle-controller")
        );
    }
}

#[tokio::test]
async fn a_cluster_deleted_by_hand_comes_back_when_the_condition_holds() {
    let world = World::new();
    world.look().await;
    world.parent.remove(CLUSTER);
    world.parent.put(SOURCE, source(&json!("False")));
    world.waits(WAIT_CONDITION, "renders to nothing").await;
    world.parent.put(SOURCE, source(&json!("True")));
    assert_eq!(world.look().await[0].2, CLUSTER_CREATED);
}
