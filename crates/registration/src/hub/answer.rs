//! The status of a request, as the hub's answer to it.

use api::{
    clusters::ClusterRegistrationRequestStatus,
    conditions::{Wanted, set},
    names::{approval, conditions, results},
};
use jiff::Timestamp;
use k8s_openapi::{ByteString, apimachinery::pkg::apis::meta::v1::Time};

use super::{decision::Refusal, objects::Child};

/// A token on its way into a status.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Credential {
    /// Sealed to the request's key; else in clear.
    pub(crate) sealed: bool,
    /// The box, or the token.
    pub(crate) bytes: ByteString,
    /// When the token expires.
    pub(crate) expires: Timestamp,
}

/// Yes. A credential that is there stays unless a new one comes.
pub(crate) fn approved(
    current: &ClusterRegistrationRequestStatus,
    child: &Child,
    ca_certificate: ByteString,
    credential: Option<Credential>,
    generation: Option<i64>,
    now: Timestamp,
) -> ClusterRegistrationRequestStatus {
    let mut next = ClusterRegistrationRequestStatus {
        dedicated_namespace: Some(child.namespace.clone()),
        managed_cluster_name: Some(child.name.clone()),
        ca_certificate: Some(ca_certificate),
        result: Some(results::APPROVED.to_owned()),
        error_message: None,
        ..current.clone()
    };
    if let Some(credential) = credential {
        next.token_expiration_timestamp = Some(Time(credential.expires));
        let (sealed, clear) =
            if credential.sealed { (Some(credential.bytes), None) } else { (None, Some(credential.bytes)) };
        (next.sealed_token, next.token) = (sealed, clear);
    }
    let condition = Wanted {
        type_: conditions::APPROVED,
        status: "True",
        reason: approval::APPROVED.to_owned(),
        message: "The cluster is registered.".to_owned(),
        generation,
    };
    set(&mut next.conditions, condition, now);
    next
}

/// No, or not yet. Nothing useful is left in the status.
pub(crate) fn refused(
    current: &ClusterRegistrationRequestStatus,
    refusal: &Refusal,
    generation: Option<i64>,
    now: Timestamp,
) -> ClusterRegistrationRequestStatus {
    let mut next = ClusterRegistrationRequestStatus {
        result: refusal.last_word.then(|| results::DENIED.to_owned()),
        error_message: Some(refusal.message.clone()),
        conditions: current.conditions.clone(),
        ..ClusterRegistrationRequestStatus::default()
    };
    let condition = Wanted {
        type_: conditions::APPROVED,
        status: if refusal.last_word { "False" } else { "Unknown" },
        reason: refusal.reason.to_owned(),
        message: refusal.message.clone(),
        generation,
    };
    set(&mut next.conditions, condition, now);
    next
}

/// Whether the answer so far is yes.
pub(crate) fn is_approved(status: Option<&ClusterRegistrationRequestStatus>) -> bool {
    status.is_some_and(|status| status.result.as_deref() == Some(results::APPROVED))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn child() -> Child {
        Child { id: "id".into(), name: "name".into(), namespace: "ns".into() }
    }

    fn yes(
        current: &ClusterRegistrationRequestStatus,
        credential: Option<Credential>,
        now: Timestamp,
    ) -> ClusterRegistrationRequestStatus {
        approved(current, &child(), ByteString(b"ca".into()), credential, Some(1), now)
    }

    fn sealed(bytes: &[u8]) -> Credential {
        Credential { sealed: true, bytes: ByteString(bytes.into()), expires: NOW }
    }

    #[test]
    fn an_approval_says_where_the_cluster_is_and_hands_over_its_credential() {
        let status = yes(&ClusterRegistrationRequestStatus::default(), Some(sealed(b"box")), NOW);
        assert_eq!(status.result.as_deref(), Some("Approved"));
        assert_eq!(status.dedicated_namespace.as_deref(), Some("ns"));
        assert_eq!(status.managed_cluster_name.as_deref(), Some("name"));
        assert_eq!((status.sealed_token, status.token), (Some(ByteString(b"box".into())), None));
        assert_eq!(status.conditions[0].status, "True");
    }

    #[test]
    fn repeating_an_approval_changes_nothing() {
        let once = yes(&ClusterRegistrationRequestStatus::default(), Some(sealed(b"box")), NOW);
        assert_eq!(yes(&once, None, Timestamp::from_second(60).unwrap()), once);
    }

    #[test]
    fn a_denial_blanks_everything_useful() {
        let before = yes(&ClusterRegistrationRequestStatus::default(), Some(sealed(b"box")), NOW);
        let refusal = Refusal { last_word: true, reason: approval::KEY_MISMATCH, message: "No.".into() };
        let after = refused(&before, &refusal, Some(2), NOW);
        assert_eq!((after.result.as_deref(), after.error_message.as_deref()), (Some("Denied"), Some("No.")));
        let useful = (&after.sealed_token, &after.token, &after.ca_certificate);
        assert_eq!(useful, (&None, &None, &None));
        assert_eq!((&after.dedicated_namespace, &after.managed_cluster_name), (&None, &None));
        let condition = &after.conditions[0];
        assert_eq!((condition.status.as_str(), condition.reason.as_str()), ("False", approval::KEY_MISMATCH));
        assert_eq!(condition.observed_generation, Some(2));
    }

    #[test]
    fn waiting_leaves_the_result_open_but_says_why() {
        let refusal = Refusal::waiting(approval::POLICY_MISSING, "Wait.");
        let status = refused(&ClusterRegistrationRequestStatus::default(), &refusal, None, NOW);
        assert_eq!((status.result, status.error_message.as_deref()), (None, Some("Wait.")));
        assert_eq!(status.conditions[0].status, "Unknown");
    }
}
