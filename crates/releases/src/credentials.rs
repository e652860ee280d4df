//! Credentials of repositories: as they stand in a pull secret, and as a cluster gets them.

use api::{
    apps::{ChartPullSecret, HelmChart, HelmRelease},
    names::helm::reasons,
};
use k8s_openapi::api::core::v1::Secret;
use kube::{Api, Client};
use serde::{Deserialize, Serialize};

use crate::trouble::Trouble;

/// What a repository wants to know, and whom to trust. The JSON form is what a cluster gets.
#[derive(Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Pull {
    #[serde(default, skip_serializing_if = "String::is_empty")]
    username: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    password: String,
    #[serde(default, rename = "ca.crt", skip_serializing_if = "Option::is_none")]
    authority: Option<String>,
}

impl Pull {
    /// Gives them to a repository.
    pub(crate) fn give(self, repository: &mut helm::Repository) {
        repository.authority = self.authority.filter(|authority| !authority.is_empty());
        if !self.username.is_empty() || !self.password.is_empty() {
            let password = self.password.into();
            repository.credentials = Some(helm::Credentials { username: self.username, password });
        }
    }

    /// As a cluster gets them.
    pub(crate) fn written(&self) -> Result<String, Trouble> {
        let unwritable = |_| {
            Trouble::new(
                reasons::CREDENTIALS_MISSING,
                "The credentials of the pull secret cannot be written.",
            )
        };
        serde_json::to_string(self).map_err(unwritable)
    }
}

/// Reads, as [`read`] does, the pull secret that a HelmRelease needs, of the HelmChart it was made of. Whoever may write overrides
/// leads the credentials nowhere but to that HelmChart's repository.
pub(crate) async fn of_chart(
    client: &Client,
    hub: &str,
    release: &HelmRelease,
    namespace: &str,
    name: &str,
) -> Result<Pull, Trouble> {
    let missing = |message: String| Trouble::new(reasons::CREDENTIALS_MISSING, message);
    let charts: Api<HelmChart> = Api::namespaced(client.clone(), namespace);
    let chart = charts.get_opt(name).await.ok().flatten();
    let chart = chart.ok_or_else(|| missing(format!("The HelmChart {namespace}/{name} cannot be read.")))?;
    let (options, theirs) = (&chart.spec.options, &release.spec.options);
    let Some(wanted) = options
        .chart_pull_secret
        .as_ref()
        .filter(|secret| Some(*secret) == theirs.chart_pull_secret.as_ref())
    else {
        let why =
            "has another pull secret than what the overrides make of it; set it in the HelmChart itself";
        return Err(missing(format!("The HelmChart {namespace}/{name} {why}.")));
    };
    if options.repo != theirs.repo {
        let why = "is led to another repository by an override, which does not get its credentials; change it in the HelmChart";
        return Err(missing(format!("The HelmChart {namespace}/{name} {why}.")));
    }
    read(client, hub, namespace, wanted).await
}

/// Reads the pull secret of a HelmChart in the namespace `own`, in the name of the hub, whose namespace is `hub`. It may if
/// somebody has let it: the hub has no right on Secrets by itself.
pub(crate) async fn read(
    client: &Client,
    hub: &str,
    own: &str,
    wanted: &ChartPullSecret,
) -> Result<Pull, Trouble> {
    let Some(name) = wanted.name.as_deref().filter(|name| !name.is_empty()) else {
        return Ok(Pull::default());
    };
    let namespace = wanted.namespace.as_deref().filter(|namespace| !namespace.is_empty()).unwrap_or(own);
    let missing = |message: String| Trouble::new(reasons::CREDENTIALS_MISSING, message);
    if namespace != own {
        return Err(missing(format!(
            "The pull secret {namespace}/{name} is not in the namespace of the HelmChart, {own}: whoever may write a HelmChart \
             could send credentials of other namespaces anywhere. Put the Secret into {own}."
        )));
    }
    let secrets: Api<Secret> = Api::namespaced(client.clone(), namespace);
    let secret = match secrets.get_opt(name).await {
        Ok(Some(secret)) => secret,
        Ok(None) => {
            return Err(missing(format!("There is no pull secret {name} in the namespace {namespace}.")));
        }
        Err(kube::Error::Api(status)) if status.code == 403 => {
            return Err(missing(grant(hub, namespace, name)));
        }
        Err(_) => return Err(missing(format!("The pull secret {name} cannot be read just now."))),
    };
    let text = |key: &str| {
        let bytes = secret.data.as_ref().and_then(|data| data.get(key)).map(|bytes| bytes.0.clone());
        bytes.and_then(|bytes| String::from_utf8(bytes).ok())
    };
    let (username, password) = (text("username").unwrap_or_default(), text("password").unwrap_or_default());
    Ok(Pull { username, password, authority: text("ca.crt") })
}

fn grant(hub: &str, namespace: &str, name: &str) -> String {
    let account = api::names::HUB_SERVICE_ACCOUNT;
    let role = format!("clusterway-pull-{name}");
    format!(
        "The hub may not read the pull secret {name}. To let it, run: kubectl -n {namespace} create role {role} --verb=get \
         --resource=secrets --resource-name={name} && kubectl -n {namespace} create rolebinding {role} --role={role} \
         --serviceaccount={hub}:{account}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_that_grants_the_right_can_be_pasted() {
        let said = grant("clusternet-system", "default", "pull");
        assert!(said.ends_with(
            "kubectl -n default create role clusterway-pull-pull --verb=get --resource=secrets --resource-name=pull && kubectl -n \
             default create rolebinding clusterway-pull-pull --role=clusterway-pull-pull \
             --serviceaccount=clusternet-system:clusternet-hub"
        ));
    }

    #[test]
    fn what_a_cluster_gets_is_what_stood_in_the_pull_secret() {
        let pull = Pull { username: "u".into(), password: "p".into(), authority: None };
        let json = serde_json::to_string(&pull).unwrap();
        assert_eq!(json, r#"{"username":"u","password":"p"}"#);
        assert!(serde_json::from_str::<Pull>(&json).unwrap() == pull);
    }
}
