//! Bearer tokens, which the parent's API server reviews for us.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use http::{HeaderMap, HeaderValue, header};
use meta::Status;
use moka::future::Cache;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use crate::{User, review};

/// A token longer than this is nobody's.
const LONGEST: usize = 16 * 1024;
/// How long the parent's word is taken without asking again.
const REMEMBERED: Duration = Duration::from_secs(10);
const CACHED_TOKENS: u64 = 10_000;

/// Asks the parent who a token belongs to and remembers the answer for ten seconds, under the token's SHA-256: the
/// token itself is kept nowhere.
#[derive(Clone)]
pub struct Tokens {
    reviewer: review::Reviewer,
    cache: Cache<[u8; 32], Option<Arc<User>>>,
}

impl Tokens {
    /// Reviews tokens with `client`, which needs `create` on `tokenreviews.authentication.k8s.io`.
    pub fn new(client: kube::Client) -> Self {
        let cache = Cache::builder().max_capacity(CACHED_TOKENS).time_to_live(REMEMBERED).build();
        Self { reviewer: review::Reviewer::new(client), cache }
    }

    /// Whose token it is.
    pub(super) async fn review(&self, token: &str) -> Result<User, Status> {
        let key: [u8; 32] = Sha256::digest(token.as_bytes()).into();
        let found = self.cache.try_get_with(key, self.ask(token)).await;
        match found {
            Ok(Some(user)) => Ok(User::clone(&user)),
            Ok(None) => Err(Status::unauthorized("The bearer token is not valid, or has expired.")),
            Err(_) => Err(review::Failed::status_about("who you are")),
        }
    }

    async fn ask(&self, token: &str) -> Result<Option<Arc<User>>, review::Failed> {
        let review = json!({
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": { "token": token },
        });
        let answer: Answer =
            self.reviewer.ask("/apis/authentication.k8s.io/v1/tokenreviews", &review).await?;
        let status = answer.status;
        let known = status.authenticated && !status.user.username.is_empty();
        Ok(known.then(|| Arc::new(status.user.into())))
    }
}

/// The token of an `Authorization` header. Anything else in it, or a second one, is refused.
pub(super) fn bearer<'a>(headers: &HeaderMap, value: &'a HeaderValue) -> Result<&'a str, Status> {
    let wrong = || Status::unauthorized("The Authorization header is not a single Bearer token.");
    if headers.get_all(header::AUTHORIZATION).iter().count() > 1 {
        return Err(wrong());
    }
    let text = value.to_str().map_err(|_| wrong())?.trim();
    let (scheme, token) = text.split_once(' ').ok_or_else(wrong)?;
    let token = token.trim();
    if !scheme.eq_ignore_ascii_case("bearer") || token.is_empty() || token.len() > LONGEST {
        return Err(wrong());
    }
    Ok(token)
}

#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    status: AnswerStatus,
}

#[derive(Default, Deserialize)]
struct AnswerStatus {
    #[serde(default)]
    authenticated: bool,
    #[serde(default)]
    user: AnswerUser,
}

#[derive(Default, Deserialize)]
struct AnswerUser {
    #[serde(default)]
    username: String,
    #[serde(default)]
    uid: String,
    #[serde(default)]
    groups: Vec<String>,
    #[serde(default)]
    extra: BTreeMap<String, Vec<String>>,
}

impl From<AnswerUser> for User {
    fn from(user: AnswerUser) -> Self {
        let extra = user.extra.into_iter().map(|(key, values)| (key.to_lowercase(), values)).collect();
        Self { name: user.username, uid: user.uid, groups: user.groups, extra }
    }
}
