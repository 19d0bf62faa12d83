//! Objects of every language into the common form, and the order in which they are asked.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use super::form::{Policies, Policy, Tier, TierDefault};
use super::{admin, calico, kubernetes};
use crate::manifest::{Kind, Object};
use crate::text::{Problem, Severity};

/// The tiers that Calico has without being told, and their orders.
const BUILT_IN: [(&str, f64, TierDefault); 3] = [
    ("kube-admin", 1_000.0, TierDefault::Pass),
    ("default", 1_000_000.0, TierDefault::Deny),
    ("kube-baseline", 10_000_000.0, TierDefault::Pass),
];

impl Policies {
    /// The policies among `objects`, and what is to be said about them together: each alone has
    /// been checked before.
    pub fn translate(objects: &[Object]) -> (Self, Vec<Problem>) {
        let mut problems = Vec::new();
        let mut policies = Self::default();
        let mut tiers: BTreeMap<String, Tier> = BUILT_IN
            .into_iter()
            .map(|(name, order, default)| {
                let name = name.to_owned();
                let tier =
                    Tier { name: name.clone(), order: Some(order), default, policies: Vec::new() };
                (name, tier)
            })
            .collect();
        let mut found = Vec::new();
        for object in objects {
            match &object.kind {
                Kind::NetworkPolicy(policy) => {
                    found.push(("default".to_owned(), kubernetes::translate(object, policy)));
                }
                Kind::StagedKubernetesNetworkPolicy(policy) => {
                    let translated = kubernetes::translate(object, policy);
                    let staged = calico::staged(object);
                    found.push(("default".to_owned(), Policy { staged, ..translated }));
                }
                Kind::AdminPolicy(policy) => {
                    found.push(admin::translate(object, policy, &mut problems));
                }
                Kind::CalicoPolicy(policy) => {
                    found.push(calico::policy(object, policy));
                }
                Kind::Tier(tier) => {
                    let tier = calico::tier(object, tier);
                    tiers.entry(tier.name.clone()).or_insert(tier);
                }
                Kind::NetworkSet(set) => {
                    policies.network_sets.push(calico::network_set(object, set));
                }
                Kind::HostEndpoint(host) => {
                    policies.host_endpoints.push(calico::host_endpoint(object, host));
                }
                Kind::Profile(profile) => {
                    let name = object.reference.name.clone();
                    let profile = calico::profile(object, profile);
                    policies.profiles.insert(name, profile);
                }
                Kind::WorkloadEndpoint(endpoint) => {
                    if let Some(pod) = &endpoint.spec.pod {
                        let key = (object.reference.namespace.clone(), pod.clone());
                        policies.pod_profiles.insert(key, endpoint.spec.profiles.clone());
                    }
                }
                Kind::ServiceAccount => {
                    let key = (object.reference.namespace.clone(), object.reference.name.clone());
                    policies.service_accounts.insert(key, object.metadata.labels.clone());
                }
                _ => {}
            }
        }
        for (tier, policy) in found {
            let entry = tiers.entry(tier.clone()).or_insert_with(|| {
                problems.push(no_tier(&tier, &policy));
                Tier { name: tier, order: None, default: TierDefault::Deny, policies: Vec::new() }
            });
            entry.policies.push(policy);
        }
        policies.tiers = tiers.into_values().collect();
        policies.tiers.sort_by(|a, b| by_order(a.order, b.order).then_with(|| a.name.cmp(&b.name)));
        for tier in &mut policies.tiers {
            tier.policies
                .sort_by(|a, b| by_order(a.order, b.order).then_with(|| key(a).cmp(&key(b))));
            let pairs = tier.policies.iter().zip(tier.policies.iter().skip(1));
            problems.extend(pairs.filter_map(|(first, second)| undefined_order(first, second)));
        }
        (policies, problems)
    }
}

/// Lower first, nothing last.
fn by_order(a: Option<f64>, b: Option<f64>) -> Ordering {
    a.unwrap_or(f64::INFINITY).total_cmp(&b.unwrap_or(f64::INFINITY))
}

/// What decides between policies of one order (`felix/calc/policy_sorter.go`).
fn key(policy: &Policy) -> String {
    let object = &policy.object;
    format!("{}/{}/{}", object.name, object.namespace, object.kind)
}

/// The policy API leaves the order of equal priorities open; Calico defines its own.
fn undefined_order(first: &Policy, second: &Policy) -> Option<Problem> {
    const PRIORITIZED: [&str; 2] = ["AdminNetworkPolicy", "ClusterNetworkPolicy"];
    let prioritized = |p: &Policy| PRIORITIZED.contains(&p.object.kind.as_str());
    if !prioritized(first) || !prioritized(second) || first.order != second.order {
        return None;
    }
    Some(Problem {
        span: second.cite.span.unwrap_or_default(),
        severity: Severity::Warning,
        message: format!(
            "{} has the same priority as {}: the API leaves open which is asked first; here it is \
             the one whose name comes first",
            second.object, first.object
        ),
        object: Some(second.object.clone()),
        fix: None,
    })
}

fn no_tier(tier: &str, policy: &Policy) -> Problem {
    Problem {
        span: policy.cite.span.unwrap_or_default(),
        severity: Severity::Warning,
        message: format!(
            "there is no Tier `{tier}`: Calico refuses {} until there is one; it is evaluated \
             after all other tiers",
            policy.object
        ),
        object: Some(policy.object.clone()),
        fix: None,
    }
}
