//! The tokens that clusters register with: bootstrap tokens of the parent, in the group that may register and nothing
//! else.

mod join;

use std::{collections::BTreeMap, time::Duration};

use api::names::BOOTSTRAP_GROUP;
use jiff::Timestamp;
use k8s_openapi::api::core::v1::{ConfigMap, Secret};
use kube::{
    Api, Client, ResourceExt as _,
    api::{DeleteParams, ListParams, ObjectMeta, PostParams},
};
use rand::RngExt as _;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    args::Connection,
    clusters,
    failure::Failure,
    output::{age, data, say, table},
    parent::Parent,
};

const NAMESPACE: &str = "kube-system";
const TYPE: &str = "bootstrap.kubernetes.io/token";
const LETTERS: &[u8] = b"abcdefghijklmnopqrstuvwxyz0123456789";

/// What a new token is asked to be.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    /// How long it holds; zero means for ever.
    pub(crate) ttl: Duration,
    pub(crate) description: String,
    /// The registered cluster that shall come back with it.
    pub(crate) cluster: Option<String>,
    /// Print the commands on stdout instead of the token.
    pub(crate) join_command: bool,
    /// Where the new cluster finds the parent.
    pub(crate) parent_url: Option<String>,
}

/// A bootstrap token.
#[derive(Debug)]
struct Token {
    id: String,
    secret: SecretString,
}

impl Token {
    fn generate() -> Self {
        Self { id: letters(6), secret: letters(16).into() }
    }

    fn text(&self) -> String {
        format!("{}.{}", self.id, self.secret.expose_secret())
    }

    /// The Secret that makes it valid (contract section 8.3).
    fn object(&self, description: &str, end: Option<Timestamp>) -> Secret {
        let mut fields = BTreeMap::from([
            ("token-id", self.id.clone()),
            ("token-secret", self.secret.expose_secret().to_owned()),
            ("usage-bootstrap-authentication", String::from("true")),
            ("usage-bootstrap-signing", String::from("true")),
            ("auth-extra-groups", BOOTSTRAP_GROUP.to_owned()),
        ]);
        if !description.is_empty() {
            fields.insert("description", description.to_owned());
        }
        if let Some(end) = end {
            fields.insert("expiration", end.to_string());
        }
        Secret {
            metadata: ObjectMeta {
                name: Some(object_name(&self.id)),
                namespace: Some(NAMESPACE.to_owned()),
                ..ObjectMeta::default()
            },
            type_: Some(TYPE.to_owned()),
            string_data: Some(fields.into_iter().map(|(key, value)| (key.to_owned(), value)).collect()),
            ..Secret::default()
        }
    }
}

/// `token create`.
pub(crate) async fn create(connection: &Connection, wanted: &Wanted) -> Result<(), Failure> {
    let parent = Parent::load(connection)?;
    let client = parent.client().await?;
    if let Some(cluster) = &wanted.cluster {
        clusters::resolve(&parent, cluster).await?;
    }
    let server =
        wanted.parent_url.as_deref().map_or_else(|| parent.server(), Ok)?.trim_end_matches('/').to_owned();
    let token = Token::generate();
    let end = end(Timestamp::now(), wanted.ttl);
    let object = token.object(&description(wanted), end);
    secrets(&client)
        .create(&PostParams::default(), &object)
        .await
        .map_err(|error| Failure::parent("make a bootstrap token in the parent", &error))?;

    let commands = match &wanted.cluster {
        Some(_) => join::come_back(&token.text(), wanted.parent_url.as_deref()),
        None => join::join(&server, &token.text()),
    };
    // An agent that comes back knows the address, unless it is given a new one.
    let tells_address = wanted.cluster.is_none() || wanted.parent_url.is_some();
    if tells_address && join::is_loopback(&server) {
        say(&format!(
            "warning: {server} is an address of this machine; give the address at which the new cluster reaches the \
             parent with --parent-url"
        ));
    }
    if !publishes_cluster_info(&client).await {
        say(
            "warning: this parent publishes no cluster-info, so the token alone does not tell the agent whom to trust; \
             give the agent the parent's CA with --parent-ca",
        );
    }
    let until = end.map_or_else(|| String::from("for ever"), |end| format!("until {end}"));
    let whose = wanted.cluster.as_deref().unwrap_or("the new cluster");
    if wanted.join_command {
        say(&format!("The token holds {until}. Run with a kubeconfig of {whose}:"));
        return data(&commands);
    }
    data(&format!("{}\n", token.text()))?;
    say(&format!("\nThe token holds {until}. Run with a kubeconfig of {whose}:\n\n{commands}"));
    Ok(())
}

/// `token list`.
pub(crate) async fn list(connection: &Connection, headers: bool) -> Result<(), Failure> {
    let client = Parent::load(connection)?.client().await?;
    let params = ListParams::default().fields(&format!("type={TYPE}"));
    let found = secrets(&client)
        .list(&params)
        .await
        .map_err(|error| Failure::parent("list the bootstrap tokens of the parent", &error))?;
    let now = Timestamp::now();
    let rows: Vec<Vec<String>> =
        found.items.iter().filter(|secret| registers(secret)).map(|secret| row(secret, now)).collect();
    if rows.is_empty() {
        say("No tokens found. kubectl clusterway token create makes one.");
        return Ok(());
    }
    data(&table(headers.then_some(&["TOKEN ID", "TTL", "EXPIRES", "DESCRIPTION"]), &rows))
}

/// `token delete`. Registered clusters do not need the token they came with.
pub(crate) async fn delete(connection: &Connection, tokens: &[String]) -> Result<(), Failure> {
    let ids = tokens.iter().map(|token| id(token)).collect::<Result<Vec<_>, _>>()?;
    let client = Parent::load(connection)?.client().await?;
    let secrets = secrets(&client);
    for id in ids {
        let name = object_name(&id);
        let found =
            secrets.get_opt(&name).await.map_err(|error| Failure::parent("read the token", &error))?;
        let secret = found.ok_or_else(|| {
            Failure::new(format!("there is no token {id}"))
                .next("kubectl clusterway token list shows those there are")
        })?;
        if !registers(&secret) {
            return Err(Failure::new(format!("the token {id} is not one that clusters register with"))
                .because(format!("its groups do not include {BOOTSTRAP_GROUP}"))
                .next(format!("if you are sure: kubectl delete secret -n {NAMESPACE} {name}")));
        }
        secrets
            .delete(&name, &DeleteParams::default())
            .await
            .map_err(|error| Failure::parent("delete the token", &error))?;
        say(&format!("token {id} deleted"));
    }
    Ok(())
}

fn secrets(client: &Client) -> Api<Secret> {
    Api::namespaced(client.clone(), NAMESPACE)
}

async fn publishes_cluster_info(client: &Client) -> bool {
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), "kube-public");
    // Whoever may not look is not told that nothing is there.
    !matches!(maps.get_opt("cluster-info").await, Ok(None))
}

fn description(wanted: &Wanted) -> String {
    match &wanted.cluster {
        _ if !wanted.description.is_empty() => wanted.description.clone(),
        Some(cluster) => format!("Lets the cluster {cluster} come back."),
        None => String::from("Registers clusters with Clusterway."),
    }
}

fn end(now: Timestamp, ttl: Duration) -> Option<Timestamp> {
    let seconds = i64::try_from(ttl.as_secs()).ok().filter(|seconds| *seconds > 0)?;
    Timestamp::from_second(now.as_second().checked_add(seconds)?).ok()
}

fn object_name(id: &str) -> String {
    format!("bootstrap-token-{id}")
}

/// The id of a token that is given whole or as its id.
fn id(token: &str) -> Result<String, Failure> {
    let id = token.split('.').next().unwrap_or_default();
    if id.len() == 6 && id.bytes().all(|letter| LETTERS.contains(&letter)) {
        return Ok(id.to_owned());
    }
    // The text is not repeated: it may be a secret.
    Err(Failure::new("this is neither a token nor the id of one")
        .because("an id has six lower-case letters and digits, for example 07401b")
        .next("kubectl clusterway token list shows the ids"))
}

fn letters(count: usize) -> String {
    let mut random = rand::rng();
    (0..count).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

fn field(secret: &Secret, key: &str) -> Option<String> {
    secret.data.as_ref()?.get(key).and_then(|value| String::from_utf8(value.0.clone()).ok())
}

fn registers(secret: &Secret) -> bool {
    field(secret, "auth-extra-groups")
        .is_some_and(|groups| groups.split(',').any(|group| group == BOOTSTRAP_GROUP))
}

fn row(secret: &Secret, now: Timestamp) -> Vec<String> {
    let id = secret.name_any().trim_start_matches("bootstrap-token-").to_owned();
    let end = field(secret, "expiration");
    let left = match end.as_deref().map(str::parse::<Timestamp>) {
        None => String::from("forever"),
        Some(Ok(end)) if end > now => age(end.as_second() - now.as_second()),
        Some(Ok(_)) => String::from("expired"),
        Some(Err(_)) => String::from("invalid"),
    };
    vec![
        id,
        left,
        end.unwrap_or_else(|| String::from("never")),
        field(secret, "description").unwrap_or_default(),
    ]
}

#[cfg(test)]
mod tests {
    use k8s_openapi::ByteString;

    use super::*;

    fn token() -> Token {
        Token { id: "07401b".into(), secret: String::from("f395accd246ae52d").into() }
    }

    fn stored(fields: &[(&str, &str)]) -> Secret {
        let data =
            fields.iter().map(|(key, value)| ((*key).to_owned(), ByteString(value.as_bytes().to_vec())));
        let metadata = ObjectMeta { name: Some(object_name("07401b")), ..ObjectMeta::default() };
        Secret { metadata, data: Some(data.collect()), ..Secret::default() }
    }

    #[test]
    fn the_secret_is_a_bootstrap_token_that_may_register_and_nothing_else() {
        let end = "2026-11-22T06:00:00Z".parse().unwrap();
        let object = serde_json::to_value(token().object("For edge-7.", Some(end))).unwrap();
        assert_eq!(
            object,
            serde_json::json!({
                "apiVersion": "v1",
                "kind": "Secret",
                "metadata": { "name": "bootstrap-token-07401b", "namespace": "kube-system" },
                "type": "bootstrap.kubernetes.io/token",
                "stringData": {
                    "description": "For edge-7.",
                    "token-id": "07401b",
                    "token-secret": "f395accd246ae52d",
                    "expiration": "2026-11-22T06:00:00Z",
                    "usage-bootstrap-authentication": "true",
                    "usage-bootstrap-signing": "true",
                    "auth-extra-groups": "system:bootstrappers:clusternet:register-cluster-token",
                },
            })
        );
    }

    #[test]
    fn a_token_ends_unless_it_is_asked_to_hold_for_ever() {
        let now: Timestamp = "2026-11-21T06:00:00.5Z".parse().unwrap();
        assert_eq!(end(now, Duration::from_secs(86_400)).unwrap().to_string(), "2026-11-22T06:00:00Z");
        assert_eq!(end(now, Duration::ZERO), None);
    }

    #[test]
    fn tokens_are_random_and_have_the_form_of_bootstrap_tokens() {
        let (one, other) = (Token::generate(), Token::generate());
        assert_ne!(one.text(), other.text());
        let (id, secret) = (one.id.as_str(), one.secret.expose_secret());
        assert_eq!((id.len(), secret.len()), (6, 16));
        assert!(one.text().bytes().all(|letter| letter == b'.' || LETTERS.contains(&letter)));
        assert!(!format!("{one:?}").contains(secret));
    }

    #[test]
    fn a_token_is_named_whole_or_by_its_id_and_never_repeated_when_wrong() {
        assert_eq!(id("07401b.f395accd246ae52d").unwrap(), "07401b");
        assert_eq!(id("07401b").unwrap(), "07401b");
        for wrong in ["", "0740x", "UPPER1", "../../x", "f395accd246ae52d"] {
            let text = id(wrong).unwrap_err().to_string();
            assert!(wrong.is_empty() || !text.contains(wrong), "{text}");
        }
    }

    #[test]
    fn only_tokens_of_the_registering_group_are_ours() {
        assert!(registers(&stored(&[("auth-extra-groups", &format!("a,{BOOTSTRAP_GROUP}"))])));
        assert!(!registers(&stored(&[(
            "auth-extra-groups",
            "system:bootstrappers:kubeadm:default-node-token"
        )])));
        assert!(!registers(&stored(&[])));
    }

    #[test]
    fn a_listed_token_shows_how_long_it_holds_and_never_its_secret() {
        let now = "2026-11-21T06:00:00Z".parse().unwrap();
        let row = |end: &str| {
            super::row(&stored(&[("expiration", end), ("token-secret", "geheim"), ("description", "x")]), now)
        };
        assert_eq!(row("2026-11-21T18:00:00Z"), ["07401b", "12h", "2026-11-21T18:00:00Z", "x"]);
        assert_eq!(row("2026-11-20T18:00:00Z")[1], "expired");
        assert_eq!(super::row(&stored(&[]), now), ["07401b", "forever", "never", ""]);
    }
}
