//! The parent is verified before any token is sent to it.
//!
//! Three ways, in this order: the CA somebody gave us; the CA in the parent's `cluster-info`, signed with the secret of
//! our bootstrap token; the system's trusted roots. Each verifies; skipping is a flag of its own that warns.

use std::path::Path;

use anyhow::Context as _;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit as _, Mac as _};
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, config::Kubeconfig};
use sha2::Sha256;
use tracing::{info, warn};

use super::{
    options::{Options, bootstrap_token},
    parent::{self, Roots},
};

/// Whom to trust as the parent while registering.
pub(super) async fn find(options: &Options) -> anyhow::Result<Roots> {
    if let Some(path) = &options.parent_ca {
        return from_file(path);
    }
    if options.insecure {
        warn!(
            "the parent's certificate is NOT verified while registering (--parent-insecure-skip-tls-verify): whoever \
             stands between can take this cluster's place"
        );
        return Ok(Roots::Unverified);
    }
    if let Some((id, secret)) = bootstrap_token(&options.token) {
        if let Some(pem) = cluster_info(options, id, secret).await? {
            info!("the parent's CA comes from its cluster-info, signed with our bootstrap token");
            return Ok(Roots::Authority(pem));
        }
        info!("the parent publishes no cluster-info signed for our bootstrap token");
    }
    info!("the parent is verified by the system's trusted roots; --parent-ca names another CA");
    Ok(Roots::System)
}

fn from_file(path: &Path) -> anyhow::Result<Roots> {
    let pem = std::fs::read_to_string(path).with_context(|| format!("--parent-ca {}", path.display()))?;
    runtime::tls::roots("--parent-ca", pem.as_bytes())?;
    Ok(Roots::Authority(pem))
}

/// The CA in `cluster-info`, if the parent publishes one that is signed for this token. Asked without a credential over
/// a connection that verifies nothing: only the signature counts.
async fn cluster_info(options: &Options, id: &str, secret: &str) -> anyhow::Result<Option<String>> {
    let client = parent::client(&options.parent_url, &Roots::Unverified, None)?;
    let maps: Api<ConfigMap> = Api::namespaced(client, "kube-public");
    let map = match maps.get("cluster-info").await {
        Ok(map) => map,
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404) => return Ok(None),
        Err(error) => return Err(parent::explain(error, &options.parent_url)),
    };
    let data = map.data.unwrap_or_default();
    let (Some(text), Some(signature)) = (data.get("kubeconfig"), data.get(&format!("jws-kubeconfig-{id}")))
    else {
        return Ok(None);
    };
    verify(text, signature, id, secret)?;
    authority(text).map(Some)
}

/// Checks a detached JWS (`header..signature`, HS256) over `content`.
fn verify(content: &str, jws: &str, id: &str, secret: &str) -> anyhow::Result<()> {
    let wrong = "the parent's cluster-info is not signed with our bootstrap token: this is another parent, or somebody \
                 stands between; check --cluster-reg-parent-url and --cluster-reg-token";
    let (header, signature) = jws.split_once("..").context(wrong)?;
    let decoded: serde_json::Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).context(wrong)?).context(wrong)?;
    anyhow::ensure!(decoded["alg"] == "HS256" && decoded["kid"] == id, wrong);
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes())?;
    mac.update(header.as_bytes());
    mac.update(b".");
    mac.update(URL_SAFE_NO_PAD.encode(content).as_bytes());
    // In constant time: an attacker on the way could otherwise learn the signature byte by byte.
    mac.verify_slice(&URL_SAFE_NO_PAD.decode(signature).context(wrong)?).map_err(|_| anyhow::anyhow!(wrong))
}

/// The CA of the one cluster in a kubeconfig.
fn authority(text: &str) -> anyhow::Result<String> {
    use base64::engine::general_purpose::STANDARD;
    let config = Kubeconfig::from_yaml(text).context("the parent's cluster-info holds no kubeconfig")?;
    let cluster = config.clusters.into_iter().find_map(|named| named.cluster);
    let data = cluster.and_then(|cluster| cluster.certificate_authority_data);
    let pem = STANDARD.decode(data.context("the parent's cluster-info names no CA")?.trim())?;
    runtime::tls::roots("the CA in cluster-info", &pem)?;
    Ok(String::from_utf8(pem)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sign(content: &str, id: &str, secret: &str) -> String {
        let header = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"HS256","kid":"{id}"}}"#));
        let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
        mac.update(format!("{header}.{}", URL_SAFE_NO_PAD.encode(content)).as_bytes());
        format!("{header}..{}", URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
    }

    #[test]
    fn only_the_holder_of_the_tokens_secret_can_sign() {
        let jws = sign("hello", "07401b", "f395accd246ae52d");
        assert!(verify("hello", &jws, "07401b", "f395accd246ae52d").is_ok());
        assert!(verify("hullo", &jws, "07401b", "f395accd246ae52d").is_err());
        assert!(verify("hello", &jws, "07401b", "f395accd246ae52e").is_err());
        assert!(verify("hello", &jws, "07401c", "f395accd246ae52d").is_err());
    }

    #[test]
    fn a_signature_of_another_kind_does_not_count() {
        let none = format!("{}..", URL_SAFE_NO_PAD.encode(r#"{"alg":"none","kid":"07401b"}"#));
        for bad in ["", "..", "a.b.c", "%%..%%", none.as_str()] {
            assert!(verify("hello", bad, "07401b", "f395accd246ae52d").is_err(), "{bad}");
        }
    }
}
