//! Which kinds there are, and what each document is.

use serde::de::DeserializeOwned;

use super::kubernetes::{PodTemplateSpec, Workload};
use super::schema::{Fields, Words};
use super::{Kind, custom, schema};
use crate::text::{Mismatch, Node};

/// A kind that Hopwise knows.
pub(super) struct KnownKind {
    /// As the API spells it.
    pub(super) kind: &'static str,
    /// The API versions that it is served under; the first is the one to write.
    pub(super) versions: &'static [&'static str],
    /// Whether its objects live in namespaces.
    pub(super) namespaced: bool,
    /// Who refuses what does not fit.
    pub(super) words: Words,
    /// Its fields and their types.
    pub(super) schema: &'static Fields,
    /// Makes the typed object.
    pub(super) parse: fn(&Node) -> Result<Kind, Mismatch>,
}

const CALICO: &[&str] = &["projectcalico.org/v3", "crd.projectcalico.org/v1"];
const CORE: &[&str] = &["v1"];
const APPS: &[&str] = &["apps/v1"];
const BATCH: &[&str] = &["batch/v1"];

macro_rules! kinds {
    ($($kind:literal $versions:expr, $namespaced:literal, $words:ident $schema:path,
        $parse:expr;)*) => {
        /// Every kind that Hopwise knows.
        pub(super) static KINDS: &[KnownKind] = &[$(KnownKind {
            kind: $kind,
            versions: $versions,
            namespaced: $namespaced,
            words: Words::$words,
            schema: &$schema,
            parse: $parse,
        },)*];
    };
}
kinds! {
    "NetworkPolicy" &["networking.k8s.io/v1"], true, Go schema::NETWORK_POLICY,
        |node| boxed(node, Kind::NetworkPolicy);
    "Service" CORE, true, Go schema::SERVICE, |node| boxed(node, Kind::Service);
    "EndpointSlice" &["discovery.k8s.io/v1"], true, Go schema::ENDPOINT_SLICE,
        |node| boxed(node, Kind::EndpointSlice);
    "Endpoints" CORE, true, Go schema::ENDPOINTS, |node| boxed(node, Kind::Endpoints);
    "Pod" CORE, true, Go schema::POD, |node| boxed(node, Kind::Pod);
    "Deployment" APPS, true, Go schema::WORKLOAD,
        |node| workload(node, "Deployment", "spec.template");
    "StatefulSet" APPS, true, Go schema::WORKLOAD,
        |node| workload(node, "StatefulSet", "spec.template");
    "DaemonSet" APPS, true, Go schema::WORKLOAD,
        |node| workload(node, "DaemonSet", "spec.template");
    "ReplicaSet" APPS, true, Go schema::WORKLOAD,
        |node| workload(node, "ReplicaSet", "spec.template");
    "Job" BATCH, true, Go schema::WORKLOAD, |node| workload(node, "Job", "spec.template");
    "CronJob" BATCH, true, Go schema::CRON_JOB,
        |node| workload(node, "CronJob", "spec.jobTemplate.spec.template");
    "Namespace" CORE, false, Go schema::METADATA_ONLY, |_| Ok(Kind::Namespace);
    "ServiceAccount" CORE, true, Go schema::METADATA_ONLY, |_| Ok(Kind::ServiceAccount);
    "Node" CORE, false, Go schema::NODE, |node| boxed(node, Kind::Node);
    "ServiceCIDR" &["networking.k8s.io/v1", "networking.k8s.io/v1beta1"], false,
        Go schema::SERVICE_CIDR, |node| boxed(node, Kind::ServiceCidr);
    "KubeProxyConfiguration" &["kubeproxy.config.k8s.io/v1alpha1"], false, Go schema::KUBE_PROXY,
        |node| boxed(node, Kind::KubeProxyConfiguration);
    "IPPool" CALICO, false, Lenient custom::IP_POOL, |node| boxed(node, Kind::IpPool);
    "BGPConfiguration" CALICO, false, Lenient custom::BGP_CONFIGURATION,
        |node| boxed(node, Kind::BgpConfiguration);
    "BGPPeer" CALICO, false, Lenient custom::BGP_PEER, |node| boxed(node, Kind::BgpPeer);
    "FelixConfiguration" CALICO, false, Lenient custom::FELIX_CONFIGURATION,
        |node| boxed(node, Kind::FelixConfiguration);
    "NetworkPolicy" CALICO, true, Lenient custom::CALICO_POLICY,
        |node| boxed(node, Kind::CalicoPolicy);
    "GlobalNetworkPolicy" CALICO, false, Lenient custom::GLOBAL_POLICY,
        |node| boxed(node, Kind::CalicoPolicy);
    "StagedNetworkPolicy" CALICO, true, Lenient custom::STAGED_POLICY,
        |node| boxed(node, Kind::CalicoPolicy);
    "StagedGlobalNetworkPolicy" CALICO, false, Lenient custom::STAGED_GLOBAL_POLICY,
        |node| boxed(node, Kind::CalicoPolicy);
    "StagedKubernetesNetworkPolicy" CALICO, true, Lenient custom::STAGED_KUBERNETES_POLICY,
        |node| boxed(node, Kind::StagedKubernetesNetworkPolicy);
    "Tier" CALICO, false, Lenient custom::TIER, |node| boxed(node, Kind::Tier);
    "NetworkSet" CALICO, true, Lenient custom::NETWORK_SET, |node| boxed(node, Kind::NetworkSet);
    "GlobalNetworkSet" CALICO, false, Lenient custom::NETWORK_SET,
        |node| boxed(node, Kind::NetworkSet);
    "HostEndpoint" CALICO, false, Lenient custom::HOST_ENDPOINT,
        |node| boxed(node, Kind::HostEndpoint);
    "Profile" CALICO, false, Lenient custom::PROFILE, |node| boxed(node, Kind::Profile);
    "WorkloadEndpoint" CALICO, true, Lenient custom::WORKLOAD_ENDPOINT,
        |node| boxed(node, Kind::WorkloadEndpoint);
    "AdminNetworkPolicy" &["policy.networking.k8s.io/v1alpha1"], false,
        OpenApi custom::ADMIN_POLICY, |node| boxed(node, Kind::AdminPolicy);
    "BaselineAdminNetworkPolicy" &["policy.networking.k8s.io/v1alpha1"], false,
        OpenApi custom::BASELINE_POLICY, |node| boxed(node, Kind::AdminPolicy);
    "ClusterNetworkPolicy" &["policy.networking.k8s.io/v1alpha2"], false,
        OpenApi custom::CLUSTER_POLICY, |node| boxed(node, Kind::AdminPolicy);
    "Scenario" &["hopwise.dev/v1"], false, Lenient custom::SCENARIO,
        |node| boxed(node, Kind::Scenario);
}

/// What a document's `apiVersion` and `kind` say.
pub(super) enum Found {
    /// A kind that Hopwise knows.
    Known(&'static KnownKind),
    /// A known kind under an API version that no cluster serves; the one that is served.
    Unserved(&'static str),
    /// No known kind, but spelt nearly like this one of the same API.
    Misspelt(&'static str),
    /// Something else.
    Unknown,
}

/// The kind with this name in this API version.
pub(super) fn find(api_version: &str, kind: &str) -> Found {
    let named = || KINDS.iter().filter(|known| known.kind == kind);
    if let Some(known) = named().find(|known| known.versions.contains(&api_version)) {
        return Found::Known(known);
    }
    let group = |version: &str| version.rsplit_once('/').map_or("", |(group, _)| group).to_owned();
    let near = |version: &str| {
        let (theirs, ours) = (group(api_version), group(version));
        distance(&theirs, &ours, 2).is_some() || matches!(theirs.as_str(), "" | "extensions")
    };
    if let Some(version) = named().flat_map(|known| known.versions).find(|version| near(version)) {
        return Found::Unserved(version);
    }
    let theirs = group(api_version);
    let ours =
        KINDS.iter().flat_map(|known| known.versions).any(|version| group(version) == theirs);
    if let (true, Some(version)) = (ours, named().find_map(|known| known.versions.first())) {
        return Found::Unserved(version);
    }
    let of_this_api = KINDS.iter().filter(|known| known.versions.contains(&api_version));
    suggest(kind, of_this_api.map(|known| known.kind)).map_or(Found::Unknown, Found::Misspelt)
}

/// The word that was probably meant.
pub(super) fn suggest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let lower = word.to_lowercase();
    known
        .into_iter()
        .filter_map(|candidate| {
            let distance = distance(&lower, &candidate.to_lowercase(), tolerance(candidate))?;
            Some((distance, candidate))
        })
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many letters may differ, by the length of the word.
fn tolerance(word: &str) -> usize {
    (word.len() / 4).min(2)
}

/// Levenshtein's distance, with a swap of neighbours as one change, if it is no more than `most`.
fn distance(a: &str, b: &str, most: usize) -> Option<usize> {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    if a.len().abs_diff(b.len()) > most {
        return None;
    }
    let at = |row: &[usize], index: usize| row.get(index).copied().unwrap_or(usize::MAX / 2);
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replace = at(&row, j) + usize::from(x != y);
            let mut best = replace.min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            let crossed = i > 0 && j > 0 && a.get(i - 1) == Some(y) && b.get(j - 1) == Some(x);
            if crossed {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    Some(at(&row, b.len())).filter(|distance| *distance <= most)
}

fn boxed<T: DeserializeOwned>(node: &Node, kind: fn(Box<T>) -> Kind) -> Result<Kind, Mismatch> {
    node.parse().map(|object| kind(Box::new(object)))
}

fn workload(node: &Node, kind: &str, template_path: &'static str) -> Result<Kind, Mismatch> {
    let template: Option<PodTemplateSpec> = node.at(template_path).map(Node::parse).transpose()?;
    let replicas: Option<Option<i32>> = node.at("spec.replicas").map(Node::parse).transpose()?;
    Ok(Kind::Workload(Box::new(Workload {
        kind: kind.to_owned(),
        template_path,
        template: template.unwrap_or_default(),
        replicas: replicas.flatten(),
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_word_that_was_meant_is_found() {
        let fields = ["ingress", "egress", "podSelector", "policyTypes"];
        for (word, meant) in [
            ("ingres", Some("ingress")),
            ("igress", Some("ingress")),
            ("podselector", Some("podSelector")),
            ("policyType", Some("policyTypes")),
            ("Egress", Some("egress")),
            ("status", None),
            ("foo", None),
        ] {
            assert_eq!(suggest(word, fields), meant, "{word}");
        }
    }

    #[test]
    fn distances() {
        assert_eq!(distance("", "ab", 2), Some(2));
        assert_eq!(distance("abc", "acb", 2), Some(1));
        assert_eq!(distance("kitten", "sitting", 3), Some(3));
        assert_eq!(distance("kitten", "sitting", 2), None);
        assert_eq!(distance("", "abc", 2), None);
    }
}
