use base64::{Engine as _, engine::general_purpose::STANDARD};
use kube::config::{AuthInfo, Cluster};

use super::*;

const ID: &str = "dc91021d-2361-4f6d-a404-7c33b9e01118";

fn parent() -> Parent {
    Parent {
        cluster: Cluster {
            server: Some("https://parent:6443/".into()),
            certificate_authority_data: Some("Q0E=".into()),
            ..Cluster::default()
        },
        user: AuthInfo { token: Some(String::from("parent-token").into()), ..AuthInfo::default() },
        ..Parent::default()
    }
}

fn token() -> Credential {
    Credential::Token(String::from("child-token").into())
}

fn built(credential: Option<&Credential>, impersonation: &Impersonation) -> String {
    let config = build(parent(), "clusterway-edge-7", ID, credential, impersonation, None).unwrap();
    yaml(&config).unwrap()
}

#[test]
fn without_a_credential_for_the_child_only_the_parents_is_used() {
    assert_eq!(
        built(None, &Impersonation::default()),
        "\
apiVersion: v1
clusters:
- cluster:
    certificate-authority-data: Q0E=
    server: https://parent:6443/apis/proxies.clusternet.io/v1alpha1/sockets/dc91021d-2361-4f6d-a404-7c33b9e01118/proxy/direct
  name: clusterway-edge-7
contexts:
- context:
    cluster: clusterway-edge-7
    user: clusterway-edge-7
  name: clusterway-edge-7
current-context: clusterway-edge-7
kind: Config
users:
- name: clusterway-edge-7
  user:
    token: parent-token
"
    );
}

#[test]
fn a_token_for_the_child_becomes_an_impersonation_extra() {
    let text = built(Some(&token()), &Impersonation::default());
    assert!(
        text.ends_with(
            "\
- name: clusterway-edge-7
  user:
    as: clusternet
    as-user-extra:
      clusternet-token:
      - child-token
    token: parent-token
"
        ),
        "{text}"
    );
}

#[test]
fn certificates_are_base64_of_pem_and_impersonation_in_the_child_comes_along() {
    let credential = Credential::Certificate {
        certificate: String::from("PEM C").into(),
        key: String::from("PEM K").into(),
    };
    let impersonation = Impersonation {
        user: Some("jane".into()),
        uid: Some("7".into()),
        groups: vec!["a".into(), "b".into()],
    };
    let config = build(parent(), "n", ID, Some(&credential), &impersonation, Some("ns".into())).unwrap();
    assert_eq!(
        config["users"][0]["user"]["as-user-extra"],
        json!({
            "clusternet-certificate": [STANDARD.encode("PEM C")],
            "clusternet-privatekey": [STANDARD.encode("PEM K")],
            "clusternet-impersonate-user": ["jane"],
            "clusternet-impersonate-uid": ["7"],
            "clusternet-impersonate-group": ["a", "b"],
        })
    );
    assert_eq!(config["contexts"][0]["context"]["namespace"], "ns");
}

#[test]
fn files_of_the_parent_kubeconfig_are_put_inside() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, name).unwrap();
        Some(path.to_string_lossy().into_owned())
    };
    let mut parent = parent();
    parent.cluster.certificate_authority_data = None;
    parent.cluster.certificate_authority = file("ca");
    parent.user.client_certificate = file("crt");
    parent.user.client_key = file("key");
    let config = build(parent, "n", ID, None, &Impersonation::default(), None).unwrap();
    assert_eq!(config["clusters"][0]["cluster"]["certificate-authority-data"], STANDARD.encode("ca"));
    let user = &config["users"][0]["user"];
    assert_eq!(
        (&user["client-certificate-data"], &user["client-key-data"]),
        (&json!(STANDARD.encode("crt")), &json!(STANDARD.encode("key")))
    );
    assert_eq!(user["client-key"], Value::Null);
}

#[test]
fn one_cannot_impersonate_twice() {
    let mut parent = parent();
    parent.user.impersonate = Some("boss".into());
    assert!(build(parent.clone(), "n", ID, None, &Impersonation::default(), None).is_ok());
    let text =
        build(parent, "n", ID, Some(&token()), &Impersonation::default(), None).unwrap_err().to_string();
    assert!(text.contains("boss") && !text.contains("child-token"), "{text}");
}
