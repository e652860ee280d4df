//! What other processes of the machine can see of an operation: its arguments and its environment. A script stands for Helm
//! and writes both down, with the modes of the files it is given.

#![expect(clippy::unwrap_used, reason = "a helper that fails fails its test")]

use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

use helm::{Cluster, Credentials, Error, Helm, Limits, Repository, Target, UninstallOptions};

const PASSWORD: &str = "planted-password-1";
const TOKEN: &str = "planted-token-2";

/// Tells a version; otherwise writes down what it sees, and fails while repeating the files it was given.
const SCRIPT: &str = r#"#!/bin/sh
if [ "$1" = version ]; then echo v3.21; exit 0; fi
PATH=/usr/bin:/bin
{ echo "args: $*"; env; } >> SEEN
find "$HOME" -type f -printf '%m %f\n' -o -type d -printf '%m %f/\n' >> SEEN
cat "$HOME"/repositories.yaml "$HOME"/registries.json "$HOME"/kubeconfig >&2 2>/dev/null
exit 1
"#;

async fn spy(directory: &Path) -> Helm {
    let program = directory.join("helm");
    fs::write(&program, SCRIPT.replace("SEEN", &directory.join("seen").display().to_string())).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let temporary = directory.join("tmp");
    fs::create_dir(&temporary).unwrap();
    Helm::open(&program, &temporary, Limits::default()).await.unwrap()
}

/// What the script saw, after everything of the operation is gone.
fn seen(directory: &Path) -> String {
    let left = fs::read_dir(directory.join("tmp")).unwrap().count();
    assert_eq!(left, 0, "files were left behind");
    let seen = fs::read_to_string(directory.join("seen")).unwrap();
    for line in seen.lines() {
        let Some((mode, name)) = line.split_once(' ') else { continue };
        if mode.len() == 3 && mode.chars().all(|c| c.is_ascii_digit()) {
            let expected = if name.starts_with("clusterway-helm-") { "700" } else { "600" };
            assert!(name.ends_with('/') && !name.starts_with("clusterway") || mode == expected, "{line}");
        }
    }
    seen
}

#[tokio::test]
async fn credentials_of_a_repository_are_in_files_only_and_not_in_the_error() {
    for url in ["https://charts.example.invalid", "oci://registry.example.invalid/charts"] {
        let directory = tempfile::tempdir().unwrap();
        let helm = spy(directory.path()).await;
        let mut repository = Repository::new(url).unwrap();
        repository.credentials = Some(Credentials { username: "user".into(), password: PASSWORD.into() });
        let error = helm.fetch(&repository, "web", Some("1.0.0")).await.unwrap_err();
        assert!(!error.to_string().contains(PASSWORD) && !format!("{error:?}").contains(PASSWORD), "{error}");
        let seen = seen(directory.path());
        assert!(seen.contains("args: ") && !seen.contains(PASSWORD), "{seen}");
    }
}

#[tokio::test]
async fn the_token_of_a_cluster_is_in_a_file_only_and_not_in_the_error() {
    let directory = tempfile::tempdir().unwrap();
    let helm = spy(directory.path()).await;
    let cluster = Cluster {
        server: String::from("https://127.0.0.1:1"),
        authority: String::from("-----BEGIN CERTIFICATE-----"),
        server_name: None,
        token: TOKEN.into(),
    };
    let target = Target { cluster, namespace: String::from("qux"), name: String::from("web") };
    let error = helm.uninstall(&target, &UninstallOptions::default()).await.unwrap_err();
    assert!(
        matches!(&error, Error::Failed(message) if message.contains("[hidden]") && !message.contains(TOKEN)),
        "{error}"
    );
    let seen = seen(directory.path());
    assert!(seen.contains("600 kubeconfig") && !seen.contains(TOKEN), "{seen}");
}

#[tokio::test]
async fn another_major_version_and_something_else_are_refused_when_opened() {
    let directory = tempfile::tempdir().unwrap();
    for (version, expected) in [("v4.0.1", "Helm 3 is needed"), ("", "no version")] {
        let program = directory.path().join("other");
        fs::write(&program, format!("#!/bin/sh\necho {version}\n")).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Helm::open(&program, directory.path(), Limits::default()).await.unwrap_err();
        assert!(matches!(&error, Error::Program(why) if why.contains(expected)), "{error}");
    }
    let error =
        Helm::open(Path::new("/no/such/helm"), directory.path(), Limits::default()).await.unwrap_err();
    assert!(matches!(&error, Error::Program(why) if why.contains("/no/such/helm")), "{error}");
}
