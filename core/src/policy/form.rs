//! The common form: tiers of policies of rules, whatever language they were written in.
//!
//! It is Calico's model, the richest of the languages: a tier is asked policy by policy, a policy
//! rule by rule; the first rule that matches decides, and a tier whose policies select the
//! endpoint but decide nothing ends with its default action. Kubernetes' `NetworkPolicy`s are
//! policies of Calico's tier `default` that can only allow; their order does not matter.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;
use serde::Serialize;

use crate::net::{ContainerPort, Direction, IpProtocol, Labels, Selector};
use crate::text::{Cite, ObjectRef};

/// Every policy of the cluster, in the common form, and what only policies know.
#[derive(Clone, Debug, Default)]
pub struct Policies {
    /// In the order in which they are asked.
    pub tiers: Vec<Tier>,
    /// Calico's interfaces of hosts that have policies.
    pub host_endpoints: Vec<HostEndpoint>,
    /// Calico's named sets of addresses.
    pub network_sets: Vec<NetworkSet>,
    /// What is asked after the tiers, by name.
    pub profiles: HashMap<String, Profile>,
    /// The profiles of pods that are not those of their namespace and service account, by
    /// namespace and pod.
    pub pod_profiles: HashMap<(String, String), Vec<String>>,
    /// Labels of service accounts, by namespace and name.
    pub service_accounts: HashMap<(String, String), Labels>,
}

impl Policies {
    /// All of them, in the order in which they are asked.
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        self.tiers.iter().flat_map(|tier| &tier.policies)
    }

    /// All of them, in the order of the text.
    pub(crate) fn as_written(&self) -> Vec<&Policy> {
        let mut all: Vec<&Policy> = self.all().collect();
        all.sort_by_key(|policy| policy.cite.span);
        all
    }
}

/// A group of policies that is asked as a whole.
#[derive(Clone, Debug)]
pub struct Tier {
    /// Its name; `default` holds Kubernetes' `NetworkPolicy`s.
    pub name: String,
    /// Lower ones first; last without one.
    pub order: Option<f64>,
    /// What happens to traffic of an endpoint that the tier's policies select, if no rule decides.
    pub default: TierDefault,
    /// In the order in which they are asked.
    pub policies: Vec<Policy>,
}

/// The end of a tier.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TierDefault {
    /// Denied.
    Deny,
    /// The next tier is asked.
    Pass,
}

/// A policy.
#[derive(Clone, Debug)]
pub struct Policy {
    /// Which object it is.
    pub object: ObjectRef,
    /// Where the object stands.
    pub cite: Cite,
    /// Lower ones first within their tier, then by name; last without one.
    pub order: Option<f64>,
    /// What Calico is to do once the policy is no longer staged. Until then it decides nothing;
    /// `None` if it is enforced.
    pub staged: Option<StagedAction>,
    /// When it is asked.
    pub stage: Stage,
    /// Of a host endpoint: also asked about traffic through the host, not only about its own.
    pub apply_on_forward: bool,
    /// Whose traffic it decides.
    pub subject: Endpoints,
    /// Its ingress rules; `None` if it does not speak of ingress.
    pub ingress: Option<Rules>,
    /// Its egress rules; `None` if it does not speak of egress.
    pub egress: Option<Rules>,
}

impl Policy {
    /// Whether this staged policy is about that one: it takes its place, or deletes it.
    pub(crate) fn replaces(&self, other: &Self) -> bool {
        let kind = self.object.kind.strip_prefix("Staged").unwrap_or_default();
        // Two languages have a kind of this name.
        let kind = if kind == "KubernetesNetworkPolicy" { "NetworkPolicy" } else { kind };
        other.staged.is_none()
            && other.object.kind == kind
            && other.subject.view == self.subject.view
            && other.object.name == self.object.name
            && other.object.namespace == self.object.namespace
    }

    /// The rules of one direction; `None` if the policy does not speak of it.
    pub fn rules(&self, direction: Direction) -> Option<&Rules> {
        match direction {
            Direction::Ingress => self.ingress.as_ref(),
            Direction::Egress => self.egress.as_ref(),
        }
    }
}

/// `stagedAction`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
pub enum StagedAction {
    /// Enforce it, in the place of a policy of its name.
    Set,
    /// Delete the policy of its name.
    Delete,
    /// Nothing: rules for it are being learnt.
    Learn,
    /// Nothing.
    Ignore,
}

/// When policies of host endpoints are asked; pods know only the last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stage {
    /// `doNotTrack`: before connections are tracked.
    Untracked,
    /// `preDNAT`: before kube-proxy rewrites the destination.
    PreDnat,
    /// Where the packet is forwarded or comes to the host.
    Normal,
}

/// The rules of a policy in one direction.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The list, or what stands for it where there is none (`spec.policyTypes`).
    pub cite: Cite,
    /// In the order in which they are asked.
    pub rules: Vec<Rule>,
}

/// What a rule does with traffic that matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Allows it; nothing further is asked.
    Allow,
    /// Denies it; nothing further is asked.
    Deny,
    /// Leaves the tier; the next one is asked.
    Pass,
    /// Writes to the kernel's log and goes on with the next rule.
    Log,
}

/// A rule: all its parts must match.
#[derive(Clone, Debug)]
pub struct Rule {
    /// Where it stands.
    pub cite: Cite,
    /// What it does.
    pub action: Action,
    /// The packet's IP version must be this: 4 or 6.
    pub ip_version: Option<u8>,
    /// The IP protocol must be this.
    pub protocol: Option<IpProtocol>,
    /// The IP protocol must not be this.
    pub not_protocol: Option<IpProtocol>,
    /// Where the packet comes from.
    pub source: Side,
    /// Where the packet goes to.
    pub destination: Side,
}

/// What a rule asks of a packet's source or destination.
#[derive(Clone, Debug, Default)]
pub struct Side {
    /// One of these; anything if there are none.
    pub peers: Vec<Peer>,
    /// One of these; any if there are none.
    pub ports: Vec<Port>,
    /// None of these.
    pub not_ports: Vec<Port>,
}

/// A description of who may be at the other end: all its conditions must hold.
#[derive(Clone, Debug)]
pub struct Peer {
    /// Where it stands.
    pub cite: Cite,
    /// All must hold.
    pub conditions: Vec<Condition>,
}

impl Peer {
    /// The ranges one of which must hold the end's address, if it says any.
    pub fn nets(&self) -> impl Iterator<Item = &IpNet> {
        self.conditions.iter().flat_map(|condition| match &condition.test {
            Test::Nets(nets) => nets.as_slice(),
            _ => &[],
        })
    }

    /// The ranges that must not hold it.
    pub fn not_nets(&self) -> impl Iterator<Item = &IpNet> {
        self.conditions.iter().flat_map(|condition| match &condition.test {
            Test::NotNets(nets) => nets.as_slice(),
            _ => &[],
        })
    }
}

/// A part of a [`Peer`].
#[derive(Clone, Debug)]
pub struct Condition {
    /// Where it stands.
    pub cite: Cite,
    /// What it asks.
    pub test: Test,
}

/// What a [`Condition`] asks of an end.
#[derive(Clone, Debug)]
pub enum Test {
    /// Its address belongs to one of these.
    Endpoints(Endpoints),
    /// Its address belongs to none of these.
    NotEndpoints(Endpoints),
    /// Its address is in one of these.
    Nets(Vec<IpNet>),
    /// Its address is in none of these.
    NotNets(Vec<IpNet>),
    /// Its address is that of a node with such labels.
    Nodes(Selector),
    /// Its address is one of a service's endpoints.
    Service {
        /// The service's namespace.
        namespace: String,
        /// The service's name.
        name: String,
        /// The port must be the endpoint's too.
        with_port: bool,
    },
    /// It is of a kind that is not known here, and so matches nothing.
    Never,
    /// It is of a kind that is not known here, in a rule that fails closed: it denies all.
    Always,
    /// That is not in the text: its address may be one of these names'.
    DomainNames(Vec<String>),
}

/// Endpoints by what is known of them: all terms must hold for one and the same endpoint.
#[derive(Clone, Debug)]
pub struct Endpoints {
    /// Which endpoints there are, and which labels they carry.
    pub view: View,
    /// All must hold.
    pub terms: Vec<Term>,
}

/// How a policy language sees endpoints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum View {
    /// Pods with a network of their own, and the labels of their objects.
    Kubernetes,
    /// Pods, host endpoints and network sets; pods carry also where they belong
    /// (`projectcalico.org/namespace`, `…/serviceaccount`) and the labels of their profiles.
    Calico,
}

/// A part of [`Endpoints`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    /// Where it stands.
    pub cite: Cite,
    /// What it asks.
    pub requires: Requirement,
}

/// What a [`Term`] asks of an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Requirement {
    /// It is in this namespace, the policy's own.
    Namespace(String),
    /// It is in a namespace with such labels.
    Namespaces(Selector),
    /// It has such labels.
    Labels(Selector),
    /// It has one of these service accounts.
    ServiceAccountNames(Vec<String>),
    /// It has a service account with such labels.
    ServiceAccounts(Selector),
}

/// A port or a range of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Port {
    /// Where it stands.
    pub cite: Cite,
    /// The IP protocol; any if `None`.
    pub protocol: Option<IpProtocol>,
    /// Which of the protocol's ports.
    pub number: PortNumber,
}

/// Which ports.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum PortNumber {
    /// All of them.
    Any,
    /// From the first to the last, both included.
    Range(u16, u16),
    /// What the end at that side calls so, with the packet's protocol.
    Named(String),
}

/// Calico's `HostEndpoint`: an interface of a host.
#[derive(Clone, Debug)]
pub struct HostEndpoint {
    /// Which object it is.
    pub object: ObjectRef,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.node`.
    pub node: String,
    /// `spec.interfaceName`; `*` is every interface of the host.
    pub interface: Option<String>,
    /// `spec.expectedIPs`.
    pub addresses: Vec<IpAddr>,
    /// `spec.profiles`.
    pub profiles: Vec<String>,
    /// `spec.ports`.
    pub ports: Vec<ContainerPort>,
}

/// Calico's `NetworkSet` and `GlobalNetworkSet`.
#[derive(Clone, Debug)]
pub struct NetworkSet {
    /// Which object it is; its namespace is empty if it is global.
    pub object: ObjectRef,
    /// `metadata.labels`.
    pub labels: Labels,
    /// `spec.nets`.
    pub nets: Vec<IpNet>,
}

/// Calico's `Profile`: rules that are asked after the tiers, and labels for its endpoints.
#[derive(Clone, Debug)]
pub struct Profile {
    /// Which object it is.
    pub object: ObjectRef,
    /// Its ingress rules.
    pub ingress: Rules,
    /// Its egress rules.
    pub egress: Rules,
    /// `spec.labelsToApply`.
    pub labels: Labels,
}

impl Profile {
    /// The rules of one direction.
    pub fn rules(&self, direction: Direction) -> &Rules {
        match direction {
            Direction::Ingress => &self.ingress,
            Direction::Egress => &self.egress,
        }
    }
}
