//! A policy is held by our finalizer until its lifecycles are gone.

use std::time::Duration;

use api::names::policy::finalizers;
use futures_util::{StreamExt as _, stream};
use kube::ResourceExt as _;
use runtime::Backoff;
use serde_json::Value;
use tokio::time::{sleep, timeout};

use super::{CALM, LOOK_AGAIN, POLICIES, WRITES, Worker};
use crate::{
    examine::{ORPHANS, finalizers_of},
    parent::{Refusal, Write},
    plan::{delete, owns},
};

/// Lifecycles that are still there are looked at again after this time, although nothing seems to have changed.
const PATIENCE: Duration = CALM.saturating_mul(5);

impl Worker {
    /// Holds the policy until its lifecycles are gone.
    pub(super) async fn hold(&self) {
        if !self.policy.finalizers().iter().any(|finalizer| finalizer == finalizers::POLICY) {
            self.set_finalizer(true).await;
        }
    }

    /// The policy is going: so do its lifecycles, unless they are to stay. Ends when they are gone.
    pub(super) async fn leave(&self) {
        let owner = self.shared.registry.owner(self.name());
        let orphans = self.policy.finalizers().iter().any(|finalizer| finalizer == ORPHANS);
        let _ = self.lifecycles.wait_until_ready().await;
        loop {
            let all = self.lifecycles.state();
            let owned: Vec<_> = all.iter().filter(|lifecycle| owns(&self.policy, lifecycle)).collect();
            if orphans || owned.is_empty() {
                break;
            }
            let waiting = owned.iter().filter(|lifecycle| lifecycle.metadata.deletion_timestamp.is_none());
            stream::iter(
                waiting.map(|lifecycle| self.shared.parent.write(delete(lifecycle))).collect::<Vec<_>>(),
            )
            .buffer_unordered(WRITES)
            .for_each(|outcome| async move {
                if let Err(error) = outcome {
                    tracing::debug!(%error, "a PediaClusterLifecycle could not be deleted, trying again");
                }
            })
            .await;
            let _ = timeout(PATIENCE, owner.notified()).await;
        }
        self.set_finalizer(false).await;
    }

    /// Puts our finalizer on the policy or takes it away. One that is gone has none.
    async fn set_finalizer(&self, wanted: bool) {
        let [first, longest] = LOOK_AGAIN;
        let mut backoff = Backoff::new(first, longest);
        while let Err(error) = self.try_set_finalizer(wanted).await {
            tracing::debug!(policy = self.name(), %error, "the finalizer could not be set, trying again");
            sleep(backoff.next()).await;
        }
    }

    async fn try_set_finalizer(&self, wanted: bool) -> Result<(), Refusal> {
        let path = format!("{POLICIES}/{}", self.name());
        let there =
            self.shared.parent.read(&path).await.map_err(|error| Refusal::Later(error.to_string()))?;
        let Some(there) = there else { return Ok(()) };
        let held = there["metadata"]["finalizers"].as_array().into_iter().flatten();
        let mut all: Vec<String> = held.filter_map(Value::as_str).map(str::to_owned).collect();
        if all.iter().any(|finalizer| finalizer == finalizers::POLICY) == wanted {
            return Ok(());
        }
        if wanted {
            all.push(finalizers::POLICY.to_owned());
        } else {
            all.retain(|finalizer| finalizer != finalizers::POLICY);
        }
        let patch = finalizers_of(there["metadata"]["resourceVersion"].as_str(), &all);
        self.shared.parent.write(Write::Merge(path, patch)).await
    }
}
