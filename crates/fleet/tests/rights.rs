//! What each identity may do in a parent, as the parent's API server says, compared with the lists in
//! `tests/rights`. The lists are complete: beyond what every ServiceAccount of that Kubernetes version may do
//! (discovery, asking about itself), whatever is not in them is refused.
//!
//! Needs a real API server: `CLUSTERWAY_RIGHTS_KUBECONFIG` names the kubeconfig of an administrator of a parent with
//! `deploy/hub` applied and a registered child. `CLUSTERWAY_RIGHTS_WRITE` writes the lists instead of comparing them.

#![cfg(test)]

use std::{collections::BTreeSet, path::Path};

use api::{clusters::ManagedCluster, names};
use k8s_openapi::api::authorization::v1::{
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use kube::{
    Api, Client, Config,
    api::{ListParams, PostParams},
    config::{KubeConfigOptions, Kubeconfig},
};

/// A namespace that is nobody's: what is allowed here is allowed everywhere.
const ELSEWHERE: &str = "elsewhere";

/// An identity of the parent, and the file that lists its rights.
struct Subject {
    list: &'static str,
    user: String,
    groups: Vec<String>,
}

impl Subject {
    fn account(list: &'static str, namespace: &str, name: &str) -> Self {
        let user = format!("system:serviceaccount:{namespace}:{name}");
        let groups = ["system:serviceaccounts", &format!("system:serviceaccounts:{namespace}")];
        Self { list, user, groups: groups.map(str::to_owned).to_vec() }
    }
}

/// The administrator's client, speaking as somebody else.
fn client_of(config: &Config, subject: &Subject) -> Client {
    let mut config = config.clone();
    config.auth_info.impersonate = Some(subject.user.clone());
    let groups = subject.groups.iter().cloned().chain(["system:authenticated".to_owned()]);
    config.auth_info.impersonate_groups = Some(groups.collect());
    Client::try_from(config).unwrap()
}

/// What the identity behind the client may do in a namespace, one line per verb, resource and name.
async fn rights(client: &Client, namespace: &str) -> BTreeSet<String> {
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec { namespace: Some(namespace.to_owned()) },
        ..SelfSubjectRulesReview::default()
    };
    let reviews: Api<SelfSubjectRulesReview> = Api::all(client.clone());
    let status = reviews.create(&PostParams::default(), &review).await.unwrap().status.unwrap();
    assert!(!status.incomplete, "the API server does not know all rules: {:?}", status.evaluation_error);
    lines(&status)
}

fn lines(status: &SubjectRulesReviewStatus) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for rule in &status.resource_rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                let group = if group.is_empty() { "core" } else { group };
                let verbs = rule.verbs.iter().cloned().collect::<BTreeSet<_>>();
                let verbs = verbs.into_iter().collect::<Vec<_>>().join(",");
                let line = format!("{group} {resource} {verbs}");
                let names = rule.resource_names.as_deref().unwrap_or_default();
                lines.extend(names.iter().map(|name| format!("{line} {name}")));
                if names.is_empty() {
                    lines.insert(line);
                }
            }
        }
    }
    for rule in &status.non_resource_rules {
        let urls = rule.non_resource_urls.iter().flatten();
        lines.extend(urls.map(|url| format!("url {url} {}", rule.verbs.join(","))));
    }
    lines
}

#[tokio::test]
#[ignore = "needs a real cluster"]
async fn every_identity_may_do_what_its_list_says_and_nothing_else() {
    let path = std::env::var("CLUSTERWAY_RIGHTS_KUBECONFIG").expect("the kubeconfig of an administrator");
    let kubeconfig = Kubeconfig::read_from(path).unwrap();
    let config = Config::from_custom_kubeconfig(kubeconfig, &KubeConfigOptions::default()).await.unwrap();
    let admin = Client::try_from(config.clone()).unwrap();
    let clusters = Api::<ManagedCluster>::all(admin).list(&ListParams::default()).await.unwrap();
    let child = clusters.items.first().expect("a registered child");
    let namespace = child.metadata.namespace.clone().unwrap();
    let id = &child.spec.cluster_id;

    let subjects = [
        Subject::account("hub", names::SYSTEM_NAMESPACE, names::HUB_SERVICE_ACCOUNT),
        Subject::account("child", &namespace, names::CHILD_SERVICE_ACCOUNT),
        Subject {
            list: "bootstrap-token",
            user: "system:bootstrap:07401b".to_owned(),
            groups: vec!["system:bootstrappers".to_owned(), names::BOOTSTRAP_GROUP.to_owned()],
        },
    ];
    let anybody = Subject::account("anybody", ELSEWHERE, "anybody");
    let anybody = rights(&client_of(&config, &anybody), ELSEWHERE).await;
    let mut wrong = Vec::new();
    for subject in subjects {
        let client = client_of(&config, &subject);
        let everywhere = &rights(&client, ELSEWHERE).await - &anybody;
        let mut found: BTreeSet<_> = everywhere.iter().map(|right| format!("everywhere: {right}")).collect();
        let reserved = names::apps::RESERVED_NAMESPACE;
        for place in ["default", "kube-public", "kube-system", names::SYSTEM_NAMESPACE, reserved, &namespace]
        {
            let here = rights(&client, place).await;
            found.extend(
                here.difference(&everywhere)
                    .filter(|right| !anybody.contains(*right))
                    .map(|right| format!("in {place}: {right}")),
            );
        }
        let found: BTreeSet<_> =
            found.iter().map(|line| line.replace(&namespace, "$NS").replace(id, "$ID")).collect();

        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/rights/{}.txt", subject.list));
        if std::env::var_os("CLUSTERWAY_RIGHTS_WRITE").is_some() {
            let lines: Vec<_> = found.into_iter().collect();
            std::fs::write(&file, lines.join("\n") + "\n").unwrap();
            continue;
        }
        let listed = std::fs::read_to_string(&file).unwrap_or_default();
        let listed: BTreeSet<_> = listed.lines().map(str::to_owned).collect();
        wrong.extend(found.difference(&listed).map(|line| format!("{} may, unlisted: {line}", subject.list)));
        wrong.extend(listed.difference(&found).map(|line| format!("{} may not: {line}", subject.list)));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
