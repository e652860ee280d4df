//! Tokens for children, by TokenRequest on their ServiceAccounts.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use api::names::CHILD_SERVICE_ACCOUNT;
use jiff::Timestamp;
use k8s_openapi::{
    api::{
        authentication::v1::{TokenRequest, TokenRequestSpec},
        core::v1::ServiceAccount,
    },
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{Api, Client, api::PostParams, core::Request};
use serde::Deserialize;
use zeroize::Zeroizing;

use super::io::Error;

/// The API server gives no shorter life.
const SHORTEST: Duration = Duration::from_mins(10);

/// A token and when it expires.
pub(crate) struct Issued {
    /// The token in clear.
    pub(crate) token: Zeroizing<String>,
    /// When it expires.
    pub(crate) expires: Timestamp,
}

/// Asks for tokens, and learns how long the parent lets them live.
pub(crate) struct Issuer {
    client: Client,
    asked: Duration,
    /// The life of the last token in seconds: a parent's maximum holds for all.
    granted: AtomicU64,
}

/// What is read of the answer. Not [`TokenRequest`] by kube's typed call: should the answer not be readable, that would
/// log it.
#[derive(Deserialize)]
struct Answer {
    status: AnswerStatus,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerStatus {
    token: String,
    expiration_timestamp: Time,
}

impl Issuer {
    pub(crate) fn new(client: Client, lifetime: Duration) -> Self {
        let asked = lifetime.max(SHORTEST);
        Self { client, asked, granted: AtomicU64::new(asked.as_secs()) }
    }

    /// A new token for the child whose namespace this is.
    pub(crate) async fn issue(&self, namespace: &str) -> Result<Issued, Error> {
        let issued = self.issue_for(namespace, self.asked).await?;
        let life = Duration::try_from(issued.expires.duration_since(Timestamp::now())).unwrap_or_default();
        self.granted.store(life.as_secs(), Ordering::Relaxed);
        Ok(issued)
    }

    /// A new token that shall live so long.
    pub(crate) async fn issue_for(&self, namespace: &str, lifetime: Duration) -> Result<Issued, Error> {
        let accounts: Api<ServiceAccount> = Api::namespaced(self.client.clone(), namespace);
        let wanted = TokenRequest {
            spec: TokenRequestSpec {
                expiration_seconds: Some(i64::try_from(lifetime.as_secs()).unwrap_or(i64::MAX)),
                ..TokenRequestSpec::default()
            },
            ..TokenRequest::default()
        };
        let body = serde_json::to_vec(&wanted).map_err(|_| Error::Token)?;
        let request = Request::new(accounts.resource_url())
            .create_subresource("token", CHILD_SERVICE_ACCOUNT, &PostParams::default(), body)
            .map_err(kube::Error::BuildRequest)?;
        let answer = Zeroizing::new(self.client.request_text(request).await?);
        let answer: Answer = serde_json::from_str(&answer).map_err(|_| Error::Token)?;
        Ok(Issued {
            token: Zeroizing::new(answer.status.token),
            expires: answer.status.expiration_timestamp.0,
        })
    }

    /// How long until a token with this expiry has lived two thirds of its life; none when it has.
    pub(crate) fn until_due(&self, expires: Option<Timestamp>, now: Timestamp) -> Option<Duration> {
        let granted = Duration::from_secs(self.granted.load(Ordering::Relaxed));
        until_due(expires?, granted, now)
    }
}

fn until_due(expires: Timestamp, life: Duration, now: Timestamp) -> Option<Duration> {
    let left = Duration::try_from(expires.duration_since(now)).ok()?;
    left.checked_sub(life / 3).filter(|wait| !wait.is_zero())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_due_at_two_thirds_of_its_life() {
        let now = Timestamp::from_second(1_800_000_000).unwrap();
        let life = Duration::from_secs(900);
        for (left, expected) in [(900, Some(600)), (301, Some(1)), (300, None), (0, None), (-5, None)] {
            let expires = Timestamp::from_second(1_800_000_000 + left).unwrap();
            assert_eq!(until_due(expires, life, now), expected.map(Duration::from_secs), "{left} s left");
        }
    }
}
