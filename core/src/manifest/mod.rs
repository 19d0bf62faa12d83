//! Documents as typed objects, and what kube-apiserver would say about them.
//!
//! The types are the API's own, one file a family, with the fields that Hopwise needs. Fields that
//! the API lets one leave out are `Option`; a list that is left out and one that is empty mean the
//! same to the API, and so are one here.

pub mod calico;
pub mod calico_policy;
mod check;
mod custom;
mod fault;
mod kinds;
pub mod kube_proxy;
#[cfg(any(test, feature = "kubectl"))]
mod kubectl;
pub mod kubernetes;
mod objects;
pub mod policy_api;
pub mod scenario;
mod schema;
mod validation;

#[cfg(any(test, feature = "kubectl"))]
pub use kubectl::apply;
pub use objects::read;
pub use validation::{cidr, ip};

use crate::text::{Cite, Node, ObjectRef, Problem, Span};

/// All objects of a text.
#[derive(Clone, Debug, Default)]
pub struct Manifest {
    /// What could be read and would be accepted, in the text's order, `List`s unwrapped.
    pub objects: Vec<Object>,
    /// What Hopwise does not know.
    pub ignored: Vec<Ignored>,
    /// What is wrong with the text, in its order.
    pub problems: Vec<Problem>,
}

/// An object of the text.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name; the namespace is `default` where a namespaced object leaves it out.
    pub reference: ObjectRef,
    /// `apiVersion`.
    pub api_version: String,
    /// `metadata`.
    pub metadata: kubernetes::ObjectMeta,
    /// Everything else.
    pub kind: Kind,
    /// The whole object, with the place of every field.
    pub node: Node,
    /// Where it stands.
    pub span: Span,
}

/// An object of a kind that Hopwise does not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ignored {
    /// Its name.
    pub reference: ObjectRef,
    /// `apiVersion`.
    pub api_version: String,
    /// Where it stands.
    pub span: Span,
}

/// The kinds that Hopwise knows.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "each is the API's own kind")]
pub enum Kind {
    NetworkPolicy(Box<kubernetes::NetworkPolicy>),
    Service(Box<kubernetes::Service>),
    EndpointSlice(Box<kubernetes::EndpointSlice>),
    Endpoints(Box<kubernetes::Endpoints>),
    Pod(Box<kubernetes::Pod>),
    /// `Deployment`, `StatefulSet`, `DaemonSet`, `ReplicaSet`, `Job`, `CronJob`.
    Workload(Box<kubernetes::Workload>),
    Namespace,
    ServiceAccount,
    Node(Box<kubernetes::Node>),
    ServiceCidr(Box<kubernetes::ServiceCidr>),
    IpPool(Box<calico::IpPool>),
    BgpConfiguration(Box<calico::BgpConfiguration>),
    BgpPeer(Box<calico::BgpPeer>),
    FelixConfiguration(Box<calico::FelixConfiguration>),
    KubeProxyConfiguration(Box<kube_proxy::KubeProxyConfiguration>),
    Scenario(Box<scenario::Scenario>),
    /// Calico's `NetworkPolicy` and `GlobalNetworkPolicy`, and their staged forms.
    CalicoPolicy(Box<calico_policy::CalicoPolicy>),
    StagedKubernetesNetworkPolicy(Box<kubernetes::NetworkPolicy>),
    Tier(Box<calico_policy::Tier>),
    /// `NetworkSet`, `GlobalNetworkSet`.
    NetworkSet(Box<calico_policy::NetworkSet>),
    HostEndpoint(Box<calico_policy::HostEndpoint>),
    Profile(Box<calico_policy::Profile>),
    WorkloadEndpoint(Box<calico_policy::WorkloadEndpoint>),
    /// `AdminNetworkPolicy`, `BaselineAdminNetworkPolicy`, `ClusterNetworkPolicy`.
    AdminPolicy(Box<policy_api::AdminPolicy>),
}

impl Object {
    /// A field of this object, for a verdict to point at: `spec.ingress[0].from[1]`. If it is left
    /// out, the span is that of its nearest ancestor's key.
    pub fn cite(&self, path: &str) -> Cite {
        Cite {
            object: self.reference.clone(),
            field: path.to_owned(),
            span: Some(self.node.span_at(path)),
        }
    }

    /// Whether objects of its kind live in namespaces.
    pub fn is_namespaced(&self) -> bool {
        match kinds::find(&self.api_version, &self.reference.kind) {
            kinds::Found::Known(known) => known.namespaced,
            _ => !self.reference.namespace.is_empty(),
        }
    }

    /// What a staged policy would do: `Set` (the default), `Delete`, `Learn` or `Ignore`. `None`
    /// for policies that are enforced.
    pub fn staged_action(&self) -> Option<&str> {
        let word =
            self.node.at("spec.stagedAction").and_then(Node::as_str).filter(|w| !w.is_empty());
        self.reference.kind.starts_with("Staged").then_some(word.unwrap_or("Set"))
    }

    /// Whether the text writes the field.
    pub fn has(&self, path: &str) -> bool {
        self.node.at(path).is_some()
    }
}

#[cfg(test)]
mod calico_messages;
#[cfg(test)]
mod messages;
#[cfg(test)]
mod policy_api_messages;
