//! Who is calling.
//!
//! In Kubernetes' order: identity headers of a trusted front proxy, the connection's client certificate, a bearer
//! token. Whoever shows nothing is nobody; whoever shows something that does not hold is refused, never taken for
//! somebody lesser. A replica that relays a request is a bearer token with the caller's identity beside it.

mod certificate;
mod config_map;
mod front_proxy;
mod relayed;
mod token;
mod trust;

use std::sync::Arc;

use http::{HeaderMap, HeaderValue, header};
use meta::Status;

pub(crate) use certificate::Connection;
pub use front_proxy::RequestHeader;
pub use relayed::write_identity;
pub use token::Tokens;
pub use trust::{Trust, TrustError, TrustStore};

use crate::{User, headers};

/// Finds out who is calling. Cheap to clone.
#[derive(Clone)]
pub struct Authenticator {
    trust: TrustStore,
    tokens: Option<Tokens>,
    /// The user name of the replicas, if they relay requests.
    replicas: Option<Arc<str>>,
}

/// A caller and how they were known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    /// Nobody showed anything: `None`.
    pub(crate) user: Option<User>,
    /// The connection is a trusted front proxy's.
    pub(crate) front_proxy: bool,
    /// Another replica asks in the user's name.
    pub(crate) relayed: bool,
    /// Names under which the front proxy gives identity beside the usual ones, for stripping.
    pub(crate) identity_headers: Arc<Vec<String>>,
}

impl Authenticator {
    /// Trusts the certificate authorities in `trust` and, with `tokens`, asks the parent about bearer tokens.
    pub fn new(trust: TrustStore, tokens: Option<Tokens>) -> Self {
        Self { trust, tokens, replicas: None }
    }

    /// Believes the user `account`, known by a bearer token, for whom it asks ([`write_identity`]): that is how replicas
    /// relay requests to each other. Only for what [`crate::Api::takes_relayed`].
    #[must_use]
    pub fn with_replicas(self, account: &str) -> Self {
        Self { replicas: Some(account.into()), ..self }
    }

    /// The certificate authorities.
    pub fn trust(&self) -> &TrustStore {
        &self.trust
    }

    /// Who sends this request over this connection.
    pub(crate) async fn authenticate(
        &self,
        connection: &Connection,
        headers: &HeaderMap,
    ) -> Result<Caller, Status> {
        if !self.trust.is_known() {
            let message = "The server does not know yet whom to trust. Try again in a moment.";
            return Err(Status::unavailable(message).retry_after(1));
        }
        let trust = self.trust.current();
        let peer = connection.verify(&trust);
        let caller = |user: Option<User>| Caller {
            user: user.map(User::with_authenticated_group),
            front_proxy: peer.front_proxy,
            relayed: false,
            identity_headers: trust.identity_headers().clone(),
        };
        if let Some(config) = trust.request_header().filter(|_| peer.front_proxy)
            && let Some(user) = config.user(headers)?
        {
            return Ok(caller(Some(user)));
        }
        if headers::asks_to_impersonate(headers) && !peer.front_proxy {
            return Err(Status::bad_request(
                "Impersonation works through the parent's API server only; send the request there.",
            ));
        }
        if relayed::names_somebody(headers) && !peer.front_proxy {
            let user = self.relayed(headers).await?;
            return Ok(Caller { relayed: true, ..caller(Some(user)) });
        }
        if let Some(user) = &peer.user {
            return Ok(caller(Some(user.clone())));
        }
        let Some(authorization) = headers.get(header::AUTHORIZATION) else {
            if connection.is_outdated(&trust) {
                // Otherwise the parent would keep a connection that it opened before we could know it.
                let message =
                    "The certificate authorities have changed since this connection was opened. Try again.";
                return Err(Status::unavailable(message).retry_after(1));
            }
            return Ok(caller(None));
        };
        Ok(caller(Some(self.review(headers, authorization).await?)))
    }

    /// The user of a bearer token.
    async fn review(&self, headers: &HeaderMap, authorization: &HeaderValue) -> Result<User, Status> {
        let token = token::bearer(headers, authorization)?;
        let Some(tokens) = &self.tokens else {
            return Err(Status::unauthorized(
                "Bearer tokens are not accepted here; use a client certificate.",
            ));
        };
        tokens.review(token).await
    }

    /// The user for whom another replica asks.
    async fn relayed(&self, headers: &HeaderMap) -> Result<User, Status> {
        let account = self.replicas.as_deref().ok_or_else(relayed::refused)?;
        let authorization = headers.get(header::AUTHORIZATION).ok_or_else(relayed::refused)?;
        if self.review(headers, authorization).await?.name != account {
            return Err(relayed::refused());
        }
        relayed::user(headers)?.ok_or_else(relayed::refused)
    }
}
