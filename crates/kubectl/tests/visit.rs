//! The program as it is called, with a script in kubectl's place.

#![expect(clippy::unwrap_used, reason = "a test that cannot be set up fails")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::TcpListener,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

const ID: &str = "dc91021d-2361-4f6d-a404-7c33b9e01118";
const PARENT: &str = "
apiVersion: v1
kind: Config
current-context: parent
contexts: [{name: parent, context: {cluster: parent, user: me}}]
clusters: [{name: parent, cluster: {server: 'https://127.0.0.1:1'}}]
users: [{name: me, user: {token: parent-token}}]
";

/// The plug-in, called with a kubeconfig of a parent nobody needs to reach, and a script for kubectl.
fn plug_in(directory: &Path, script: &str) -> Command {
    let kubectl = directory.join("kubectl");
    std::fs::write(&kubectl, format!("#!/bin/sh\n{script}\n")).unwrap();
    std::fs::set_permissions(&kubectl, std::fs::Permissions::from_mode(0o755)).unwrap();
    std::fs::write(directory.join("parent"), PARENT).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_kubectl-clusterway"));
    command
        .env("KUBECTL", kubectl)
        .env("KUBECONFIG", directory.join("parent"))
        .env("TMPDIR", directory)
        .env("KUBECACHEDIR", directory.join("cache"))
        .stdin(Stdio::null());
    command
}

fn left_behind(directory: &Path) -> usize {
    let entries = std::fs::read_dir(directory).unwrap();
    entries
        .filter(|entry| {
            entry.as_ref().unwrap().file_name().to_string_lossy().starts_with("kubectl-clusterway-")
        })
        .count()
}

#[test]
fn kubectl_gets_its_own_words_and_a_private_kubeconfig_and_its_exit_code_is_ours() {
    let directory = tempfile::tempdir().unwrap();
    let script = "echo \"$@\"; stat -c %a \"$KUBECONFIG\"; cat \"$KUBECONFIG\"; echo talk >&2; exit 7";
    let output = plug_in(directory.path(), script)
        .args(["--cluster-id", ID, "get", "pods", "--context", "parent", "-o", "wide", "--", "--token"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(7));
    assert_eq!(String::from_utf8_lossy(&output.stderr), "talk\n");
    let text = String::from_utf8(output.stdout).unwrap();
    let mut lines = text.lines();
    assert_eq!(lines.next(), Some("get pods -o wide -- --token"));
    assert_eq!(lines.next(), Some("600"));
    let config: serde_json::Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert!(config["clusters"][0]["cluster"]["server"].as_str().unwrap().starts_with("https://127.0.0.1:"));
    assert!(!text.contains("parent-token"), "kubectl has no credential but the token of this run");
    assert_eq!(left_behind(directory.path()), 0);
}

#[test]
fn a_signal_ends_kubectl_and_nothing_is_left_behind() {
    let directory = tempfile::tempdir().unwrap();
    let script = "trap 'echo ended; exit 9' TERM; echo ready; while :; do sleep 0.05; done";
    let mut process = plug_in(directory.path(), script)
        .args(["get", "pods", "--cluster-id", ID])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut output = BufReader::new(process.stdout.take().unwrap());
    let mut line = String::new();
    output.read_line(&mut line).unwrap();
    assert_eq!(line, "ready\n");
    let pid = rustix::process::Pid::from_child(&process);
    rustix::process::kill_process(pid, rustix::process::Signal::TERM).unwrap();
    let mut rest = String::new();
    output.read_to_string(&mut rest).unwrap();
    assert_eq!(rest, "ended\n");
    assert_eq!(process.wait().unwrap().code(), Some(9));
    assert_eq!(left_behind(directory.path()), 0);
}

#[test]
fn a_forgotten_cluster_is_asked_for_and_kubectls_help_needs_none() {
    let directory = tempfile::tempdir().unwrap();
    let output = plug_in(directory.path(), "echo \"$@\"").args(["logs", "web-0"]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("--cluster-id is missing") && text.contains("clusterway clusters"), "{text}");
    let output = plug_in(directory.path(), "echo \"$@\"").args(["get", "--help"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "get --help\n");
}

#[test]
fn without_a_cluster_kubectl_works_on_templates() {
    let parent = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = parent.local_addr().unwrap();
    let discovery = std::thread::spawn(move || {
        let (mut stream, _) = parent.accept().unwrap();
        let mut asked = String::new();
        BufReader::new(&stream).read_line(&mut asked).unwrap();
        let body =
            r#"{"kind":"APIResourceList","apiVersion":"v1","groupVersion":"shadow/v1alpha1","resources":[]}"#;
        let length = body.len();
        write!(
            stream,
            "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
        )
        .unwrap();
        asked
    });
    let directory = tempfile::tempdir().unwrap();
    let mut plug_in = plug_in(directory.path(), "echo \"$@\"");
    let kubeconfig = PARENT.replace("https://127.0.0.1:1", &format!("http://{address}"));
    std::fs::write(directory.path().join("parent"), kubeconfig).unwrap();
    let output = plug_in.args(["get", "pods", "-n", "qux"]).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&output.stdout), "get pods -n qux\n");
    assert_eq!((output.status.code(), left_behind(directory.path())), (Some(0), 0));
    assert_eq!(discovery.join().unwrap(), "GET /apis/shadow/v1alpha1 HTTP/1.1\r\n");
}

#[test]
fn a_parent_without_templates_is_named_before_kubectl_runs() {
    let directory = tempfile::tempdir().unwrap();
    let output = plug_in(directory.path(), "echo ran").args(["get", "pods"]).output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(text.contains("the parent keeps no templates") && text.contains("v1alpha1.shadow"), "{text}");
    assert_eq!((output.status.code(), output.stdout.as_slice()), (Some(1), &b""[..]));
}
