//! Keeps Secret, serving certificate and `caBundle` in step.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::{
    ByteString, api::core::v1::Secret, apimachinery::pkg::apis::meta::v1::ObjectMeta,
    kube_aggregator::pkg::apis::apiregistration::v1::APIService,
};
use kube::{
    Api, Client,
    api::{Patch, PatchParams, PostParams},
};
use runtime::{Backoff, Tasks, lease::Leadership};
use tokio::sync::watch;
use tracing::{info, warn};

use super::{Error, Options, ServingCertificate, authority::Authorities};

/// How often Secret and APIServices are looked at.
const ROUND: Duration = Duration::from_secs(30);

/// Reads the authority, or makes the first one, and keeps everything in step until the group ends.
///
/// Waits until the parent can be reached. `client` needs `get`, `create` and `update` on the Secret, and `get` and
/// `patch` on the APIServices; only the holder of the Lease writes to what exists.
pub async fn start(
    client: Client,
    options: Options,
    leadership: watch::Receiver<Leadership>,
    tasks: &Tasks,
) -> Result<ServingCertificate, Error> {
    let token = tasks.token();
    let secrets = Api::namespaced(client.clone(), &options.namespace);
    let secret_name = format!("{}/{}", options.namespace, options.secret);
    let mut found = None;
    let mut backoff = Backoff::new(Duration::from_millis(500), Duration::from_secs(10));
    while found.is_none() {
        match read_or_create(&secrets, &options.secret, None).await {
            Ok(secret) => found = Some(secret),
            Err(error) => {
                let wait = backoff.next();
                warn!(secret = secret_name, %error, "the serving authority cannot be read yet");
                tokio::select! {
                    () = token.cancelled() => return Err(Error::Ending),
                    () = tokio::time::sleep(wait) => {}
                }
            }
        }
    }
    let data = found.and_then(|secret| secret.data).unwrap_or_default();
    let authorities = Authorities::from_data(&data)
        .map_err(|cause| Error::Unusable { secret: secret_name.clone(), cause })?;
    let issued = authorities.issue(&options.names, Timestamp::now())?;
    let certificate = ServingCertificate::new(issued.key, authorities.bundle());
    let keeper = Keeper {
        secrets,
        api_services: Api::all(client),
        options,
        leadership,
        certificate: certificate.clone(),
        authorities,
        renew_at: issued.renew_at,
    };
    tasks.spawn("serving authority", keeper.run());
    Ok(certificate)
}

struct Keeper {
    secrets: Api<Secret>,
    api_services: Api<APIService>,
    options: Options,
    leadership: watch::Receiver<Leadership>,
    certificate: ServingCertificate,
    authorities: Authorities,
    renew_at: Timestamp,
}

impl Keeper {
    async fn run(mut self) {
        let mut leadership = self.leadership.clone();
        loop {
            if let Err(error) = self.round(Timestamp::now()).await {
                warn!(%error, "the serving authority could not be kept in step, trying again");
            }
            tokio::select! {
                () = tokio::time::sleep(ROUND) => {}
                // A new holder need not wait; without an election the channel is closed and only time passes.
                Ok(()) = leadership.changed() => {}
            }
        }
    }

    /// Brings everything in step once.
    async fn round(&mut self, now: Timestamp) -> Result<(), RoundError> {
        let name = self.options.secret.clone();
        let held = self.leadership.borrow().held;
        let secret = if held {
            read_or_create(&self.secrets, &name, Some(&self.authorities)).await?
        } else {
            // Gone: the holder puts it back, with the newest state.
            let Some(secret) = self.secrets.get_opt(&name).await? else { return Ok(()) };
            secret
        };
        let data = secret.data.clone().unwrap_or_default();
        let found = Authorities::from_data(&data).map_err(RoundError::Unusable)?;
        self.adopt(found, now)?;
        if !held {
            return Ok(());
        }
        let published = self.publish().await;
        if let Some(next) = self.authorities.advance(now, published.is_ok())? {
            // The resourceVersion inside makes this fail if anybody else was faster.
            let secret = Secret { data: Some(next.to_data()), ..secret };
            self.secrets.replace(&name, &PostParams::default(), &secret).await?;
            info!("the serving authority went a step on in its rotation");
            self.adopt(next, now)?;
            self.publish().await?;
        }
        published
    }

    /// Takes these authorities as ours; issues a new certificate where the old one is due or signed by another.
    fn adopt(&mut self, authorities: Authorities, now: Timestamp) -> Result<(), Error> {
        if now >= self.renew_at || !authorities.signs_like(&self.authorities) {
            let issued = authorities.issue(&self.options.names, now)?;
            self.certificate.set(issued.key);
            self.renew_at = issued.renew_at;
            info!(renew_at = %self.renew_at, "a new serving certificate was issued");
        }
        self.certificate.set_bundle(authorities.bundle());
        self.authorities = authorities;
        Ok(())
    }

    /// Writes the bundle into every APIService that does not have it.
    async fn publish(&self) -> Result<(), RoundError> {
        let bundle = ByteString(self.authorities.bundle().into_bytes());
        let mut missing = Vec::new();
        for name in &self.options.api_services {
            let Some(service) = self.api_services.get_opt(name).await? else {
                missing.push(name.clone());
                continue;
            };
            let spec = service.spec.unwrap_or_default();
            let insecure = spec.insecure_skip_tls_verify.unwrap_or_default();
            if spec.ca_bundle.as_ref() == Some(&bundle) && !insecure {
                continue;
            }
            let patch = serde_json::json!({ "spec": { "caBundle": bundle, "insecureSkipTLSVerify": null } });
            self.api_services.patch(name, &PatchParams::default(), &Patch::Merge(patch)).await?;
            info!(api_service = name, "the caBundle was written");
        }
        if missing.is_empty() { Ok(()) } else { Err(RoundError::Missing(missing.join(", "))) }
    }
}

/// Why a round did not get to its end. The next one tries again.
#[derive(Debug, thiserror::Error)]
enum RoundError {
    #[error(transparent)]
    Parent(#[from] kube::Error),
    #[error("the secret is not usable ({0}); delete it to have the last good authority written again")]
    Unusable(String),
    #[error(transparent)]
    Issue(#[from] Error),
    #[error("these APIServices do not exist: {0}")]
    Missing(String),
}

/// The Secret; where there is none, one is made of `known`, or of a new authority. Of several replicas that try, the
/// first wins and the others read.
async fn read_or_create(
    secrets: &Api<Secret>,
    name: &str,
    known: Option<&Authorities>,
) -> Result<Secret, RoundError> {
    if let Some(secret) = secrets.get_opt(name).await? {
        return Ok(secret);
    }
    let data = match known {
        Some(authorities) => authorities.to_data(),
        None => Authorities::make(Timestamp::now())?.to_data(),
    };
    let secret = Secret {
        metadata: ObjectMeta { name: Some(name.to_owned()), ..ObjectMeta::default() },
        type_: Some(String::from("kubernetes.io/tls")),
        data: Some(data),
        ..Secret::default()
    };
    match secrets.create(&PostParams::default(), &secret).await {
        Ok(created) => {
            info!(secret = name, "a serving authority was made");
            Ok(created)
        }
        Err(kube::Error::Api(status)) if status.code == 409 => Ok(secrets.get(name).await?),
        Err(error) => Err(error.into()),
    }
}
