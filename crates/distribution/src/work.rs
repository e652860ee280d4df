//! Takes keys from the queue and looks at what they name.

use std::sync::Arc;

use crate::{
    base, contents, feeds, hub::Hub, key::Key, lost, parent::Refusal, queue::Failed, rules, subscription,
};

/// From this many failures in a row on, a failure is worth a line in the log.
const WORTH_SAYING: u32 = 4;

/// One of several workers. It never ends by itself.
pub(crate) async fn work(hub: Arc<Hub>) {
    loop {
        let key = hub.world.queue.take().await;
        step(&hub, &key).await;
    }
}

/// One look at an object, and the next one if it fails.
pub(crate) async fn step(hub: &Hub, key: &Key) {
    let result = examine(hub, key).await;
    let Some(Failed { count, wait }) = hub.world.queue.done(key, result.is_ok()) else { return };
    let Err(error) = result else { return };
    if count >= WORTH_SAYING {
        tracing::warn!(object = %key, %error, count, wait_ms = wait.as_millis() as u64, "it failed, trying again");
    } else {
        tracing::debug!(object = %key, %error, count, "it failed, trying again");
    }
}

async fn examine(hub: &Hub, key: &Key) -> Result<(), Refusal> {
    match key {
        Key::Subscription(name) => subscription::examine(hub, name).await,
        Key::Base(name) => base::examine(hub, name).await,
        Key::Description(name) => lost::examine(hub, name).await,
        Key::Content(name) => contents::examine(hub, name).await,
        Key::Manifest(name) => feeds::examine_manifest(hub, name).await,
        Key::HelmChart(name) => feeds::examine_chart(hub, name).await,
        Key::Globalization(name) => rules::examine_globalization(hub, name).await,
        Key::Localization(name) => rules::examine_localization(hub, name).await,
    }
}
