//! The specification of approval, as a table.

use api::clusters::ClusterRegistrationRequestSpec;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::*;
use crate::seal::PrivateKey;

const ID: &str = "0fd3cbbb-8a0f-4a5b-9e1c-1d2e3f405162";

fn request(id: &str) -> ClusterRegistrationRequest {
    let spec = ClusterRegistrationRequestSpec {
        cluster_id: id.to_owned(),
        cluster_type: None,
        cluster_name: None,
        cluster_namespace: None,
        cluster_labels: std::collections::BTreeMap::new(),
        sync_mode: api::clusters::SyncMode::Pull,
    };
    let mut request = ClusterRegistrationRequest::new(&names::of_cluster(id), spec);
    request.annotations_mut().insert(annotations::REQUESTER.into(), "system:bootstrap:07401b".into());
    let key = PrivateKey::generate().public().to_base64();
    request.annotations_mut().insert(annotations::PUBLIC_KEY.into(), key);
    request
}

fn edited(edit: impl FnOnce(&mut ClusterRegistrationRequest)) -> ClusterRegistrationRequest {
    let mut request = request(ID);
    edit(&mut request);
    request
}

#[test]
fn a_sound_request_is_read() {
    let application = Application::read(&request(ID), false).unwrap();
    assert_eq!((application.id.as_str(), application.name, application.namespace), (ID, None, None));
    assert!(application.key.is_some());
}

#[test]
fn a_request_that_can_never_be_approved_is_denied_with_its_reason() {
    type Edit = fn(&mut ClusterRegistrationRequest);
    let table: [(&str, Edit); 10] = [
        (approval::NAME_MISMATCH, |r| r.metadata.name = Some("clusternet-other".into())),
        (approval::NAME_MISMATCH, |r| r.spec.cluster_id = ID.replace('0', "1")),
        (approval::CLUSTER_ID_INVALID, |r| {
            r.spec.cluster_id = format!("x{ID}");
            r.metadata.name = Some(format!("clusternet-x{ID}"));
        }),
        (approval::KEY_MISSING, |r| {
            r.annotations_mut().remove(annotations::PUBLIC_KEY);
        }),
        (approval::KEY_INVALID, |r| {
            r.annotations_mut().insert(annotations::PUBLIC_KEY.into(), "AAAA".into());
        }),
        (approval::KEY_INVALID, |r| {
            let zero = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
            r.annotations_mut().insert(annotations::PUBLIC_KEY.into(), zero.into());
        }),
        (approval::REQUESTER_MISSING, |r| {
            r.annotations_mut().remove(annotations::REQUESTER);
        }),
        (approval::CLUSTER_NAME_INVALID, |r| r.spec.cluster_name = Some("Edge".into())),
        (approval::CLUSTER_NAME_INVALID, |r| r.spec.cluster_name = Some("a".repeat(31))),
        (approval::CLUSTER_NAMESPACE_INVALID, |r| r.spec.cluster_namespace = Some("a.b".into())),
    ];
    for (reason, edit) in table {
        let refusal = Application::read(&edited(edit), false).unwrap_err();
        assert_eq!((refusal.reason, refusal.last_word), (reason, true));
        assert!(refusal.message.ends_with('.'), "{}", refusal.message);
    }
}

#[test]
fn a_request_without_a_key_is_read_only_where_clear_tokens_are_allowed() {
    let keyless = edited(|r| r.metadata.annotations = None);
    assert_eq!(Application::read(&keyless, false).unwrap_err().reason, approval::KEY_MISSING);
    assert_eq!(Application::read(&keyless, true).unwrap().pin(), NO_KEY);
}

fn application() -> Application {
    Application::read(&request(ID), false).unwrap()
}

fn cluster(pin: Option<&str>) -> ManagedCluster {
    let mut cluster = ManagedCluster::new("c", api::clusters::ManagedClusterSpec::default());
    if let Some(pin) = pin {
        cluster.annotations_mut().insert(annotations::PINNED_KEY.into(), pin.into());
    }
    cluster
}

fn namespace(name: &str, id: Option<&str>) -> Namespace {
    let mut namespace = Namespace::default();
    namespace.metadata.name = Some(name.into());
    if let Some(id) = id {
        namespace.labels_mut().insert(labels::CREATED_BY.into(), labels::AGENT.into());
        namespace.labels_mut().insert(labels::CLUSTER_ID.into(), id.into());
    }
    namespace
}

fn deleted<K: kube::Resource>(mut object: K) -> K {
    object.meta_mut().deletion_timestamp = Some(Time(Timestamp::UNIX_EPOCH));
    object
}

fn facts<'a>() -> Facts<'a> {
    Facts { hub_namespace: "clusternet-system", ..Facts::default() }
}

fn reason(result: Result<Approval, Refusal>) -> &'static str {
    result.unwrap_err().reason
}

#[test]
fn the_first_request_for_an_id_is_approved_under_derived_names() {
    let approval = decide(&application(), &facts()).unwrap();
    assert_eq!(approval, Approval::New { namespace: Name::Derived, name: Name::Derived });
}

#[test]
fn wanted_names_are_given_when_they_are_free() {
    let application =
        Application { name: Some("bar".into()), namespace: Some("foo".into()), ..application() };
    let given = |name: &str| Name::Given(name.into());
    let expected = Approval::New { namespace: given("foo"), name: given("bar") };
    assert_eq!(decide(&application, &facts()).unwrap(), expected);
    let own = namespace("foo", Some(ID));
    let known = Facts { own_namespace: Some(&own), wanted_namespace: Some(&own), ..facts() };
    assert_eq!(decide(&application, &known).unwrap(), expected);
}

#[test]
fn a_namespace_made_before_a_crash_is_used_again() {
    let own = namespace("clusternet-abcde", Some(ID));
    let approval = decide(&application(), &Facts { own_namespace: Some(&own), ..facts() }).unwrap();
    let expected = Approval::New { namespace: Name::Given("clusternet-abcde".into()), name: Name::Derived };
    assert_eq!(approval, expected);
}

#[test]
fn names_of_others_are_denied() {
    let application =
        Application { name: Some("bar".into()), namespace: Some("foo".into()), ..application() };
    let taken = Facts { name_taken: true, ..facts() };
    assert_eq!(reason(decide(&application, &taken)), approval::CLUSTER_NAME_TAKEN);
    for foreign in [namespace("foo", None), namespace("foo", Some("another"))] {
        let taken = Facts { wanted_namespace: Some(&foreign), ..facts() };
        assert_eq!(reason(decide(&application, &taken)), approval::CLUSTER_NAMESPACE_TAKEN);
    }
}

#[test]
fn namespaces_of_the_system_are_denied_even_when_they_do_not_exist() {
    for name in ["kube-system", "kube-anything", "default", "clusternet-system"] {
        let application = Application { namespace: Some(name.into()), ..application() };
        assert_eq!(reason(decide(&application, &facts())), approval::CLUSTER_NAMESPACE_TAKEN);
    }
}

#[test]
fn a_known_id_is_approved_again_with_its_key_only() {
    let application = application();
    let ours = cluster(Some(&application.pin()));
    assert_eq!(decide(&application, &Facts { cluster: Some(&ours), ..facts() }).unwrap(), Approval::Known);
    let theirs = cluster(Some(&PrivateKey::generate().public().to_base64()));
    let refusal = decide(&application, &Facts { cluster: Some(&theirs), ..facts() }).unwrap_err();
    assert_eq!((refusal.reason, refusal.last_word), (approval::KEY_MISMATCH, true));
}

#[test]
fn a_cluster_registered_without_a_key_stays_so_until_an_administrator_says_otherwise() {
    let keyless = Application { key: None, ..application() };
    let unkeyed = cluster(Some(NO_KEY));
    let known = Facts { cluster: Some(&unkeyed), ..facts() };
    assert_eq!(decide(&keyless, &known).unwrap(), Approval::Known);
    assert_eq!(reason(decide(&application(), &known)), approval::KEY_MISMATCH);
    let keyed = cluster(Some(&application().pin()));
    let known = Facts { cluster: Some(&keyed), ..facts() };
    assert_eq!(reason(decide(&keyless, &known)), approval::KEY_MISMATCH);
}

#[test]
fn a_new_key_is_let_in_when_an_administrator_removed_the_pin() {
    let unpinned = cluster(None);
    let known = Facts { cluster: Some(&unpinned), ..facts() };
    assert_eq!(decide(&application(), &known).unwrap(), Approval::Known);
}

#[test]
fn a_cluster_or_namespace_that_is_being_deleted_blocks_approval_for_a_while() {
    let application = application();
    let leaving = deleted(cluster(Some(&application.pin())));
    let refusal = decide(&application, &Facts { cluster: Some(&leaving), ..facts() }).unwrap_err();
    assert_eq!((refusal.reason, refusal.last_word), (approval::CLUSTER_BEING_DELETED, false));
    let leaving = deleted(namespace("clusternet-abcde", Some(ID)));
    let refusal = decide(&application, &Facts { own_namespace: Some(&leaving), ..facts() }).unwrap_err();
    assert_eq!((refusal.reason, refusal.last_word), (approval::NAMESPACE_BEING_DELETED, false));
}

#[test]
fn another_key_learns_nothing_of_a_cluster_that_is_being_deleted() {
    let theirs = deleted(cluster(Some("somebody else")));
    assert_eq!(
        reason(decide(&application(), &Facts { cluster: Some(&theirs), ..facts() })),
        approval::KEY_MISMATCH
    );
}

#[test]
fn refusals_name_neither_the_cluster_nor_its_namespace() {
    let mut theirs = cluster(Some("somebody else"));
    theirs.metadata.name = Some("secret-name".into());
    theirs.metadata.namespace = Some("secret-namespace".into());
    let refusal = decide(&application(), &Facts { cluster: Some(&theirs), ..facts() }).unwrap_err();
    assert!(!refusal.message.contains("secret-"), "{}", refusal.message);
}
