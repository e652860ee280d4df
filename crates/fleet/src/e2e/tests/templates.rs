//! The shadow API, where it needs more than a request and an answer.

use std::time::Duration;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};

use crate::{cargo, fleet::Fleet};

pub(super) async fn a_watch_of_templates_tells_changes_while_it_is_open(fleet: &Fleet) -> anyhow::Result<()> {
    let parent = fleet.parent()?;
    let client = parent.http_as("fleet-administrator", &["system:masters"])?;
    let maps = "/apis/shadow/v1alpha1/namespaces/watched/configmaps";
    let watch = Request::get(format!("{maps}?watch=true&timeoutSeconds=60")).body(Full::default())?;
    let mut events = client.send(watch).await?;
    ensure!(events.status().is_success(), "{}", events.status());
    let name = format!("watched-{:x}", rand::random::<u32>());
    let made = format!(
        r#"{{"apiVersion":"v1","kind":"ConfigMap","metadata":{{"name":"{name}"}},"data":{{"a":"1"}}}}"#
    );
    let one = format!("{maps}/{name}");
    for (method, path, content, body, told) in [
        ("POST", maps, "application/json", made.as_str(), "ADDED"),
        ("PATCH", &one, "application/merge-patch+json", r#"{"data":{"a":"2"}}"#, "MODIFIED"),
        ("DELETE", &one, "application/json", "", "DELETED"),
    ] {
        let request = Request::builder().method(method).uri(path).header("content-type", content);
        let answer = client.whole(request.body(Full::new(Bytes::from(body.to_owned())))?).await?;
        ensure!(answer.status().is_success(), "{method}: {}", answer.status());
        let seen = async {
            let mut text = String::new();
            while !(text.contains(&name) && text.contains(told)) {
                let frame = events.body_mut().frame().await.context("the watch ended")??;
                text.push_str(&String::from_utf8_lossy(frame.data_ref().map_or(&[][..], |data| data)));
            }
            anyhow::Ok(())
        };
        tokio::time::timeout(Duration::from_secs(2), seen)
            .await
            .with_context(|| format!("no {told} within 2 s"))??;
    }
    Ok(())
}

pub(super) async fn the_example_of_the_rust_client_keeps_a_template(fleet: &Fleet) -> anyhow::Result<()> {
    let example = ["run", "--quiet", "-p", "shadow-client", "--example", "keep"];
    let output = cargo::cargo(&example).env("KUBECONFIG", fleet.parent()?.kubeconfig()).output().await?;
    let text = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{text}");
    ensure!(text.contains("as the Manifest configmaps.qux.settings"), "{text}");
    Ok(())
}
