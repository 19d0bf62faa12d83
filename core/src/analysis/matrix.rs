//! Who may reach whom, on which ports, by the policies alone.
//!
//! Pods that no policy can tell apart share a row and a column: same namespace, labels, service
//! account and ports, and in the same blocks of every rule. So a thousand pods of forty
//! deployments are forty rows.

use std::collections::{BTreeMap, BTreeSet};

use ipnet::IpNet;
use serde::Serialize;

use crate::cluster::{Client, Cluster, ContainerPort, Labels, Pod, PodId};
use crate::datapath::{Party, Protocol};
use crate::policy::form::{Rules, Side, Test};
use crate::policy::{Peer, Point, Reach, polices};

/// Who may reach whom.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Matrix {
    /// Who asks: outside clients first, then pods by namespace.
    pub rows: Vec<Group>,
    /// Who is asked: pods by namespace.
    pub columns: Vec<Column>,
    /// One row for each of `rows`, in it a cell for each of `columns`.
    pub cells: Vec<Vec<Cell>>,
}

/// A client, or pods that no policy can tell apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Empty for clients.
    pub namespace: String,
    /// As flows spell it: `client/user`, `deployment/shop/web`, `pod/shop/db`.
    pub name: String,
    /// How many pods it stands for; 1 for a client.
    pub pods: usize,
}

/// A group as a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Who.
    #[serde(flatten)]
    pub group: Group,
    /// The ports that its containers declare and that services send to.
    pub ports: Vec<Port>,
}

/// A port to ask for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Port {
    /// `None` where nothing declares one: the answer is that for a port that no rule names.
    pub port: Option<u16>,
    /// The protocol.
    pub protocol: Protocol,
}

/// What a row may reach of a column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(untagged)]
pub enum Cell {
    /// A single pod and itself: nothing to ask.
    Itself,
    /// An answer for each of the column's ports.
    Ports(Vec<bool>),
}

impl Cell {
    /// How many ports it may reach, of how many.
    pub fn count(&self) -> (usize, usize) {
        match self {
            Self::Itself => (0, 0),
            Self::Ports(ports) => (ports.iter().filter(|allowed| **allowed).count(), ports.len()),
        }
    }
}

/// Who may reach whom in `cluster`.
pub fn matrix(cluster: &Cluster) -> Matrix {
    let groups = groups(cluster);
    let columns: Vec<Column> = groups.iter().map(|ids| column(cluster, ids)).collect();
    // One speaks for its group, and where it is asked about itself, another one asks.
    let mut rows = Vec::new();
    let mut from = Vec::new();
    for client in &cluster.clients {
        rows.push(Row { group: client_group(client), speaker: from.len(), own: None });
        from.push(Peer::Address(client.ip));
    }
    for (i, ids) in groups.iter().enumerate() {
        let speakers = ids.iter().take(2).map(|id| Peer::Pod(*id));
        let second = (ids.len() > 1).then_some(from.len() + 1);
        rows.push(Row { group: group(cluster, ids), speaker: from.len(), own: Some((i, second)) });
        from.extend(speakers);
    }
    let mut to = Vec::new();
    let mut starts = Vec::new();
    for (column, ids) in columns.iter().zip(&groups) {
        starts.push(to.len());
        let pod = ids.first().copied();
        to.extend(pod.into_iter().flat_map(|pod| {
            column.ports.iter().map(move |p| Point { pod, protocol: p.protocol, port: p.port })
        }));
    }
    let reach = Reach::new(cluster, &from, &to);
    let cell = |row: &Row, i: usize, start: usize, ports: usize| {
        let asker = match row.own {
            Some((own, None)) if own == i => return Cell::Itself,
            Some((own, Some(second))) if own == i => second,
            _ => row.speaker,
        };
        Cell::Ports((start..start + ports).map(|point| reach.allows(asker, point)).collect())
    };
    let line = |row: &Row| {
        let columns = columns.iter().zip(&starts).enumerate();
        columns.map(|(i, (column, start))| cell(row, i, *start, column.ports.len())).collect()
    };
    let cells = rows.iter().map(line).collect();
    Matrix { rows: rows.into_iter().map(|row| row.group).collect(), columns, cells }
}

/// A row, while it is computed.
struct Row {
    group: Group,
    /// The position of the one who asks.
    speaker: usize,
    /// The group's own column, and who asks there.
    own: Option<(usize, Option<usize>)>,
}

fn client_group(client: &Client) -> Group {
    let name = Party::Client(client.name.clone()).to_string();
    Group { namespace: String::new(), name, pods: 1 }
}

fn column(cluster: &Cluster, ids: &[PodId]) -> Column {
    let mut ports: BTreeSet<Port> = BTreeSet::new();
    if let Some(pod) = ids.first().and_then(|id| cluster.pods.get(id.0)) {
        ports.extend(pod.ports.iter().map(declared));
    }
    for port in cluster.services.iter().flat_map(|service| &service.ports) {
        let endpoints = port.endpoints.iter().filter(|e| e.pod.is_some_and(|p| ids.contains(&p)));
        ports.extend(endpoints.map(|e| Port { port: Some(e.port), protocol: port.protocol }));
    }
    if ports.is_empty() {
        ports.insert(Port { port: None, protocol: Protocol::Tcp });
    }
    Column { group: group(cluster, ids), ports: ports.into_iter().collect() }
}

fn declared(port: &ContainerPort) -> Port {
    Port { port: Some(port.port), protocol: port.protocol }
}

fn group(cluster: &Cluster, ids: &[PodId]) -> Group {
    let pod = ids.first().and_then(|id| cluster.pods.get(id.0));
    let (namespace, name) = pod.map_or_else(Default::default, |pod| {
        let party = match &pod.owner {
            Some((kind, name)) => {
                Party::Workload(kind.clone(), pod.namespace.clone(), name.clone())
            }
            None => Party::Pod(pod.namespace.clone(), pod.name.clone()),
        };
        (pod.namespace.clone(), party.to_string())
    });
    Group { namespace, name, pods: ids.len() }
}

/// Everything by which a policy can tell pods apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Look<'a> {
    namespace: &'a str,
    /// Not a difference to any policy, but to a person.
    owner: Option<&'a (String, String)>,
    labels: &'a Labels,
    service_account: &'a str,
    ports: Vec<(&'a str, u16, Protocol)>,
    /// Calico's profiles, where the text gives the pod its own.
    profiles: Option<&'a Vec<String>>,
    /// Which of the rules' blocks hold its addresses.
    blocks: Vec<bool>,
    /// Which services it stands behind.
    services: Vec<usize>,
    /// Addresses' families.
    families: Vec<bool>,
}

/// The pods that policies know, in groups, by namespace and name.
fn groups(cluster: &Cluster) -> Vec<Vec<PodId>> {
    let blocks = blocks(cluster);
    let services = services(cluster);
    let mut groups: BTreeMap<Look<'_>, Vec<PodId>> = BTreeMap::new();
    for (i, pod) in cluster.pods.iter().enumerate().filter(|(_, pod)| polices(pod)) {
        let look = look(cluster, PodId(i), pod, &blocks, &services);
        groups.entry(look).or_default().push(PodId(i));
    }
    let mut groups: Vec<Vec<PodId>> = groups.into_values().collect();
    groups.sort_by_cached_key(|ids| {
        let Group { namespace, name, .. } = group(cluster, ids);
        (namespace, name)
    });
    groups
}

fn look<'a>(
    cluster: &'a Cluster,
    id: PodId,
    pod: &'a Pod,
    blocks: &BTreeSet<IpNet>,
    services: &BTreeMap<PodId, BTreeSet<usize>>,
) -> Look<'a> {
    let mut ports: Vec<_> =
        pod.ports.iter().map(|p| (p.name.as_str(), p.port, p.protocol)).collect();
    ports.sort_unstable();
    let within = |block: &IpNet| pod.addresses.iter().any(|ip| block.contains(ip));
    Look {
        namespace: &pod.namespace,
        owner: pod.owner.as_ref(),
        labels: &pod.labels,
        service_account: &pod.service_account,
        ports,
        profiles: cluster.policies.pod_profiles.get(&(pod.namespace.clone(), pod.name.clone())),
        blocks: blocks.iter().map(within).collect(),
        services: services.get(&id).into_iter().flatten().copied().collect(),
        families: pod.addresses.iter().map(std::net::IpAddr::is_ipv4).collect(),
    }
}

/// Which services each pod stands behind; Calico's rules can speak of services.
fn services(cluster: &Cluster) -> BTreeMap<PodId, BTreeSet<usize>> {
    let mut services: BTreeMap<PodId, BTreeSet<usize>> = BTreeMap::new();
    for (i, service) in cluster.services.iter().enumerate() {
        let endpoints = service.ports.iter().flat_map(|port| &port.endpoints);
        for pod in endpoints.filter_map(|endpoint| endpoint.pod) {
            services.entry(pod).or_default().insert(i);
        }
    }
    services
}

/// Every block of addresses that a rule speaks of.
fn blocks(cluster: &Cluster) -> BTreeSet<IpNet> {
    let policies = cluster.policies.tiers.iter().flat_map(|tier| &tier.policies);
    let rules = policies
        .flat_map(|policy| [policy.ingress.as_ref(), policy.egress.as_ref()])
        .flatten()
        .flat_map(|Rules { rules, .. }| rules);
    let sides = rules.flat_map(|rule| [&rule.source, &rule.destination]);
    let conditions = sides.flat_map(|Side { peers, .. }| peers).flat_map(|peer| &peer.conditions);
    conditions
        .flat_map(|condition| match &condition.test {
            Test::Nets(nets) | Test::NotNets(nets) => nets.as_slice(),
            _ => &[],
        })
        .chain(cluster.policies.network_sets.iter().flat_map(|set| &set.nets))
        .copied()
        .collect()
}
