//! Flags with which a hub does not start.

use std::{net::Ipv4Addr, process::Stdio, time::Duration};

use anyhow::{Context as _, ensure};
use tokio::process::Command;

use crate::{fleet::Fleet, free_port};

const GATE: &str = "AllowProxyRequestToClusters";

/// P82: what passes requests on to clusters needs its gate, and only subresources of Kubernetes are passed on.
pub(super) async fn a_hub_does_not_start_with_proxy_flags_without_their_gate(
    fleet: &Fleet,
) -> anyhow::Result<()> {
    refused(fleet, &["--allowed-proxy-subresources=pods/log"], GATE).await?;
    refused(fleet, &["--allow-pediacluster-config-for-proxy-request"], GATE).await?;
    refused(fleet, &["--enable-proxy-path-for-forward-request"], GATE).await?;
    refused(fleet, &["--allow-forward-unsync-resource-request"], GATE).await?;
    let gate = format!("--feature-gates={GATE}=true");
    refused(fleet, &[&gate, "--allowed-proxy-subresources=pods/trace"], "pods/trace").await
}

/// Starts a hub with these flags, which has to end and say why.
async fn refused(fleet: &Fleet, flags: &[&str], why: &str) -> anyhow::Result<()> {
    let port = free_port(Ipv4Addr::LOCALHOST.into())?;
    let flags: Vec<String> = flags.iter().map(|&flag| flag.to_owned()).collect();
    let spec = fleet.another_hub_spec("refused-hub", port, &flags)?;
    let mut command = Command::new(&spec.program);
    command.args(&spec.args).stdin(Stdio::null()).kill_on_drop(true);
    let output = tokio::time::timeout(Duration::from_secs(60), command.output());
    let output = output.await.with_context(|| format!("a hub with {flags:?} runs"))??;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(!output.status.success() && said.contains(why), "a hub with {flags:?} says: {said}");
    Ok(())
}
