//! The parent's own word on which authorities and headers to trust: ConfigMap
//! `kube-system/extension-apiserver-authentication`.

use std::{collections::BTreeMap, time::Duration};

use futures_util::StreamExt as _;
use k8s_openapi::api::core::v1::ConfigMap;
use kube::{Api, runtime::WatchStreamExt as _};
use runtime::{OnError, Tasks};
use tracing::{info, warn};

use super::{RequestHeader, Trust, TrustError, TrustStore};

const NAMESPACE: &str = "kube-system";
const NAME: &str = "extension-apiserver-authentication";
/// Read again this often even if the watch says nothing: it may have died without a word.
const REREAD: Duration = Duration::from_secs(60);

impl TrustStore {
    /// Keeps this store in step with the parent's ConfigMap until the group ends. What cannot be read leaves the last
    /// good state in force; before the first one, [`TrustStore::is_known`] is false.
    ///
    /// `client` needs `get`, `list` and `watch` on that ConfigMap: bind the Role
    /// `extension-apiserver-authentication-reader` in `kube-system`.
    pub fn follow_config_map(&self, client: kube::Client, tasks: &Tasks) {
        let store = self.clone();
        tasks.supervise("authentication config", OnError::Restart, move || {
            let (store, api) = (store.clone(), Api::namespaced(client.clone(), NAMESPACE));
            async move { follow(&store, &api).await }
        });
    }
}

async fn follow(store: &TrustStore, api: &Api<ConfigMap>) -> anyhow::Result<()> {
    let mut applied = None;
    let mut changes = kube::runtime::watcher::watch_object(api.clone(), NAME).default_backoff().boxed();
    let mut reread = tokio::time::interval(REREAD);
    loop {
        let found = tokio::select! {
            change = changes.next() => match change {
                Some(Ok(found)) => found,
                Some(Err(error)) => {
                    warn!(%error, "the watch on the authentication config failed, it will be read again");
                    continue;
                }
                None => anyhow::bail!("the watch on the authentication config ended"),
            },
            _ = reread.tick() => match api.get_opt(NAME).await {
                Ok(found) => found,
                Err(error) => {
                    warn!(%error, "the authentication config cannot be read");
                    continue;
                }
            },
        };
        let Some(data) = found.map(|map| map.data.unwrap_or_default()) else {
            warn!("the authentication config is missing, the last one stays in force");
            continue;
        };
        if applied.as_ref() == Some(&data) {
            continue;
        }
        match read(&data) {
            Ok(trust) => {
                store.set(trust);
                info!("the authentication config was read");
            }
            Err(error) => {
                warn!(%error, "the authentication config is not usable, the last one stays in force");
            }
        }
        applied = Some(data);
    }
}

/// The ConfigMap's data as [`Trust`].
fn read(data: &BTreeMap<String, String>) -> Result<Trust, TrustError> {
    let pem = |key: &str| data.get(key).filter(|pem| !pem.trim().is_empty());
    let client_ca = pem("client-ca-file").map(String::as_str);
    let Some(ca) = pem("requestheader-client-ca-file") else {
        return Trust::new(client_ca, None);
    };
    let config = RequestHeader {
        ca: ca.clone(),
        allowed_names: list(data, "requestheader-allowed-names")?,
        username_headers: headers(data, "requestheader-username-headers")?,
        uid_headers: headers(data, "requestheader-uid-headers")?,
        group_headers: headers(data, "requestheader-group-headers")?,
        extra_prefixes: headers(data, "requestheader-extra-headers-prefix")?,
    };
    if config.allowed_names.is_empty() && client_ca.is_some_and(|client_ca| client_ca.trim() == ca.trim()) {
        warn!(
            "the parent uses one CA for clients and front proxies and allows every name: any client certificate may \
             speak for anybody; set --requestheader-allowed-names on the parent's API server"
        );
    }
    Trust::new(client_ca, Some(config))
}

fn list(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, TrustError> {
    let Some(text) = data.get(key).filter(|text| !text.trim().is_empty()) else { return Ok(Vec::new()) };
    serde_json::from_str(text).map_err(|_| TrustError::List(key))
}

fn headers(data: &BTreeMap<String, String>, key: &'static str) -> Result<Vec<String>, TrustError> {
    let names = list(data, key)?;
    let valid = |name: &String| http::HeaderName::from_bytes(name.as_bytes()).is_ok();
    if names.iter().all(valid) { Ok(names) } else { Err(TrustError::List(key)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn the_form_kube_apiserver_writes_is_read() {
        let ca = crate::tests::ca::Ca::new("front-proxy-ca");
        let pem = ca.pem();
        let trust = read(&data(&[
            ("client-ca-file", &pem),
            ("requestheader-client-ca-file", &pem),
            ("requestheader-allowed-names", r#"["front-proxy-client"]"#),
            ("requestheader-username-headers", r#"["X-Remote-User"]"#),
            ("requestheader-group-headers", r#"["X-Remote-Group"]"#),
            ("requestheader-extra-headers-prefix", r#"["X-Remote-Extra-"]"#),
        ]))
        .unwrap();
        let config = trust.request_header().unwrap();
        assert!(config.allows("front-proxy-client") && !config.allows("somebody"));
        assert!(config.uid_headers.is_empty());
        assert_eq!(config.extra_prefixes, ["X-Remote-Extra-"]);
    }

    #[test]
    fn without_a_requestheader_ca_nobody_speaks_for_others() {
        assert!(read(&data(&[])).unwrap().request_header().is_none());
        assert!(read(&data(&[("requestheader-allowed-names", "[]")])).unwrap().request_header().is_none());
    }

    #[test]
    fn what_cannot_be_read_is_an_error_and_not_a_default() {
        let ca = crate::tests::ca::Ca::new("front-proxy-ca");
        for (key, value) in [
            ("requestheader-allowed-names", "not json"),
            ("requestheader-username-headers", r#"["no header"]"#),
            ("client-ca-file", "no certificate"),
        ] {
            let pairs = [("requestheader-client-ca-file", ca.pem()), (key, value.to_owned())];
            let pairs: Vec<_> = pairs.iter().map(|(key, value)| (*key, value.as_str())).collect();
            assert!(read(&data(&pairs)).is_err(), "{key}");
        }
    }
}
