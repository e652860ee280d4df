//! Whether the policy that fences the hub stands.
//!
//! RBAC alone gives the hub more than it needs: it cannot say "RoleBindings, but only in namespaces of clusters". The
//! shipped ValidatingAdmissionPolicy does, and the hub grants nothing while it is missing or weakened. It is not only
//! read but tried: a forbidden write, as a dry run, must be refused by it. That also catches a hub that runs under a
//! user the policy does not know.

use std::time::{Duration, Instant};

use api::names::{HUB_FIELD_MANAGER, HUB_NAMESPACE_ROLE, HUB_POLICY};
use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            MatchResources, ValidatingAdmissionPolicy, ValidatingAdmissionPolicyBinding,
        },
        rbac::v1::{RoleBinding, RoleRef},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, ObjectMeta},
};
use kube::{Api, Client, ResourceExt, api::PostParams};
use parking_lot::Mutex;
use tracing::{info, warn};

use super::io::{Error, code};

/// How long an answer holds.
const HOLDS: Duration = Duration::from_secs(5);
/// How often the policy is tried although it did not change.
const TRIAL_HOLDS: Duration = Duration::from_mins(5);
/// Where the forbidden write goes.
const FORBIDDEN_NAMESPACE: &str = "kube-system";

/// Watches over the policy.
pub(crate) struct Fence {
    client: Client,
    known: Mutex<Option<Known>>,
}

#[derive(Clone)]
struct Known {
    at: Instant,
    /// The versions of policy and binding.
    versions: (Option<String>, Option<String>),
    tried: Option<Instant>,
    /// What is wrong, for people.
    fault: Option<String>,
}

impl Fence {
    pub(crate) fn new(client: Client) -> Self {
        Self { client, known: Mutex::new(None) }
    }

    /// What is wrong with the policy, as a full sentence with the remedy; none if it stands.
    pub(crate) async fn fault(&self) -> Result<Option<String>, Error> {
        let known = self.known.lock().clone();
        if let Some(known) = &known
            && known.at.elapsed() < HOLDS
        {
            return Ok(known.fault.clone());
        }
        let next = self.look(known.as_ref()).await?;
        let fault = next.fault.clone();
        let before = self.known.lock().replace(next);
        if before.is_none_or(|before| before.fault != fault) {
            if let Some(fault) = &fault {
                warn!(policy = HUB_POLICY, "{fault}");
            } else {
                info!(policy = HUB_POLICY, "the policy that fences the hub stands");
            }
        }
        Ok(fault)
    }

    async fn look(&self, known: Option<&Known>) -> Result<Known, Error> {
        let policy = Api::<ValidatingAdmissionPolicy>::all(self.client.clone()).get_opt(HUB_POLICY).await?;
        let binding =
            Api::<ValidatingAdmissionPolicyBinding>::all(self.client.clone()).get_opt(HUB_POLICY).await?;
        let versions = (
            policy.as_ref().and_then(ResourceExt::resource_version),
            binding.as_ref().and_then(ResourceExt::resource_version),
        );
        let tried = known.filter(|known| known.versions == versions).and_then(|known| known.tried);
        let tried = tried.filter(|tried| tried.elapsed() < TRIAL_HOLDS);
        let (fault, tried) = match (weakness(policy.as_ref(), binding.as_ref()), tried) {
            (Some(weakness), _) => (Some(weakness), None),
            (None, Some(tried)) => (None, Some(tried)),
            (None, None) if self.refuses_what_is_forbidden().await? => (None, Some(Instant::now())),
            (None, None) => (
                Some(format!(
                    "The policy {HUB_POLICY} does not hold the hub back from writing into {FORBIDDEN_NAMESPACE}. \
                     Either it is not in force yet, or the hub runs under a user that the policy does not name: \
                     run the hub under the ServiceAccount it is shipped with."
                )),
                None,
            ),
        };
        Ok(Known { at: Instant::now(), versions, tried, fault })
    }

    /// Tries, as a dry run, to bind a role where the hub has no business.
    async fn refuses_what_is_forbidden(&self) -> Result<bool, Error> {
        let bindings: Api<RoleBinding> = Api::namespaced(self.client.clone(), FORBIDDEN_NAMESPACE);
        let params = PostParams { dry_run: true, field_manager: Some(HUB_FIELD_MANAGER.to_owned()) };
        match bindings.create(&params, &forbidden()).await {
            Ok(_) => Ok(false),
            Err(kube::Error::Api(status)) if matches!(status.code, 403 | 422) => {
                Ok(status.message.contains(&format!("ValidatingAdmissionPolicy '{HUB_POLICY}'")))
            }
            Err(error) if code(&error) == Some(409) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }
}

fn forbidden() -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta { name: Some(format!("{HUB_POLICY}-probe")), ..ObjectMeta::default() },
        role_ref: RoleRef {
            api_group: "rbac.authorization.k8s.io".to_owned(),
            kind: "ClusterRole".to_owned(),
            name: HUB_NAMESPACE_ROLE.to_owned(),
        },
        subjects: None,
    }
}

/// How policy or binding are weaker than shipped.
fn weakness(
    policy: Option<&ValidatingAdmissionPolicy>,
    binding: Option<&ValidatingAdmissionPolicyBinding>,
) -> Option<String> {
    let remedy = "Install the hub's manifests again.";
    let Some(policy) = policy.and_then(|policy| policy.spec.as_ref()) else {
        return Some(format!("The ValidatingAdmissionPolicy {HUB_POLICY} is missing. {remedy}"));
    };
    let Some(binding) = binding.and_then(|binding| binding.spec.as_ref()) else {
        return Some(format!("The ValidatingAdmissionPolicyBinding {HUB_POLICY} is missing. {remedy}"));
    };
    let weak = |what: &str| Some(format!("The policy {HUB_POLICY} was weakened: {what}. {remedy}"));
    // The API server's default is Fail.
    if policy.failure_policy.as_deref().is_some_and(|it| it != "Fail") {
        return weak("its failurePolicy is not Fail");
    }
    if policy.validations.as_ref().is_none_or(Vec::is_empty) {
        return weak("it validates nothing");
    }
    if policy.match_constraints.as_ref().is_none_or(narrows) {
        return weak("its matchConstraints leave objects out");
    }
    if binding.policy_name.as_deref() != Some(HUB_POLICY) {
        return weak("its binding is to another policy");
    }
    if !binding.validation_actions.iter().flatten().any(|action| action == "Deny") {
        return weak("its binding does not deny");
    }
    if binding.param_ref.is_some() || binding.match_resources.as_ref().is_some_and(narrows) {
        return weak("its binding leaves objects out");
    }
    None
}

/// Whether objects are left out by exceptions or by selectors. The API server writes empty selectors as defaults.
fn narrows(matched: &MatchResources) -> bool {
    let selects = |selector: &Option<LabelSelector>| selector.as_ref().is_some_and(|it| !is_empty(it));
    matched.exclude_resource_rules.as_ref().is_some_and(|rules| !rules.is_empty())
        || selects(&matched.namespace_selector)
        || selects(&matched.object_selector)
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(std::collections::BTreeMap::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::{
        NamedRuleWithOperations, ValidatingAdmissionPolicyBindingSpec, ValidatingAdmissionPolicySpec,
        Validation,
    };

    use super::*;

    fn policy() -> ValidatingAdmissionPolicySpec {
        ValidatingAdmissionPolicySpec {
            failure_policy: Some("Fail".into()),
            match_constraints: Some(MatchResources {
                namespace_selector: Some(LabelSelector::default()),
                object_selector: Some(LabelSelector::default()),
                ..MatchResources::default()
            }),
            validations: Some(vec![Validation { expression: "false".into(), ..Validation::default() }]),
            ..ValidatingAdmissionPolicySpec::default()
        }
    }

    fn binding() -> ValidatingAdmissionPolicyBindingSpec {
        ValidatingAdmissionPolicyBindingSpec {
            policy_name: Some(HUB_POLICY.into()),
            validation_actions: Some(vec!["Deny".into()]),
            ..ValidatingAdmissionPolicyBindingSpec::default()
        }
    }

    fn judged(
        policy: ValidatingAdmissionPolicySpec,
        binding: ValidatingAdmissionPolicyBindingSpec,
    ) -> Option<String> {
        let policy = ValidatingAdmissionPolicy { spec: Some(policy), ..Default::default() };
        let binding = ValidatingAdmissionPolicyBinding { spec: Some(binding), ..Default::default() };
        weakness(Some(&policy), Some(&binding))
    }

    #[test]
    fn the_shipped_policy_is_strong() {
        assert_eq!(judged(policy(), binding()), None);
    }

    #[test]
    fn a_missing_policy_or_binding_is_named() {
        assert!(
            weakness(None, None).unwrap().contains("ValidatingAdmissionPolicy clusterway-hub is missing")
        );
        let policy = ValidatingAdmissionPolicy { spec: Some(policy()), ..Default::default() };
        assert!(weakness(Some(&policy), None).unwrap().contains("Binding clusterway-hub is missing"));
    }

    #[test]
    fn every_weakening_is_found() {
        let selector = LabelSelector {
            match_labels: Some([("a".to_owned(), "b".to_owned())].into()),
            ..LabelSelector::default()
        };
        let narrow = MatchResources { namespace_selector: Some(selector), ..MatchResources::default() };
        let excluding = MatchResources {
            exclude_resource_rules: Some(vec![NamedRuleWithOperations::default()]),
            ..MatchResources::default()
        };
        let policies = [
            ValidatingAdmissionPolicySpec { failure_policy: Some("Ignore".into()), ..policy() },
            ValidatingAdmissionPolicySpec { validations: None, ..policy() },
            ValidatingAdmissionPolicySpec { match_constraints: Some(narrow.clone()), ..policy() },
            ValidatingAdmissionPolicySpec { match_constraints: Some(excluding), ..policy() },
        ];
        for weak in policies {
            assert!(judged(weak, binding()).unwrap().contains("weakened"));
        }
        let bindings = [
            ValidatingAdmissionPolicyBindingSpec { policy_name: Some("other".into()), ..binding() },
            ValidatingAdmissionPolicyBindingSpec {
                validation_actions: Some(vec!["Warn".into()]),
                ..binding()
            },
            ValidatingAdmissionPolicyBindingSpec { match_resources: Some(narrow), ..binding() },
        ];
        for weak in bindings {
            assert!(judged(policy(), weak).unwrap().contains("weakened"));
        }
    }
}
