//! A new token before the old one expires.

use std::time::Duration;

use api::names;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{Api, Client, api::PostParams};
use rand::RngExt as _;

/// How long a token shall live; the parent may give less.
const LIFETIME: Duration = Duration::from_secs(24 * 3600);

/// When a token was issued and when it expires, in seconds since 1970, as it says itself. The parent verifies tokens;
/// we only plan by them.
pub(super) fn validity(token: &str) -> Option<(i64, i64)> {
    let claims = URL_SAFE_NO_PAD.decode(token.split('.').nth(1)?).ok()?;
    let claims: serde_json::Value = serde_json::from_slice(&claims).ok()?;
    let expires = claims["exp"].as_i64()?;
    Some((claims["iat"].as_i64().unwrap_or(expires - 3600), expires))
}

/// How long to wait before renewing: until two thirds of the token's life are over, a little earlier by chance.
pub(super) fn wait(token: &str, now: i64) -> Duration {
    let Some((issued, expires)) = validity(token) else { return LIFETIME / 2 };
    let share = rand::rng().random_range(0.60..0.66);
    let due = issued + ((expires - issued) as f64 * share) as i64;
    Duration::from_secs(u64::try_from(due - now).unwrap_or(0))
}

/// A fresh token for our own ServiceAccount.
pub(super) async fn token(parent: &Client, namespace: &str) -> kube::Result<String> {
    let accounts: Api<ServiceAccount> = Api::namespaced(parent.clone(), namespace);
    let request = TokenRequest {
        spec: TokenRequestSpec {
            expiration_seconds: i64::try_from(LIFETIME.as_secs()).ok(),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let name = names::CHILD_SERVICE_ACCOUNT;
    let answer = accounts.create_token_request(name, &PostParams::default(), &request).await?;
    Ok(answer.status.map(|status| status.token).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn jwt(claims: &str) -> String {
        format!("e30.{}.c2ln", URL_SAFE_NO_PAD.encode(claims))
    }

    #[test]
    fn a_token_is_renewed_when_two_thirds_of_its_life_are_over() {
        let token = jwt(r#"{"iat": 1000, "exp": 4000}"#);
        let wait_now = wait(&token, 1000).as_secs();
        assert!((1800..=1980).contains(&wait_now), "{wait_now}");
        assert_eq!(wait(&token, 3900), Duration::ZERO);
    }

    #[test]
    fn a_token_that_says_nothing_of_itself_is_renewed_all_the_same() {
        for odd in ["", "opaque", "a.b.c", &jwt("{}")] {
            assert_eq!(wait(odd, 0), LIFETIME / 2, "{odd}");
        }
    }
}
