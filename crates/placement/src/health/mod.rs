//! Whether an object is what was asked for: the public rules of kstatus, for any kind.
//!
//! What holds for every kind comes first: an object that is going is [`State::Terminating`], one whose controller has not
//! seen its newest generation is [`State::InProgress`], and the conditions `Reconciling` and `Stalled` mean what they say.
//! Then come the rules of Kubernetes' own kinds, and for all others the condition `Ready`. An object of which nothing more
//! is known is [`State::Current`]: it is there.
//!
//! There is no clock here, so no state depends on how long something takes: a pod that cannot be scheduled is in progress,
//! where kstatus calls it failed after a while. A workload whose controller has written no status yet is in progress too.

mod kinds;

use serde_json::Value;

use crate::text;

/// The longest message, in bytes.
const MESSAGE: usize = 512;

/// How an object stands, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum State {
    /// It is what was asked for.
    Current,
    /// It is on the way there.
    InProgress,
    /// It is going.
    Terminating,
    /// It cannot be told: the object is none, or its status makes no sense.
    Unknown,
    /// It will not get there by itself.
    Failed,
}

/// How an object stands, and a sentence about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// The state.
    pub state: State,
    /// What there is to say, for people; at most 512 bytes.
    pub message: String,
}

impl Health {
    fn new(state: State, message: impl AsRef<str>) -> Self {
        Self { state, message: text::cut(message.as_ref(), MESSAGE) }
    }

    fn current(message: impl AsRef<str>) -> Self {
        Self::new(State::Current, message)
    }

    fn in_progress(message: impl AsRef<str>) -> Self {
        Self::new(State::InProgress, message)
    }

    fn failed(message: impl AsRef<str>) -> Self {
        Self::new(State::Failed, message)
    }
}

/// How an object stands, as it is in its cluster.
///
/// ```
/// use placement::health::{State, health};
/// use serde_json::json;
///
/// let claim = json!({ "apiVersion": "v1", "kind": "PersistentVolumeClaim", "status": { "phase": "Pending" } });
/// assert_eq!(health(&claim).state, State::InProgress);
/// ```
pub fn health(object: &Value) -> Health {
    let (Some(api_version), Some(kind)) = (object["apiVersion"].as_str(), object["kind"].as_str()) else {
        return Health::new(State::Unknown, "This is no object: it has no apiVersion or no kind.");
    };
    if !(object["status"].is_null() || object["status"].is_object()) {
        return Health::new(State::Unknown, "The status is no mapping.");
    }
    let object = Object(object);
    if let Some(health) = of_any_kind(object) {
        return health;
    }
    let group = api_version.rsplit_once('/').map_or("", |(group, _)| group);
    kinds::health(group, kind, object).unwrap_or_else(|| by_ready(object))
}

/// What holds for every kind.
fn of_any_kind(object: Object<'_>) -> Option<Health> {
    if !object.0["metadata"]["deletionTimestamp"].is_null() {
        return Some(Health::new(State::Terminating, "The object is being deleted."));
    }
    let generation = object.0["metadata"]["generation"].as_i64();
    let observed = object.0["status"]["observedGeneration"].as_i64();
    if let (Some(generation), Some(observed)) = (generation, observed)
        && generation != observed
    {
        let message = format!("The generation is {generation}, its controller has seen {observed}.");
        return Some(Health::in_progress(message));
    }
    if let Some(reconciling) = object.condition("Reconciling").filter(Condition::is_true) {
        return Some(Health::in_progress(reconciling.say("The controller is at work.")));
    }
    let stalled = object.condition("Stalled").filter(Condition::is_true)?;
    Some(Health::failed(stalled.say("The controller gets no further.")))
}

/// What the condition Ready says, for kinds that nothing else is known of.
fn by_ready(object: Object<'_>) -> Health {
    match object.condition("Ready") {
        None => Health::current("The object is there."),
        Some(ready) if ready.is_true() => Health::current(ready.say("The object is ready.")),
        Some(ready) => Health::in_progress(ready.say("The object is not ready.")),
    }
}

/// An object, read without asking whether a field is there.
#[derive(Debug, Clone, Copy)]
struct Object<'o>(&'o Value);

/// A condition of an object.
#[derive(Debug, Clone, Copy)]
struct Condition<'o> {
    status: &'o str,
    reason: &'o str,
    message: &'o str,
}

impl<'o> Object<'o> {
    /// A number at a path; where it is absent, `default`.
    fn number(self, path: &str, default: i64) -> i64 {
        self.0.pointer(path).and_then(Value::as_i64).unwrap_or(default)
    }

    /// A text at a path; where it is absent, the empty text.
    fn text(self, path: &str) -> &'o str {
        self.0.pointer(path).and_then(Value::as_str).unwrap_or_default()
    }

    fn condition(self, type_: &str) -> Option<Condition<'o>> {
        let conditions = self.0["status"]["conditions"].as_array()?;
        let condition = conditions.iter().find(|condition| condition["type"] == type_)?;
        let text = |key: &str| condition[key].as_str().unwrap_or_default();
        Some(Condition { status: text("status"), reason: text("reason"), message: text("message") })
    }
}

impl Condition<'_> {
    fn is_true(&self) -> bool {
        self.status == "True"
    }

    fn is_false(&self) -> bool {
        self.status == "False"
    }

    /// Its message, else its reason, else `otherwise`.
    fn say(&self, otherwise: &str) -> String {
        match (self.message, self.reason) {
            ("", "") => otherwise.to_owned(),
            ("", reason) => format!("{otherwise} ({reason})"),
            (message, _) => message.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests;
