//! Credentials stay where they belong.

mod deployed;

use anyhow::{Context as _, ensure};
use bytes::Bytes;
use http::Request;
use http_body_util::Full;

pub(super) use deployed::no_value_of_a_deployed_secret_is_told_anywhere;

use crate::{
    e2e::runner::{parent_token, visitor_manifest},
    fleet::Fleet,
    install::visit_path,
    seed,
};

/// Visits with a credential of the child, and looks for it and for the child's own in every log, the parent's audit log
/// among them.
pub(super) async fn no_log_and_no_audit_record_holds_a_credential(fleet: &Fleet) -> anyhow::Result<()> {
    let (parent, child) = (fleet.parent()?, fleet.cluster("child1")?);
    let registered = fleet.registered(&child).await?.context("it is not registered")?;
    child.apply(&visitor_manifest()).await?;
    let visitor = child.token_of(seed::NAMESPACE, "visitor").await?;
    let client = parent.http_as("alice", &["visitors-child1"])?;
    for path in [
        "/version",
        "/api/v1/nodes",
        "/api/v1/namespaces/demo/configmaps",
        "/apis/authentication.k8s.io/v1/selfsubjectreviews",
    ] {
        let request = Request::get(format!("{}{path}", visit_path(&registered.id)))
            .header("clusterway-child-authorization", format!("Bearer {visitor}"))
            .body(Full::<Bytes>::default())?;
        client.whole(request).await?;
    }
    let own = parent_token(&child).await?;
    let secrets = [("the visitor's token", signature(&visitor)?), ("the child's token", signature(&own)?)];
    in_no_log(fleet, &secrets)
}

/// Looks for secrets, each behind its name, in every log of the fleet.
fn in_no_log(fleet: &Fleet, secrets: &[(impl std::fmt::Display, String)]) -> anyhow::Result<()> {
    for entry in std::fs::read_dir(fleet.log_directory())?.flatten() {
        let log = String::from_utf8_lossy(&std::fs::read(entry.path())?).into_owned();
        for (name, secret) in secrets {
            ensure!(!log.contains(secret), "{name} is in {}", entry.path().display());
        }
    }
    Ok(())
}

/// The part of a token that proves something.
fn signature(token: &str) -> anyhow::Result<String> {
    Ok(token.rsplit('.').next().context("no token")?.to_owned())
}
