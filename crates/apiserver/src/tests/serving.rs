//! The serving authority, over a scripted parent.

use std::time::Duration;

use runtime::{Tasks, lease::Leadership};
use serde_json::{Value, json};
use tokio::sync::watch;

use super::{parent::Parent, until};
use crate::serving::{self, Options, ServingCertificate};

const SECRET: &str = "/api/v1/namespaces/system/secrets/ca";
const SERVICE: &str = "/apis/apiregistration.k8s.io/v1/apiservices/v1.example.io";

fn options() -> Options {
    Options {
        namespace: "system".into(),
        secret: "ca".into(),
        names: vec!["hub.system.svc".into(), "localhost".into()],
        api_services: vec!["v1.example.io".into()],
    }
}

fn parent() -> Parent {
    let parent = Parent::default();
    parent.set(
        SERVICE,
        Some(json!({
            "apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService", "metadata": { "name": "v1.example.io" },
            "spec": { "groupPriorityMinimum": 1, "versionPriority": 1, "insecureSkipTLSVerify": true },
        })),
    );
    parent
}

async fn replica(
    parent: &Parent,
    tasks: &Tasks,
    holder: bool,
) -> (ServingCertificate, watch::Sender<Leadership>) {
    let (sender, receiver) = watch::channel(Leadership { held: holder, epoch: 1 });
    let certificate = serving::start(parent.client(), options(), receiver, tasks).await.unwrap();
    (certificate, sender)
}

fn bundle_of(object: &Value) -> String {
    use base64::Engine as _;
    let text = object["spec"]["caBundle"].as_str().unwrap_or_default();
    String::from_utf8(base64::engine::general_purpose::STANDARD.decode(text).unwrap()).unwrap()
}

#[tokio::test]
async fn replicas_share_one_authority_and_only_the_holder_writes_the_bundle() {
    let (parent, tasks) = (parent(), Tasks::new());
    let (first, not_holder) = replica(&parent, &tasks, false).await;
    let (second, _also_not) = replica(&parent, &tasks, false).await;
    let bundle = first.bundle().borrow().clone();
    assert_eq!(*second.bundle().borrow(), bundle);
    assert!(bundle_of(&parent.object(SERVICE).unwrap()).is_empty());
    not_holder.send_replace(Leadership { held: true, epoch: 2 });
    until("the bundle is written", || bundle_of(&parent.object(SERVICE).unwrap()) == bundle).await;
    assert!(parent.object(SERVICE).unwrap()["spec"].get("insecureSkipTLSVerify").is_none());
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_none());
}

#[tokio::test]
async fn two_replicas_that_start_at_once_end_up_with_the_same_authority() {
    let (parent, tasks) = (parent(), Tasks::new());
    let (one, two) = tokio::join!(replica(&parent, &tasks, true), replica(&parent, &tasks, false));
    assert_eq!(*one.0.bundle().borrow(), *two.0.bundle().borrow());
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn nothing_is_written_while_nothing_changes() {
    let (parent, tasks) = (parent(), Tasks::new());
    let _replica = replica(&parent, &tasks, true).await;
    tokio::time::sleep(Duration::from_secs(3600)).await;
    let writes: Vec<_> =
        parent.writes().into_iter().map(|(method, path, _)| format!("{method} {path}")).collect();
    assert_eq!(writes, ["POST /api/v1/namespaces/system/secrets".to_owned(), format!("PATCH {SERVICE}")]);
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_bundle_somebody_changed_is_put_right_and_a_deleted_secret_comes_back_as_it_was() {
    let (parent, tasks) = (parent(), Tasks::new());
    let (certificate, _holder) = replica(&parent, &tasks, true).await;
    let bundle = certificate.bundle().borrow().clone();
    tokio::time::sleep(Duration::from_secs(60)).await;
    let mut service = parent.object(SERVICE).unwrap();
    service["spec"]["caBundle"] = json!("");
    parent.set(SERVICE, Some(service));
    let secret = parent.object(SECRET).unwrap();
    parent.set(SECRET, None);
    tokio::time::sleep(Duration::from_secs(60)).await;
    assert_eq!(bundle_of(&parent.object(SERVICE).unwrap()), bundle);
    assert_eq!(parent.object(SECRET).unwrap()["data"], secret["data"]);
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn a_parent_that_is_away_at_the_start_is_waited_for() {
    let (parent, tasks) = (parent(), Tasks::new());
    parent.broken(true);
    let back = async {
        tokio::time::sleep(Duration::from_secs(120)).await;
        parent.broken(false);
    };
    let (replica, ()) = tokio::join!(replica(&parent, &tasks, true), back);
    assert!(!replica.0.bundle().borrow().is_empty());
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_none());
}

#[tokio::test]
async fn a_foreign_secret_is_never_overwritten() {
    let (parent, tasks) = (parent(), Tasks::new());
    let foreign = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "ca" }, "data": { "tls.crt": "aGVsbG8=" },
    });
    parent.set(SECRET, Some(foreign));
    let (_sender, receiver) = watch::channel(Leadership { held: true, epoch: 1 });
    let error = serving::start(parent.client(), options(), receiver, &tasks).await.unwrap_err();
    assert!(error.to_string().contains("delete it"), "{error}");
    assert!(parent.writes().is_empty());
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_none());
}

#[tokio::test(start_paused = true)]
async fn files_are_read_again_and_a_broken_pair_is_passed_over() {
    let (ca, tasks) = (super::Ca::new("files"), Tasks::new());
    let folder = tempfile::tempdir().unwrap();
    let (chain, key) = (folder.path().join("tls.crt"), folder.path().join("tls.key"));
    let write = |pair: &(String, String)| {
        std::fs::write(&chain, &pair.0).unwrap();
        std::fs::write(&key, &pair.1).unwrap();
    };
    let (one, two) = (ca.serving_pem("localhost"), ca.serving_pem("localhost"));
    write(&one);
    let certificate = serving::from_files(&chain, &key, &tasks).unwrap();
    let shown = || certificate.leaf();
    let first = shown();
    std::fs::write(&chain, &two.0).unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_eq!(shown(), first, "the key of another certificate");
    write(&two);
    tokio::time::sleep(Duration::from_secs(120)).await;
    assert_ne!(shown(), first);
    assert!(tasks.shutdown(Duration::from_secs(5)).await.is_none());
}
