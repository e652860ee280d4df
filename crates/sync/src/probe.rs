//! Whether a cluster answers (contract 3.3).

use std::time::Duration;

use kubeio::{Error, Transport};
use rand::RngExt as _;
use runtime::CancellationToken;
use serde::Deserialize;
use tokio::{
    sync::watch,
    time::{sleep, timeout},
};

use crate::report::{Board, Health};

/// What the answer to a probe may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// Time between two probes, half as much again at most.
const INTERVAL: Duration = Duration::from_secs(5);
/// Bytes of an answer.
const LIMIT: usize = 64 << 10;
/// Failures in a row after which the cluster counts as gone.
const GONE: u32 = 2;
/// Probes after which the version is read again: it changes with an upgrade.
const VERSION_EVERY: u32 = 60;

/// Probes the cluster for ever, now and then and when the way there has opened. `answers` tells whether it is there: a
/// single failure does not change that.
pub(crate) async fn keep_probing(
    transport: &dyn Transport,
    board: &Board,
    answers: &watch::Sender<bool>,
    ends: &CancellationToken,
) {
    let mut failures = 0_u32;
    let mut until_version = 0_u32;
    loop {
        let opened = transport.opened();
        let health = probe(transport).await;
        if health == Health::Healthy {
            failures = 0;
            if until_version == 0
                && let Some(version) = version(transport).await
            {
                board.tell(|report| report.version = Some(version));
                until_version = VERSION_EVERY;
            }
            until_version = until_version.saturating_sub(1);
        } else {
            failures = failures.saturating_add(1);
            until_version = 0;
        }
        board.tell(|report| report.health = health);
        let there = failures == 0 || (failures < GONE && *answers.borrow());
        answers.send_if_modified(|before| std::mem::replace(before, there) != there);
        let wait = INTERVAL.mul_f64(rand::rng().random_range(1.0..1.5));
        tokio::select! {
            () = ends.cancelled() => return,
            () = sleep(wait) => {}
            () = opened => {}
        }
    }
}

async fn probe(transport: &dyn Transport) -> Health {
    let answer = match ask(transport, "/readyz").await {
        Err(Error::NotFound(_)) => ask(transport, "/healthz").await,
        answer => answer,
    };
    match answer {
        // Whoever refuses has understood who is asking.
        Ok(()) | Err(Error::Forbidden(_)) => Health::Healthy,
        Err(error @ Error::Unreachable(_)) => Health::NotReachable(error.to_string()),
        Err(error) => Health::Unhealthy(error.to_string()),
    }
}

async fn ask(transport: &dyn Transport, path: &str) -> Result<(), Error> {
    match timeout(PATIENCE, kubeio::get(transport, path, LIMIT)).await {
        Ok(Ok(answer)) if answer.trim_ascii() != b"ok" => {
            Err(Error::Broken(format!("{path} does not say ok: another server may stand in between")))
        }
        Ok(answer) => answer.map(drop),
        Err(_) => Err(Error::Unreachable(format!("no answer for {} s", PATIENCE.as_secs()))),
    }
}

async fn version(transport: &dyn Transport) -> Option<String> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Version {
        git_version: String,
    }
    let answer = timeout(PATIENCE, kubeio::get(transport, "/version", LIMIT)).await.ok()?.ok()?;
    let version = serde_json::from_slice::<Version>(&answer).ok()?.git_version;
    Some(version.chars().take(64).collect())
}
