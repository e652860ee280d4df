//! `adopt`: objects that already run in a child become templates and a Subscription, after everything that would change in the
//! child was shown. Nothing is ever deleted, and pods are not restarted: what would restart them is refused.

mod clean;
mod show;

use std::{
    ffi::OsString,
    io::{BufRead as _, IsTerminal as _, Write as _},
    process::ExitCode,
};

use api::{
    apps::{Feed, Globalization, Localization},
    clusters::ManagedCluster,
    names::{deployer::FIELD_MANAGER, labels::CLUSTER_ID},
};
use kube::{Api, ResourceExt as _};
use placement::{
    Cluster,
    diff::{Diff, diff, drift},
    overrides::{self, FeedFacts, Limits, Rule, in_order},
    schedule::untolerated,
};
use serde_json::{Value, json};

use crate::{
    args::{AdoptFlags, ChildFlags, Connection, Format},
    brake, clusters,
    failure::Failure,
    output::{data, say},
    parent::Parent,
    passthrough, plan,
};

/// Fields that are shown of one object.
const FIELDS: usize = 100;
/// What a server-side apply of the same changes beside the object itself.
const OF_THE_SERVER: [&str; 3] = ["managedFields", "resourceVersion", "generation"];

/// What would be done.
#[derive(Debug)]
struct Adoption {
    cluster: String,
    objects: Vec<Adopted>,
    /// What is left, and why.
    left: Vec<(String, String)>,
    subscription: Value,
    notes: Vec<String>,
}

/// An object on its way.
#[derive(Debug)]
struct Adopted {
    feed: Feed,
    /// As it is in the child.
    live: Value,
    /// As it would be stored.
    template: Value,
    /// What would differ in the child.
    differences: Diff,
}

/// Shows what would become of it, asks, and does it.
pub(crate) async fn adopt(
    connection: &Connection,
    child: &ChildFlags,
    flags: &AdoptFlags,
) -> Result<ExitCode, Failure> {
    let parent = Parent::load(connection)?;
    let cluster = clusters::find(&parent.client().await?, &flags.wanted).await?;
    let visit = Visit { parent: &parent, child, cluster: &cluster, connection };
    let adoption = visit.prepare(flags).await?;
    match flags.output {
        Format::Text => data(&show::text(&adoption))?,
        Format::Json => data(&show::json(&adoption))?,
    }
    for note in &adoption.notes {
        say(&format!("note: {note}"));
    }
    if let Some(failure) = show::restarts(&adoption) {
        return Err(failure);
    }
    if !flags.yes && !asked(&adoption)? {
        return Ok(ExitCode::SUCCESS);
    }
    create(&parent, &adoption, flags.output).await?;
    let name = adoption.subscription["metadata"]["name"].as_str().unwrap_or_default();
    let namespace = adoption.subscription["metadata"]["namespace"].as_str().unwrap_or_default();
    say(&format!("Wait for it: kubectl wait subscription/{name} -n {namespace} --for=condition=Ready"));
    Ok(ExitCode::SUCCESS)
}

/// Whether the person at the terminal agrees. Without a terminal nobody does.
fn asked(adoption: &Adoption) -> Result<bool, Failure> {
    if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
        say("Nothing was changed. --yes adopts them.");
        return Ok(false);
    }
    eprint!("Adopt {} objects? [y/N] ", adoption.objects.len());
    let mut answer = String::new();
    let read = std::io::stderr().flush().and_then(|()| std::io::stdin().lock().read_line(&mut answer));
    read.map_err(|error| Failure::new("cannot read the answer").because(error))?;
    let agreed = ["y", "yes"].contains(&answer.trim().to_lowercase().as_str());
    if !agreed {
        say("Nothing was changed.");
    }
    Ok(agreed)
}

/// A cluster that is visited, and who visits it.
struct Visit<'v> {
    parent: &'v Parent,
    child: &'v ChildFlags,
    cluster: &'v ManagedCluster,
    connection: &'v Connection,
}

impl Visit<'_> {
    async fn prepare(&self, flags: &AdoptFlags) -> Result<Adoption, Failure> {
        let (live, left) = self.read(flags).await?;
        if live.is_empty() {
            let failure = Failure::new("there is nothing to adopt");
            return Err(match left.first() {
                Some((object, why)) => failure.because(format!("{object}: {why}")),
                None => failure.because("no object is selected"),
            });
        }
        let subscription = self.subscription(flags, &live);
        let stored = self.try_out(&live, &subscription).await?;
        let rules = self.rules().await?;
        let cluster = Cluster::from(self.cluster);
        let mut objects = Vec::new();
        for live in live {
            let feed = Feed::of(&live).unwrap_or_default();
            let template = stored.iter().find(|object| Feed::of(*object).as_ref() == Some(&feed)).cloned();
            let template = template.ok_or_else(|| {
                Failure::new(format!("cannot adopt {}", feed.key()))
                    .because("the parent stores it as another object")
            })?;
            let object = overridden(&feed, &template, &cluster, &rules)?;
            objects.push((feed, live, template, object));
        }
        let wanted: Vec<&Value> = objects.iter().map(|(.., object)| object).collect();
        let applied = self.apply_dry(&wanted).await?;
        let mut notes = notes(&cluster);
        if applied.is_none() {
            notes.push(String::from(
                "The objects could not be tried out in the cluster, as told above, so they were compared here: what admission changes there is not seen.",
            ));
        }
        let objects = objects.into_iter().map(|(feed, live, template, object)| {
            let result = applied.iter().flatten().find(|result| Feed::of(*result).as_ref() == Some(&feed));
            let differences = result.map_or_else(
                || drift(&object, &live, &[], FIELDS),
                |result| diff(&comparable(&live), &comparable(result), FIELDS),
            );
            Adopted { feed, live, template, differences }
        });
        let objects = objects.collect();
        Ok(Adoption { cluster: cluster.key.to_string(), objects, left, subscription, notes })
    }

    /// The objects that can be adopted, and those that cannot, with the reason.
    async fn read(&self, flags: &AdoptFlags) -> Result<(Vec<Value>, Vec<(String, String)>), Failure> {
        let (mut found, mut left) = (Vec::new(), Vec::new());
        for resource in &flags.resources {
            let is_named = resource.contains('/');
            let mut words: Vec<OsString> = ["get", resource, "-o", "json"].map(OsString::from).into();
            words.extend(self.connection.namespace.iter().flat_map(|it| [OsString::from("-n"), it.into()]));
            if let (Some(selector), false) = (&flags.selector, is_named) {
                words.extend([OsString::from("-l"), selector.into()]);
            }
            let (ran, text) = self.kubectl(&words, None).await?;
            if !ran {
                return Err(Failure::new(format!("cannot read {resource} in {}", flags.wanted))
                    .because("kubectl has told why above")
                    .next("--child-kubeconfig brings a credential for the cluster"));
            }
            let objects = plan::printed(&text)
                .map_err(|error| Failure::new("cannot read what kubectl printed").because(error))?;
            for object in objects {
                let name = Feed::of(&object).map(|feed| show::named(&feed)).unwrap_or_default();
                match clean::refusal(&object) {
                    Some(why) if is_named => {
                        return Err(Failure::new(format!("{name} cannot be adopted")).because(why));
                    }
                    Some(why) => left.push((name, why)),
                    None if found.contains(&object) => {}
                    None => found.push(object),
                }
            }
        }
        Ok((found, left))
    }

    /// The Subscription that selects this cluster and no other.
    fn subscription(&self, flags: &AdoptFlags, live: &[Value]) -> Value {
        let default = || self.connection.namespace.clone().unwrap_or_else(|| String::from("adopted"));
        let given = flags.subscription.clone().unwrap_or_else(default);
        let (namespace, name) = match given.split_once('/') {
            Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
            // The flag -n is about the child.
            None => (brake::namespace(&Connection::default(), self.parent), given),
        };
        let feeds: Vec<Feed> = live.iter().filter_map(Feed::of).collect();
        json!({
            "apiVersion": format!("{}/{}", api::apps::GROUP, api::apps::VERSION),
            "kind": "Subscription",
            "metadata": { "name": name, "namespace": namespace },
            "spec": {
                "subscribers": [{ "clusterAffinity": { "matchLabels": { CLUSTER_ID: self.cluster.spec.cluster_id } } }],
                "feeds": feeds,
            },
        })
    }

    /// The objects as the parent would store them, in a dry run. What is there already is not touched.
    async fn try_out(&self, live: &[Value], subscription: &Value) -> Result<Vec<Value>, Failure> {
        let items = live.iter().map(clean::template).chain([subscription.clone()]);
        let words = ["create", "--dry-run=server", "-o", "json", "-f", "-"].map(OsString::from);
        let (ran, text) = passthrough::on_templates(self.parent, &words, Some(&list(items))).await?;
        if !ran.succeeded {
            return Err(Failure::new("cannot adopt them")
                .because("the parent would not store all of it, as told above")
                .next("where a template or Subscription is there already, choose another --subscription, or add this cluster to the one that has it"));
        }
        plan::stored(&text).map_err(|error| Failure::new("cannot read what kubectl printed").because(error))
    }

    /// The overrides that may be for it.
    async fn rules(&self) -> Result<Vec<Rule>, Failure> {
        let client = self.parent.client().await?;
        let namespace = self.cluster.namespace().unwrap_or_default();
        let global = plan::all(Api::<Globalization>::all(client.clone())).await?;
        let local = plan::all(Api::<Localization>::namespaced(client, &namespace)).await?;
        Ok(global.iter().map(Rule::from).chain(local.iter().map(Rule::from)).collect())
    }

    /// What the child makes of them, tried out as the caller; none where the caller may not.
    async fn apply_dry(&self, objects: &[&Value]) -> Result<Option<Vec<Value>>, Failure> {
        let manager = format!("--field-manager={FIELD_MANAGER}");
        let words = [
            "apply",
            "--server-side",
            "--force-conflicts",
            "--dry-run=server",
            &manager,
            "-o",
            "json",
            "-f",
            "-",
        ];
        let input = list(objects.iter().map(|object| (*object).clone()));
        let (succeeded, text) = self.kubectl(&words.map(OsString::from), Some(&input)).await?;
        Ok(if succeeded { plan::printed(&text).ok() } else { None })
    }

    async fn kubectl(&self, words: &[OsString], input: Option<&str>) -> Result<(bool, String), Failure> {
        let id = &self.cluster.spec.cluster_id;
        let (ran, text) = passthrough::in_cluster(self.parent, self.child, id, words, input).await?;
        if let (false, Some(status)) = (ran.succeeded, &ran.refusal) {
            return Err(Failure::new(format!("cluster {} cannot be visited", self.cluster.name_any()))
                .because(&status.message));
        }
        Ok((ran.succeeded, text))
    }
}

/// What keeps the cluster from getting anything.
fn notes(cluster: &Cluster) -> Vec<String> {
    let taints = untolerated(&cluster.taints, &[], &["NoSchedule", "NoExecute"]);
    taints
        .map(|taint| {
            format!(
                "The cluster has the taint {}, so the Subscription waits until it tolerates that: set spec.clusterTolerations.",
                taint.key
            )
        })
        .collect()
}

/// Stores the templates, and at last the Subscription.
async fn create(parent: &Parent, adoption: &Adoption, output: Format) -> Result<(), Failure> {
    // As read again by the parent: with its defaults filled in.
    let templates = adoption.objects.iter().map(|object| object.template.clone());
    let words = ["create", "-f", "-"].map(OsString::from);
    let input = list(templates.chain([adoption.subscription.clone()]));
    let (ran, text) = passthrough::on_templates(parent, &words, Some(&input)).await?;
    match output {
        Format::Text => data(&text)?,
        Format::Json => say(text.trim_end()),
    }
    if ran.succeeded {
        return Ok(());
    }
    Err(Failure::new("not everything was stored").because("kubectl has told why above").next(
        "templates without a Subscription deploy nothing: kubectl clusterway delete takes them away again",
    ))
}

/// The object as the cluster would get it.
fn overridden(feed: &Feed, template: &Value, cluster: &Cluster, rules: &[Rule]) -> Result<Value, Failure> {
    let labels = template["metadata"]["labels"].as_object().into_iter().flatten();
    let labels = labels.filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect();
    let rules = in_order(rules, FeedFacts { feed, labels: &labels }, cluster);
    let rendered = overrides::object(template, cluster, &rules, &Limits::default());
    rendered
        .map(|rendered| rendered.object)
        .map_err(|error| Failure::new(format!("cannot adopt {}", feed.key())).because(error))
}

/// A live object without what every write changes.
fn comparable(live: &Value) -> Value {
    let mut object = live.clone();
    if let Some(fields) = object.as_object_mut() {
        fields.remove("status");
    }
    if let Some(metadata) = object.get_mut("metadata").and_then(Value::as_object_mut) {
        for key in OF_THE_SERVER {
            metadata.remove(key);
        }
    }
    object
}

fn list(items: impl Iterator<Item = Value>) -> String {
    json!({ "apiVersion": "v1", "kind": "List", "items": items.collect::<Vec<_>>() }).to_string()
}
