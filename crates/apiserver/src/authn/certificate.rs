//! Whom a connection's client certificate stands for.
//!
//! The handshake accepts what either authority signed. Here the chain is verified again for each authority on its
//! own, against the authorities of this moment: a certificate of the client CA names a user, one of the requestheader
//! CA names a front proxy, and neither stands for the other.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use runtime::CancellationToken;
use rustls::{
    pki_types::{CertificateDer, UnixTime},
    server::danger::ClientCertVerifier,
};
use x509_parser::{certificate::X509Certificate, prelude::FromDer as _};

use super::Trust;
use crate::User;

/// A verdict is this old at most: certificates expire while connections stay open.
const VERDICT_LIFE: Duration = Duration::from_secs(60);

/// One accepted connection, as far as identity is concerned.
#[derive(Debug)]
pub(crate) struct Connection {
    /// The other end.
    pub(crate) address: SocketAddr,
    chain: Vec<CertificateDer<'static>>,
    /// Which authorities the handshake knew.
    generation: u64,
    outdated: CancellationToken,
    verdict: Mutex<Option<(u64, Instant, Arc<Verdict>)>>,
    identified: AtomicBool,
}

/// What a certificate chain proves.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    /// The user the client CA names.
    pub(crate) user: Option<User>,
    /// The requestheader CA signed it and the name is allowed.
    pub(crate) front_proxy: bool,
}

impl Connection {
    /// A connection whose peer showed `chain` in its handshake (it has proved that it holds the key), which was held
    /// under the authorities of `generation`.
    pub(crate) fn new(address: SocketAddr, chain: Vec<CertificateDer<'static>>, generation: u64) -> Self {
        Self {
            address,
            chain,
            generation,
            outdated: CancellationToken::new(),
            verdict: Mutex::new(None),
            identified: AtomicBool::new(false),
        }
    }

    /// Whether the authorities have changed since the handshake: what the peer showed then, or was not asked for, may
    /// not be what it would show now. Ends the connection gracefully if so, that the peer may open another.
    pub(crate) fn is_outdated(&self, trust: &Trust) -> bool {
        let outdated = self.generation != trust.generation();
        if outdated {
            self.outdated.cancel();
        }
        outdated
    }

    /// Cancelled when the peer should open another connection.
    pub(crate) fn outdated(&self) -> &CancellationToken {
        &self.outdated
    }

    /// Somebody with a name has sent a request over this connection.
    pub(crate) fn set_identified(&self) {
        self.identified.store(true, Ordering::Relaxed);
    }

    /// Whether anybody with a name has ever sent a request over this connection.
    pub(crate) fn is_identified(&self) -> bool {
        self.identified.load(Ordering::Relaxed)
    }

    /// What the chain proves under `trust`. Remembered for a minute, or until the authorities change.
    pub(crate) fn verify(&self, trust: &Trust) -> Arc<Verdict> {
        if self.chain.is_empty() {
            return Arc::default();
        }
        let mut remembered = self.verdict.lock();
        if let Some((generation, at, verdict)) = &*remembered
            && *generation == trust.generation()
            && at.elapsed() < VERDICT_LIFE
        {
            return verdict.clone();
        }
        let verdict = Arc::new(judge(&self.chain, trust));
        *remembered = Some((trust.generation(), Instant::now(), verdict.clone()));
        verdict
    }
}

fn judge(chain: &[CertificateDer<'_>], trust: &Trust) -> Verdict {
    let Some((leaf, intermediates)) = chain.split_first() else { return Verdict::default() };
    let Some(subject) = Subject::of(leaf) else { return Verdict::default() };
    let signed = |verifier: Option<&dyn ClientCertVerifier>| {
        verifier
            .is_some_and(|verifier| verifier.verify_client_cert(leaf, intermediates, UnixTime::now()).is_ok())
    };
    let allowed = trust.request_header().is_some_and(|config| config.allows(&subject.common_name));
    Verdict {
        front_proxy: allowed && signed(trust.front_proxy()),
        user: signed(trust.client()).then(|| subject.user()),
    }
}

struct Subject {
    common_name: String,
    organisations: Vec<String>,
}

impl Subject {
    /// `None` if the certificate names nobody, or more than one.
    fn of(leaf: &CertificateDer<'_>) -> Option<Self> {
        let (_, certificate) = X509Certificate::from_der(leaf).ok()?;
        let mut names = certificate.subject().iter_common_name();
        let common_name = names.next()?.as_str().ok()?.to_owned();
        if names.next().is_some() || common_name.is_empty() {
            return None;
        }
        let organisations = certificate
            .subject()
            .iter_organization()
            .map(|organisation| organisation.as_str().map(str::to_owned))
            .collect::<Result<_, _>>()
            .ok()?;
        Some(Self { common_name, organisations })
    }

    fn user(self) -> User {
        User { name: self.common_name, groups: self.organisations, ..User::default() }
    }
}
