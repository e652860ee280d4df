//! A cluster whose shard changes waits until the shard before lets it go (contract 3.11). If that shard has no hub any
//! more, nobody would: the Lease that its hub renews all the time shows it.
//!
//! That is safe without a look at the other hub: one that comes back finds that the cluster is another shard's, and one
//! that cannot renew its Lease has ended its work within seconds.

use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::parent::Parent;

/// The Lease is looked at this many times within the patience, if there is time enough between two looks.
const LOOKS: u32 = 10;
const AT_LEAST: Duration = Duration::from_secs(5);

/// Waits until the Lease of `shard` has stayed the same, or away, for `patience` by this process's clock.
pub(crate) async fn until_gone(parent: &dyn Parent, shard: &str, patience: Duration) {
    let mut last: Option<(_, Instant)> = None;
    loop {
        match parent.sign_of_life(shard).await {
            Ok(sign) => match &last {
                Some((before, since)) if *before == sign => {
                    if since.elapsed() >= patience {
                        return;
                    }
                }
                _ => last = Some((sign, Instant::now())),
            },
            // Who cannot be asked may be alive.
            Err(error) => {
                tracing::debug!(shard, %error, "nobody says whether the shard still has a hub");
                last = None;
            }
        }
        sleep((patience / LOOKS).max(AT_LEAST)).await;
    }
}
