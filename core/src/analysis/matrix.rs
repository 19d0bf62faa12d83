//! Who may reach whom, on which ports, by the policies alone.
//!
//! Pods that no policy can tell apart share a row and a column: same namespace, labels, service
//! account and ports, and in the same blocks of every rule. So a thousand pods of forty
//! deployments are forty rows.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use ipnet::IpNet;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};

use crate::cluster::{Client, Cluster, Pod, PodId, Service, Workload};
use crate::decision::{Peer, Point, Reach, Set, own_profiles, polices, ports_named};
use crate::net::{ContainerPort, Family, InFamily, Labels, Party, Protocol};
use crate::policy::form::{Rules, Side};

/// Who may reach whom.
#[derive(Clone, Debug, PartialEq)]
pub struct Matrix {
    /// Who asks: outside clients first, then pods by namespace.
    pub rows: Vec<Group>,
    /// Who is asked: pods by namespace.
    pub columns: Vec<Column>,
    reach: Reach,
    /// Who asks for each row.
    askers: Vec<Asker>,
    /// For each column the position of its first port in `reach`, and how many there are.
    starts: Vec<(usize, usize)>,
}

impl Matrix {
    /// What a row may reach of a column, both by their positions; `None` if there is no such.
    pub fn cell(&self, row: usize, column: usize) -> Option<Cell<'_>> {
        let asker = self.askers.get(row)?;
        let at = if asker.own == Some(column) { asker.second } else { Some(asker.first) };
        let (start, ports) = *self.starts.get(column)?;
        Some(
            at.and_then(|at| self.reach.of(at))
                .map_or(Cell::Itself, |reached| Cell::Ports(Answers { reached, start, ports })),
        )
    }

    /// The cells of a row, one for each of `columns`; none if there is no such row.
    pub fn cells(&self, row: usize) -> impl Iterator<Item = Cell<'_>> {
        (0..self.columns.len()).map_while(move |column| self.cell(row, column))
    }
}

/// With `cells`: in a list for each of `rows` one for each of `columns`.
impl Serialize for Matrix {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut matrix = serializer.serialize_struct("Matrix", 3)?;
        matrix.serialize_field("rows", &self.rows)?;
        matrix.serialize_field("columns", &self.columns)?;
        matrix.serialize_field("cells", &Rows(self))?;
        matrix.end()
    }
}

struct Rows<'a>(&'a Matrix);

impl Serialize for Rows<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let rows = 0..self.0.rows.len();
        serializer.collect_seq(rows.map(|row| self.0.cells(row).collect::<Vec<_>>()))
    }
}

/// A client, or pods that no policy can tell apart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Group {
    /// Empty for clients.
    pub namespace: String,
    /// Who: a client, a workload, or a pod of its own.
    #[serde(rename = "name", serialize_with = "as_flows_spell_it")]
    pub party: Party,
    /// How many pods it stands for; 1 for a client.
    pub pods: usize,
}

/// `client/user`, `deployment/shop/web`, `pod/shop/db`.
fn as_flows_spell_it<S: Serializer>(party: &Party, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(party)
}

/// A group as a destination.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Column {
    /// Who.
    #[serde(flatten)]
    pub group: Group,
    /// The ports that its containers declare and that services send to; without any, those that
    /// policies name.
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
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(untagged)]
pub enum Cell<'a> {
    /// A single pod and itself: nothing to ask.
    Itself,
    /// An answer for each of the column's ports.
    Ports(Answers<'a>),
}

impl Cell<'_> {
    /// How many ports it may reach, of how many.
    pub fn count(&self) -> (usize, usize) {
        match self {
            Self::Itself => (0, 0),
            Self::Ports(Answers { reached, start, ports }) => {
                (reached.count(*start, *ports), *ports)
            }
        }
    }
}

/// The answers of a cell, in the order of its column's ports.
#[derive(Clone, Copy, Debug)]
pub struct Answers<'a> {
    reached: &'a Set,
    start: usize,
    ports: usize,
}

impl Answers<'_> {
    /// Whether it may reach each port.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = bool> {
        (self.start..self.start + self.ports).map(|point| self.reached.has(point))
    }
}

impl Serialize for Answers<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

/// Who may reach whom in `cluster`.
pub fn matrix(cluster: &Cluster) -> Matrix {
    let groups = groups(cluster);
    let columns = columns(cluster, &groups);
    let mut rows: Vec<Group> = cluster.clients.iter().map(client_group).collect();
    rows.extend(columns.iter().map(|column| column.group.clone()));
    let mut from: Vec<Peer> = cluster.clients.iter().map(|c| Peer::Address(c.ip)).collect();
    let mut askers: Vec<Asker> =
        (0..from.len()).map(|first| Asker { first, own: None, second: None }).collect();
    for (column, ids) in groups.iter().enumerate() {
        let first = from.len();
        let second = (ids.len() > 1).then_some(first + 1);
        askers.push(Asker { first, own: Some(column), second });
        from.extend(ids.iter().take(2).map(|id| Peer::Pod(*id)));
    }
    let mut to = Vec::new();
    let mut starts = Vec::new();
    for (column, ids) in columns.iter().zip(&groups) {
        starts.push((to.len(), column.ports.len()));
        let pod = ids.first().copied();
        to.extend(pod.into_iter().flat_map(|pod| {
            column.ports.iter().map(move |p| Point { pod, protocol: p.protocol, port: p.port })
        }));
    }
    Matrix { rows, columns, reach: Reach::new(cluster, &from, &to), askers, starts }
}

/// Who asks for a row: one speaks for its group, and where it is asked about itself, another one.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Asker {
    first: usize,
    /// The group's own column.
    own: Option<usize>,
    second: Option<usize>,
}

fn client_group(client: &Client) -> Group {
    Group { namespace: String::new(), party: Party::Client(client.name.clone()), pods: 1 }
}

fn columns(cluster: &Cluster, groups: &[Vec<PodId>]) -> Vec<Column> {
    let mut served: HashMap<PodId, Vec<Port>> = HashMap::new();
    for (port, pod) in cluster.services.iter().flat_map(endpoints) {
        served.entry(pod).or_default().push(port);
    }
    let column = |ids: &Vec<PodId>| {
        let first = ids.first().and_then(|id| cluster.pods.get(id.0));
        let declared = first.into_iter().flat_map(|pod| pod.ports.iter().map(declared));
        let served = ids.iter().filter_map(|id| served.get(id)).flatten().copied();
        let mut ports: Vec<Port> = declared.chain(served).collect();
        if ports.is_empty() {
            // Containers need not declare their ports.
            ports.push(Port { port: None, protocol: Protocol::Tcp });
            let named = first.map(|pod| ports_named(cluster, pod)).unwrap_or_default();
            ports.extend(named.into_iter().map(|(port, protocol)| Port { port, protocol }));
        }
        ports.sort_unstable();
        ports.dedup();
        Column { group: group(cluster, ids), ports }
    };
    groups.iter().map(column).collect()
}

fn declared(port: &ContainerPort) -> Port {
    Port { port: Some(port.port), protocol: port.protocol }
}

fn group(cluster: &Cluster, ids: &[PodId]) -> Group {
    let pod = ids.first().and_then(|id| cluster.pods.get(id.0));
    let (namespace, name) =
        pod.map_or_else(Default::default, |pod| (pod.namespace.clone(), pod.name.clone()));
    let party = match pod.and_then(|pod| pod.owner.as_ref()) {
        Some(Workload { kind, name }) => {
            Party::Workload(kind.clone(), namespace.clone(), name.clone())
        }
        None => Party::Pod(namespace.clone(), name),
    };
    Group { namespace, party, pods: ids.len() }
}

/// Everything by which a policy can tell pods apart.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Look<'a> {
    namespace: &'a str,
    /// Not a difference to any policy, but to a person.
    owner: Option<&'a Workload>,
    labels: &'a Labels,
    service_account: &'a str,
    ports: Vec<(&'a str, u16, Protocol)>,
    /// Calico's profiles, where the text gives the pod its own.
    profiles: Option<&'a Vec<String>>,
    /// Which of the rules' blocks hold its addresses.
    blocks: Vec<usize>,
    /// Which services' ports it stands behind.
    services: Option<&'a BTreeSet<(usize, Port)>>,
    /// Addresses' families.
    families: Vec<Family>,
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
        let Group { namespace, party, .. } = group(cluster, ids);
        (namespace, party.to_string())
    });
    groups
}

fn look<'a>(
    cluster: &'a Cluster,
    id: PodId,
    pod: &'a Pod,
    blocks: &BTreeSet<IpNet>,
    services: &'a HashMap<PodId, BTreeSet<(usize, Port)>>,
) -> Look<'a> {
    let mut ports: Vec<_> =
        pod.ports.iter().map(|p| (p.name.as_str(), p.port, p.protocol)).collect();
    ports.sort_unstable();
    let within = |(_, block): &(usize, &IpNet)| pod.addresses.iter().any(|ip| block.contains(ip));
    Look {
        namespace: &pod.namespace,
        owner: pod.owner.as_ref(),
        labels: &pod.labels,
        service_account: &pod.service_account,
        ports,
        profiles: own_profiles(cluster, pod),
        blocks: blocks.iter().enumerate().filter(within).map(|(at, _)| at).collect(),
        services: services.get(&id),
        families: pod.addresses.iter().map(InFamily::family).collect(),
    }
}

/// Behind which services' ports each pod stands; Calico's rules can speak of services.
fn services(cluster: &Cluster) -> HashMap<PodId, BTreeSet<(usize, Port)>> {
    let mut services: HashMap<PodId, BTreeSet<(usize, Port)>> = HashMap::new();
    for (i, service) in cluster.services.iter().enumerate() {
        for (port, endpoint) in endpoints(service) {
            services.entry(endpoint).or_default().insert((i, port));
        }
    }
    services
}

/// The pods behind a service, each with the port that the service sends to.
fn endpoints(service: &Service) -> impl Iterator<Item = (Port, PodId)> {
    service.ports.iter().flat_map(|port| {
        port.endpoints.iter().filter_map(|endpoint| {
            Some((Port { port: Some(endpoint.port), protocol: port.protocol }, endpoint.pod?))
        })
    })
}

/// Every block of addresses that a rule speaks of.
fn blocks(cluster: &Cluster) -> BTreeSet<IpNet> {
    let policies = cluster.policies.all();
    let of_policies = policies.flat_map(|p| [p.ingress.as_ref(), p.egress.as_ref()]).flatten();
    let profiles = cluster.policies.profiles.values();
    let of_profiles = profiles.flat_map(|profile| [&profile.ingress, &profile.egress]);
    let rules = of_policies.chain(of_profiles).flat_map(|Rules { rules, .. }| rules);
    let sides = rules.flat_map(|rule| [&rule.source, &rule.destination]);
    let peers = sides.flat_map(|Side { peers, .. }| peers);
    peers
        .flat_map(|peer| peer.nets().chain(peer.not_nets()))
        .chain(cluster.policies.network_sets.iter().flat_map(|set| &set.nets))
        .copied()
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Flow;
    use crate::decision::allowed;
    use crate::decision::random::{reading, texts};

    #[test]
    fn a_pod_that_declares_no_port_is_asked_for_those_that_policies_name() {
        let text = "
{apiVersion: v1, kind: Pod, metadata: {name: db, namespace: shop, labels: {app: db}}}
---
{apiVersion: v1, kind: Pod, metadata: {name: web, namespace: shop, labels: {app: web}}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  ingress: [{from: [{podSelector: {matchLabels: {app: web}}}], ports: [{port: 5432}]}]
";
        let matrix = matrix(&crate::read(text).cluster);
        let names: Vec<_> = matrix.rows.iter().map(|row| row.party.to_string()).collect();
        assert_eq!(names, ["client/user", "pod/shop/db", "pod/shop/web"]);
        let ports: Vec<_> = matrix.columns[0].ports.iter().map(|port| port.port).collect();
        assert_eq!(ports, [None, Some(5432)]);
        assert_eq!(matrix.cell(2, 0).unwrap().count(), (1, 2));
        assert_eq!(matrix.cell(0, 0).unwrap().count(), (0, 2));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(96))]

        #[test]
        fn a_cell_speaks_for_every_pod_of_its_row_and_column(text in texts()) {
            let cluster = reading(&text).cluster;
            let matrix = matrix(&cluster);
            let groups = groups(&cluster);
            let named = |id: &PodId| {
                let pod = &cluster.pods[id.0];
                format!("pod/{}/{}", pod.namespace, pod.name)
            };
            let mut rows: Vec<Vec<String>> =
                cluster.clients.iter().map(|client| vec![format!("client/{}", client.name)]).collect();
            rows.extend(groups.iter().map(|ids| ids.iter().map(named).collect()));
            prop_assert_eq!(rows.len(), matrix.rows.len());
            prop_assert_eq!(groups.len(), matrix.columns.len());
            for (row, from) in rows.iter().enumerate() {
                prop_assert_eq!(from.len(), matrix.rows[row].pods);
                for (column, ids) in groups.iter().enumerate() {
                    let pairs = from.iter().flat_map(|from| ids.iter().map(move |to| (from, named(to))));
                    let cell = matrix.cell(row, column).unwrap();
                    for (from, to) in pairs.filter(|(from, to)| *from != to) {
                        let Cell::Ports(answers) = cell else {
                            return Err(TestCaseError::fail(format!("{from} -> {to} is not asked")));
                        };
                        let asked = matrix.columns[column].ports.iter().zip(answers.iter());
                        for (port, found) in asked {
                            let Some(number) = port.port else { continue };
                            let flow = format!("{from} -> {to}:{number}/{}", port.protocol);
                            let flow: Flow = flow.parse().unwrap();
                            prop_assert_eq!(Some(found), allowed(&cluster, &flow), "{}\n{}", flow, text);
                        }
                    }
                }
            }
        }
    }
}
