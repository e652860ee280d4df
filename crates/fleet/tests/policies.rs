//! Runs `policies.yaml`: what the policies and roles of `deploy/hub` allow and refuse.
//!
//! Needs a real API server: the environment variable `CLUSTERWAY_POLICIES_KUBECONFIG` names the kubeconfig of an
//! administrator of a parent with `deploy/hub` and `manifests/samples` applied and no hub running.

#![cfg(test)]

use std::{collections::BTreeMap, time::Duration};

use k8s_openapi::api::{
    authentication::v1::{TokenRequest, TokenRequestSpec},
    core::v1::ServiceAccount,
};
use kube::{
    Api, Client, Config,
    api::PostParams,
    config::{AuthInfo, KubeConfigOptions, Kubeconfig},
};
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Step {
    it: String,
    #[serde(rename = "as")]
    who: String,
    #[serde(rename = "do")]
    action: String,
    #[serde(rename = "type", default)]
    patch: Option<String>,
    #[serde(default)]
    body: Option<Value>,
    expect: u16,
    #[serde(default)]
    because: Option<String>,
}

/// The clients of the people in the scenario, made when they first appear: the child's ServiceAccount is made on the way.
struct Cast {
    config: Config,
    admin: Client,
    namespace: String,
    clients: BTreeMap<String, Client>,
}

impl Cast {
    async fn client(&mut self, who: &str) -> Client {
        if who == "admin" {
            return self.admin.clone();
        }
        if let Some(client) = self.clients.get(who) {
            return client.clone();
        }
        let (namespace, account) = match who {
            "hub" => (api::names::SYSTEM_NAMESPACE, api::names::HUB_SERVICE_ACCOUNT),
            "bootstrap" => (api::names::SYSTEM_NAMESPACE, "cluster-bootstrap-use"),
            "child" => (self.namespace.as_str(), api::names::CHILD_SERVICE_ACCOUNT),
            other => panic!("nobody is called {other}"),
        };
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), namespace);
        let request = TokenRequest { spec: TokenRequestSpec::default(), ..TokenRequest::default() };
        let answer = accounts.create_token_request(account, &PostParams::default(), &request).await.unwrap();
        let mut config = self.config.clone();
        config.auth_info =
            AuthInfo { token: Some(answer.status.unwrap().token.into()), ..AuthInfo::default() };
        let client = Client::try_from(config).unwrap();
        self.clients.insert(who.to_owned(), client.clone());
        client
    }
}

/// Sends the request of a step; the status code and the message of a refusal.
async fn send(client: &Client, step: &Step) -> (u16, String) {
    let (method, path) = step.action.split_once(' ').unwrap();
    let (path, content) = match (method, step.patch.as_deref()) {
        ("PATCH", Some("apply")) => {
            let mark = if path.contains('?') { '&' } else { '?' };
            (format!("{path}{mark}fieldManager=clusterway-hub&force=true"), "application/apply-patch+yaml")
        }
        ("PATCH", _) => (path.to_owned(), "application/merge-patch+json"),
        _ => (path.to_owned(), "application/json"),
    };
    let body = step.body.as_ref().map(|body| serde_json::to_vec(body).unwrap()).unwrap_or_default();
    let request =
        http::Request::builder().method(method).uri(path).header("content-type", content).body(body).unwrap();
    // `send` leaves the answer as it is, refusals included.
    let answer = client.send(request.map(Into::into)).await.unwrap();
    let code = answer.status().as_u16();
    let body = http_body_util::BodyExt::collect(answer.into_body()).await.unwrap().to_bytes();
    let message = serde_json::from_slice::<Value>(&body).unwrap_or_default()["message"].clone();
    (code, message.as_str().unwrap_or_default().to_owned())
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn the_policies_allow_and_refuse_what_they_should() {
    let path = std::env::var("CLUSTERWAY_POLICIES_KUBECONFIG").expect("the kubeconfig of an administrator");
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let tail = format!("{:012x}", rand::random::<u64>() >> 16);
    let namespace = format!("clusternet-{}", &tail[7..]);
    let text = include_str!("policies.yaml")
        .replace("$ID", &format!("11111111-2222-4333-8444-{tail}"))
        .replace("$OTHER", &format!("55555555-6666-4777-8888-{tail}"))
        .replace("$NS", &namespace);
    let steps: Vec<Step> = serde_saphyr::from_str(&text).unwrap();
    let admin = Client::try_from(config.clone()).unwrap();
    let mut cast = Cast { config, admin, namespace, clients: BTreeMap::new() };

    let mut failures = Vec::new();
    for step in &steps {
        let client = cast.client(&step.who).await;
        let deadline = tokio::time::Instant::now() + Duration::from_secs(5);
        let (code, message) = loop {
            let (code, message) = send(&client, step).await;
            // A right that was just given is known to the API server's authoriser a moment later.
            let late = step.expect < 300 && code == 403 && tokio::time::Instant::now() < deadline;
            if !late {
                break (code, message);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        };
        let reason = step.because.as_deref().unwrap_or_default();
        if code != step.expect || !message.contains(reason) {
            failures.push(format!("{}: {code} {message}", step.it));
        }
    }
    assert!(
        failures.is_empty(),
        "{} of {} steps failed:\n{}",
        failures.len(),
        steps.len(),
        failures.join("\n")
    );
}
