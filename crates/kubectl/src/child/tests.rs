use super::*;

fn child(user: &str) -> Result<Child, Failure> {
    let file = format!(
        "{{apiVersion: v1, kind: Config, current-context: c, contexts: [{{name: c, context: {{cluster: x, user: u, \
         namespace: ns}}}}], users: [{{name: u, user: {user}}}]}}"
    );
    Child::choose(
        &Kubeconfig::from_yaml(&file).unwrap(),
        Path::new("child.kubeconfig"),
        &ChildFlags::default(),
    )
}

async fn header(child: &Child) -> String {
    child.headers().await.unwrap()[headers::CHILD_AUTHORIZATION].to_str().unwrap().to_owned()
}

#[tokio::test]
async fn a_token_is_sent_as_a_bearer_token() {
    let child = child("{token: abc}").unwrap();
    assert_eq!(header(&child).await, "Bearer abc");
    assert_eq!(child.namespace.as_deref(), Some("ns"));
}

#[tokio::test]
async fn a_token_file_is_read_again_for_every_request() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "one\n").unwrap();
    let child = child(&format!("{{tokenFile: '{}'}}", file.path().display())).unwrap();
    assert_eq!(header(&child).await, "Bearer one");
    std::fs::write(file.path(), "two\n").unwrap();
    assert_eq!(header(&child).await, "Bearer two");
    assert!(child.expires());
}

#[tokio::test]
async fn a_client_certificate_is_taken_inline_or_from_files_and_wins_over_a_token() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::write(directory.path().join("c"), "PEM C").unwrap();
    std::fs::write(directory.path().join("k"), "PEM K").unwrap();
    let wanted = format!("Certificate {}:{}", STANDARD.encode("PEM C"), STANDARD.encode("PEM K"));
    let inline = format!(
        "{{token: t, client-certificate-data: {}, client-key-data: {}}}",
        STANDARD.encode("PEM C"),
        STANDARD.encode("PEM K")
    );
    assert_eq!(header(&child(&inline).unwrap()).await, wanted);
    let files = format!("{{client-certificate: '{0}/c', client-key: '{0}/k'}}", directory.path().display());
    assert_eq!(header(&child(&files).unwrap()).await, wanted);
}

#[tokio::test]
async fn an_exec_plug_in_is_run_once_while_its_answer_holds_and_again_after_it() {
    let directory = tempfile::tempdir().unwrap();
    let count = directory.path().join("count");
    let script = |end: &str| {
        format!(
            "echo x >> {0}; printf '{{\"kind\":\"ExecCredential\",\"status\":{{\"token\":\"t%s\",\"expirationTimestamp\":\"{end}\"}}}}' $(wc -l < {0})",
            count.display()
        )
    };
    let user = |end: &str| {
        serde_json::json!({"exec": {"apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", script(end)],
            "interactiveMode": "Never"}})
        .to_string()
    };
    let lasting = child(&user("2999-01-01T00:00:00Z")).unwrap();
    assert_eq!((header(&lasting).await, header(&lasting).await), ("Bearer t1".into(), "Bearer t1".into()));
    let expired = child(&user("2001-01-01T00:00:00Z")).unwrap();
    assert_eq!((header(&expired).await, header(&expired).await), ("Bearer t2".into(), "Bearer t3".into()));
}

#[tokio::test]
async fn a_failing_plug_in_is_named_and_its_output_is_not_repeated() {
    let user = r#"{exec: {apiVersion: client.authentication.k8s.io/v1, command: sh, args: ['-c', 'echo secret'], interactiveMode: Never}}"#;
    let text = child(user).unwrap().headers().await.unwrap_err().to_string();
    assert!(text.contains("\"sh\"") && !text.contains("secret"), "{text}");
}

#[test]
fn credentials_that_cannot_work_are_refused_with_a_way_out() {
    for (user, word) in [
        ("{}", "no credential"),
        ("{username: a, password: b}", "password"),
        ("{client-certificate-data: YQ==}", "half"),
        ("{client-certificate-data: '%%', client-key-data: '%%'}", "base64"),
        ("{auth-provider: {name: gcp}}", "auth provider"),
        ("{client-certificate: /nowhere, client-key: /nowhere}", "/nowhere"),
    ] {
        let text = child(user).unwrap_err().to_string();
        assert!(text.contains(word), "{user}: {text}");
    }
}

#[tokio::test]
async fn impersonation_comes_from_flags_or_else_from_the_child_kubeconfig() {
    let child = child("{token: t, as: jane, as-groups: [g1, g2]}").unwrap();
    let carried = child.headers().await.unwrap();
    assert_eq!(carried[headers::CHILD_IMPERSONATE_USER], "jane");
    assert_eq!(carried.get_all(headers::CHILD_IMPERSONATE_GROUP).iter().count(), 2);

    let flags = ChildFlags {
        clusternet_as: Some("joe".into()),
        clusternet_as_uid: Some("7".into()),
        ..ChildFlags::default()
    };
    let carried = Child::load(&flags).unwrap().headers().await.unwrap();
    assert_eq!(carried[headers::CHILD_IMPERSONATE_USER], "joe");
    assert_eq!(carried[headers::CHILD_IMPERSONATE_UID], "7");
    assert!(!carried.contains_key(headers::CHILD_AUTHORIZATION));
}

#[test]
fn nothing_printed_for_debugging_holds_a_credential() {
    let printed = format!("{:?}", child("{token: very-secret}").unwrap());
    assert!(!printed.contains("very-secret"), "{printed}");
}
