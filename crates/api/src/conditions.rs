//! Conditions whose transition time is the time of a transition.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

/// How long a message may be, in characters: well below what the schema of a condition allows. What is longer is cut.
pub const LONGEST_MESSAGE: usize = 4_000;

/// A condition as it should be, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The type.
    pub type_: &'static str,
    /// True, False or Unknown.
    pub status: &'static str,
    /// CamelCase.
    pub reason: String,
    /// Full sentences; the same as long as the state is.
    pub message: String,
    /// The generation it speaks of.
    pub generation: Option<i64>,
}

/// Puts a condition among the others, in the place of the one of its type. The transition time only moves when the status
/// does.
///
/// ```
/// use api::conditions::{self, Wanted};
///
/// let wanted = |status, message: &str| Wanted {
///     type_: "Ready",
///     status,
///     reason: String::from("Applied"),
///     message: message.to_owned(),
///     generation: Some(1),
/// };
/// let (first, second) = (jiff::Timestamp::UNIX_EPOCH, jiff::Timestamp::now());
/// let mut all = Vec::new();
/// conditions::set(&mut all, wanted("True", "All is well."), first);
/// conditions::set(&mut all, wanted("True", "All is still well."), second);
/// assert!(conditions::is_true(&all, "Ready"));
/// assert_eq!((all.len(), all[0].last_transition_time.0), (1, first));
/// ```
pub fn set(conditions: &mut Vec<Condition>, wanted: Wanted, now: Timestamp) {
    let mut message = wanted.message;
    if let Some((end, _)) = message.char_indices().nth(LONGEST_MESSAGE) {
        message.truncate(end);
        message.push('…');
    }
    let mut next = Condition {
        type_: wanted.type_.to_owned(),
        status: wanted.status.to_owned(),
        reason: wanted.reason,
        message,
        observed_generation: wanted.generation,
        last_transition_time: Time(now),
    };
    let Some(current) = find_mut(conditions, wanted.type_) else { return conditions.push(next) };
    if current.status == next.status {
        next.last_transition_time = current.last_transition_time.clone();
    }
    *current = next;
}

/// Takes a condition away.
pub fn remove(conditions: &mut Vec<Condition>, type_: &str) {
    conditions.retain(|condition| condition.type_ != type_);
}

/// The condition of this type.
#[must_use]
pub fn find<'a>(conditions: &'a [Condition], type_: &str) -> Option<&'a Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// The condition of this type, to change it.
pub fn find_mut<'a>(conditions: &'a mut [Condition], type_: &str) -> Option<&'a mut Condition> {
    conditions.iter_mut().find(|condition| condition.type_ == type_)
}

/// Whether the condition of this type is True.
#[must_use]
pub fn is_true(conditions: &[Condition], type_: &str) -> bool {
    find(conditions, type_).is_some_and(|condition| condition.status == "True")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(status: &'static str, message: &str) -> Wanted {
        Wanted { type_: "Ready", status, reason: "R".into(), message: message.into(), generation: Some(1) }
    }

    #[test]
    fn the_transition_time_moves_with_the_status_only() {
        let (first, second) = (Timestamp::UNIX_EPOCH, Timestamp::from_second(60).unwrap());
        let mut conditions = Vec::new();
        set(&mut conditions, wanted("True", "a"), first);
        set(&mut conditions, wanted("True", "b"), second);
        assert_eq!(
            (conditions[0].message.as_str(), &conditions[0].last_transition_time),
            ("b", &Time(first))
        );
        assert!(is_true(&conditions, "Ready") && !is_true(&conditions, "Other"));
        set(&mut conditions, wanted("False", "b"), second);
        assert_eq!((conditions.len(), &conditions[0].last_transition_time), (1, &Time(second)));
        remove(&mut conditions, "Ready");
        assert!(conditions.is_empty());
    }

    #[test]
    fn a_message_that_would_be_refused_is_cut() {
        let mut conditions = Vec::new();
        set(&mut conditions, wanted("False", &"ä".repeat(LONGEST_MESSAGE + 1)), Timestamp::UNIX_EPOCH);
        assert_eq!(conditions[0].message.chars().count(), LONGEST_MESSAGE + 1);
        assert!(conditions[0].message.ends_with("ä…"));
    }
}
