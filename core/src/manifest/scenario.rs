//! Hopwise's own kind (hopwise.dev/v1): what no Kubernetes object can say.

use serde::Deserialize;

/// `Scenario`: questions that a text asks, each with its own machines outside.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Scenario {
    /// Everything.
    pub spec: ScenarioSpec,
}

/// `Scenario.spec`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct ScenarioSpec {
    /// One line.
    pub title: Option<String>,
    /// Markdown.
    pub description: Option<String>,
    /// Machines outside the cluster.
    pub clients: Vec<Client>,
    /// Balancers outside the cluster, in front of services.
    pub load_balancers: Vec<LoadBalancer>,
    /// The nodes' own settings that no Kubernetes object shows.
    pub hosts: Hosts,
    /// What the routers outside the nodes know besides nodes, clients and balancers.
    pub routes: Vec<Route>,
    /// The questions.
    pub flows: Vec<Flow>,
    /// Parts of what must be said of the text's objects, where that is what the scenario is about.
    pub expect_problems: Vec<String>,
}

/// `spec.clients[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Client {
    /// Its name in flows: `client/NAME`.
    pub name: String,
    /// Its address.
    pub ip: String,
}

/// `spec.loadBalancers[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct LoadBalancer {
    /// Its name in flows: `…@NAME`.
    pub name: String,
    /// Its address.
    pub ip: String,
    /// `Preserve` (the default) or `Replace`: it opens its own connection.
    pub source_address: Option<String>,
    /// Probes each node; under `Local` it uses only nodes with endpoints. True if left out.
    pub health_check: Option<bool>,
}

/// `spec.hosts`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Hosts {
    /// `Strict` (the default) or `Loose`.
    pub rp_filter: Option<String>,
}

/// `spec.routes[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default)]
pub struct Route {
    /// A CIDR.
    pub to: String,
    /// A node's name.
    pub via: String,
}

/// `spec.flows[]`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub struct Flow {
    /// The notation if left out.
    pub name: Option<String>,
    /// `FROM` of the flow notation.
    pub from: String,
    /// `TO` of the flow notation.
    pub to: String,
    /// A verdict; makes the file a test.
    pub expect: Option<String>,
    /// The source that the destination pod's ingress policy is matched against.
    pub expect_source: Option<String>,
}
