//! The pods that policies speak of, where the text does not contain them.

use std::collections::{BTreeMap, BTreeSet};

use super::assume::{NAMESPACE_NAME, assumed, is_scaled, namespace};
use crate::cluster::endpoints::selects;
use crate::cluster::pods::Draft;
use crate::cluster::{Namespace, Workload};
use crate::manifest::Object;
use crate::net::{CALICO_NAME, ContainerPort, Labels, Protocol, Selector};
use crate::policy::Policies;
use crate::policy::form::{
    Endpoints, Policy, PortNumber, Requirement, Rule, Side, Stage, Test, View,
};
use crate::text::Origin;

/// The number of a port of which only the name is known.
const NAMED: u16 = 8080;

/// A pod for everyone that a policy's selectors speak of, in its namespace. A text with pods of
/// several namespaces is taken for a whole cluster, and one with several pods of a namespace for
/// all of that: there, a selector that no pod has really matches nobody.
pub(crate) fn assume(
    drafts: &mut Vec<Draft>,
    namespaces: &mut BTreeMap<String, Namespace>,
    policies: &Policies,
    objects: &[Object],
) {
    let written = drafts.iter().filter(|draft| matches!(draft.pod.origin, Origin::Written(_)));
    let populated: BTreeSet<&String> = written.map(|draft| &draft.pod.namespace).collect();
    if populated.len() > 1 {
        return;
    }
    // The others are of hosts alone.
    let of_pods = |policy: &&Policy| policy.stage == Stage::Normal && !policy.apply_on_forward;
    let mut world = World { given: drafts.len(), drafts, namespaces, policies, objects };
    for policy in policies.as_written().into_iter().filter(of_pods) {
        let Some(home) = world.subject(policy) else { continue };
        for rule in policy.ingress.iter().flat_map(|found| &found.rules) {
            for peer in endpoints(&rule.source) {
                world.peer(policy, &home, peer, &[]);
            }
        }
        for rule in policy.egress.iter().flat_map(|found| &found.rules) {
            for peer in endpoints(&rule.destination) {
                world.peer(policy, &home, peer, &ports_of(rule));
            }
        }
    }
}

fn endpoints(side: &Side) -> impl Iterator<Item = &Endpoints> {
    side.peers.iter().flat_map(|peer| &peer.conditions).filter_map(|condition| {
        match &condition.test {
            Test::Endpoints(endpoints) => Some(endpoints),
            _ => None,
        }
    })
}

/// Where the endpoints are that a description means.
enum Place<'a> {
    /// In this namespace.
    Namespace(String),
    /// In the namespaces with such labels.
    Selected(&'a Selector),
    /// It does not say.
    Anywhere,
}

struct World<'a> {
    drafts: &'a mut Vec<Draft>,
    namespaces: &'a mut BTreeMap<String, Namespace>,
    policies: &'a Policies,
    objects: &'a [Object],
    /// How many of the pods were there before.
    given: usize,
}

impl World<'_> {
    /// A pod that the policy selects, unless the text has pods of the namespace. Returns the
    /// namespace of the peers that tell none; `None` if the policy is of no pods.
    fn subject(&mut self, policy: &Policy) -> Option<String> {
        let (place, labels) = self.meant(&policy.subject)?;
        let home = match place {
            Place::Namespace(name) => name,
            Place::Selected(selector) => {
                let mut homes = self.drafts.iter().map(|draft| &draft.pod.namespace);
                let fits = |name: &&String| {
                    selector.matches(&labels_of(name, self.namespaces.get(name.as_str())))
                };
                match homes.find(fits).cloned() {
                    Some(name) => name,
                    None => self.fitting(policy, "", selector),
                }
            }
            Place::Anywhere => {
                let fits = self.drafts.iter().find(|draft| selects(&labels, &draft.pod.labels));
                fits.or_else(|| self.drafts.first())
                    .map_or_else(|| "default".to_owned(), |draft| draft.pod.namespace.clone())
            }
        };
        self.add_subject(policy, &home, labels);
        Some(home)
    }

    fn add_subject(&mut self, policy: &Policy, home: &str, labels: Labels) {
        let is_one = |draft: &Draft| selects(&labels, &draft.pod.labels);
        let known = |draft: &&Draft| draft.pod.namespace == home;
        let given = || self.drafts.iter().take(self.given);
        // Pods that fit in another namespace: the policy is in the wrong one.
        let elsewhere = !labels.is_empty() && given().any(is_one) && !given().any(|d| known(&d));
        let mut here = self.drafts.iter().filter(known);
        let scaled = || is_scaled(self.objects, home, &labels);
        if elsewhere || here.clone().any(is_written) || scaled() {
            return;
        }
        let ports = ports(policy);
        let like = |draft: &Draft| {
            let same = |(key, value)| draft.pod.labels.get(key).map(|found| found == value);
            let mut shared = labels.iter().filter_map(same).peekable();
            shared.peek().is_some() && shared.all(|same| same)
        };
        let like =
            here.clone().find(|draft| is_one(draft)).or_else(|| here.find(|draft| like(draft)));
        let like = like.map(|draft| draft.pod.name.clone());
        let same = |draft: &&mut Draft| {
            draft.pod.namespace == home && Some(&draft.pod.name) == like.as_ref()
        };
        if let Some(draft) = self.drafts.iter_mut().find(same) {
            draft.pod.labels.extend(labels);
            add_ports(&mut draft.pod.ports, ports);
            return;
        }
        let name = pod_name(self.drafts, home, &labels, "server");
        let reason =
            format!("{} selects it, and the text has no such pod in {home}", policy.object);
        self.drafts.push(assumed(home, &name, labels, ports, &reason));
    }

    fn peer(&mut self, policy: &Policy, home: &str, peer: &Endpoints, ports: &[ContainerPort]) {
        let who = policy.object.to_string();
        let Some((place, labels)) = self.meant(peer) else { return };
        let selector = match place {
            Place::Namespace(name) => return add_client(self.drafts, &name, labels, ports, &who),
            Place::Anywhere => return add_client(self.drafts, home, labels, ports, &who),
            Place::Selected(selector) => selector,
        };
        let let_in = self.fitting(policy, home, selector);
        add_client(self.drafts, &let_in, labels.clone(), ports, &who);
        for (key, value) in excluded(selector) {
            let shut_out = Selector::Is(key, value);
            let name = self.fitting(policy, home, &shut_out);
            add_client(self.drafts, &name, labels.clone(), ports, &who);
        }
    }

    /// A namespace, another than `own`, that the selector selects. One is assumed if there is none.
    fn fitting(&mut self, policy: &Policy, own: &str, selector: &Selector) -> String {
        let fits = |(name, found): &(&String, &Namespace)| {
            name.as_str() != own && selector.matches(&labels_of(name, Some(found)))
        };
        if let Some((name, _)) = self.namespaces.iter().find(fits) {
            return name.clone();
        }
        let mut labels = satisfy(selector);
        let name = labels.remove(CALICO_NAME).or_else(|| labels.get(NAMESPACE_NAME).cloned());
        let name = name.unwrap_or_else(|| free_name(self.namespaces, &labels, selector));
        let reason = format!("a namespaceSelector of {} speaks of it", policy.object);
        // One that the text has keeps its labels, even where they don't fit.
        let assumed = || namespace(&name, labels, Origin::Assumed(reason));
        self.namespaces.entry(name.clone()).or_insert_with(assumed);
        name
    }

    /// Where a pod would be that fits the description, and its labels; `None` if others than pods
    /// are meant, or more than labels can say.
    fn meant<'e>(&self, endpoints: &'e Endpoints) -> Option<(Place<'e>, Labels)> {
        let calico = endpoints.view == View::Calico;
        let mut place = Place::Anywhere;
        let mut labels = Labels::new();
        for term in &endpoints.terms {
            match &term.requires {
                // There are no pods in what is outside namespaces.
                Requirement::Namespaces(Selector::Global)
                | Requirement::ServiceAccountNames(_)
                | Requirement::ServiceAccounts(_) => return None,
                Requirement::Namespace(name) => place = Place::Namespace(name.clone()),
                Requirement::Namespaces(selector) => place = Place::Selected(selector),
                Requirement::Labels(selector) => {
                    if calico && !selector.is_everything() && self.is_no_pod(selector) {
                        return None;
                    }
                    labels = satisfy(selector);
                    if !selector.matches(&labels) {
                        return None;
                    }
                }
            }
        }
        if matches!(place, Place::Anywhere)
            && labels.get("k8s-app").is_some_and(|v| v == "kube-dns")
        {
            place = Place::Namespace("kube-system".to_owned());
        }
        if calico {
            if let Some(name) = labels.remove("projectcalico.org/namespace") {
                place = Place::Namespace(name);
            }
            // Calico's own labels are of what a pod is, not written on it.
            labels.retain(|key, _| {
                !["projectcalico.org/", "pcns.", "pcsa."].iter().any(|own| key.starts_with(own))
            });
        }
        Some((place, labels))
    }

    /// Whether a host endpoint or a network set has such labels.
    fn is_no_pod(&self, selector: &Selector) -> bool {
        let hosts = self.policies.host_endpoints.iter().map(|host| &host.labels);
        let sets = self.policies.network_sets.iter().map(|set| &set.labels);
        hosts.chain(sets).any(|labels| selector.matches(labels))
    }
}

/// A name for a namespace with these labels that no other has.
fn free_name(
    namespaces: &BTreeMap<String, Namespace>,
    labels: &Labels,
    selector: &Selector,
) -> String {
    let said = name_of(labels);
    let written = |name: &&String| {
        namespaces.get(*name).is_some_and(|found| matches!(found.origin, Origin::Written(_)))
    };
    // The text knows its labels better: the selector does not select it.
    if let Some(name) = said.as_ref().filter(written) {
        return name.clone();
    }
    let name = said.unwrap_or_else(|| "default".to_owned());
    let numbered = (2..).map(|number| format!("{name}-{number}"));
    let free = |found: &String| {
        // A selector may shut out names.
        let mut all = labels_of(found, None);
        all.extend(labels.clone());
        !namespaces.contains_key(found) && selector.matches(&all)
    };
    std::iter::once(name.clone()).chain(numbered).take(64).find(free).unwrap_or(name)
}

/// A pod in a namespace that has none with these labels.
fn add_client(
    drafts: &mut Vec<Draft>,
    namespace: &str,
    labels: Labels,
    ports: &[ContainerPort],
    who: &str,
) {
    let here = || drafts.iter().filter(|draft| draft.pod.namespace == namespace);
    // The pods of one workload are one.
    let written: BTreeSet<_> = here()
        .filter(|draft| is_written(draft))
        .map(|draft| match &draft.pod.owner {
            Some(Workload { kind, name }) => (kind.as_str(), name.as_str()),
            None => ("", draft.pod.name.as_str()),
        })
        .collect();
    if written.len() > 1 || here().any(|draft| selects(&labels, &draft.pod.labels)) {
        return;
    }
    let name = pod_name(drafts, namespace, &labels, "client");
    let reason =
        format!("a peer of {who} speaks of it, and the text has no such pod in {namespace}");
    drafts.push(assumed(namespace, &name, labels, ports.to_vec(), &reason));
}

fn is_written(draft: &Draft) -> bool {
    matches!(draft.pod.origin, Origin::Written(_))
}

fn pod_name(drafts: &[Draft], namespace: &str, labels: &Labels, nameless: &str) -> String {
    let name = name_of(labels);
    super::assume::free_name(drafts, namespace, name.as_deref().unwrap_or(nameless))
}

/// The ports that the policy's ingress rules speak of.
fn ports(policy: &Policy) -> Vec<ContainerPort> {
    let mut found = Vec::new();
    for rule in policy.ingress.iter().flat_map(|rules| &rules.rules) {
        add_ports(&mut found, ports_of(rule));
    }
    found
}

/// The ports that a rule speaks of.
fn ports_of(rule: &Rule) -> Vec<ContainerPort> {
    let mut found = Vec::new();
    for port in &rule.destination.ports {
        let protocol = port.protocol.or(rule.protocol);
        let protocol = protocol.and_then(Protocol::of_number).unwrap_or_default();
        let (name, number) = match &port.number {
            PortNumber::Any => continue,
            PortNumber::Range(first, _) => (String::new(), (*first).max(1)),
            PortNumber::Named(name) => (name.clone(), NAMED),
        };
        add_ports(&mut found, vec![ContainerPort { name, port: number, protocol }]);
    }
    found
}

/// Adds ports that are not there. A name is given to the only port that has none, if there is one.
fn add_ports(ports: &mut Vec<ContainerPort>, more: Vec<ContainerPort>) {
    for mut port in more {
        let same = |known: &ContainerPort| {
            known.protocol == port.protocol
                && if port.name.is_empty() {
                    known.port == port.port
                } else {
                    known.name == port.name
                }
        };
        if ports.iter().any(same) {
            continue;
        }
        if let ([only], false) = (ports.as_mut_slice(), port.name.is_empty())
            && only.name.is_empty()
            && only.protocol == port.protocol
        {
            only.name = port.name;
            continue;
        }
        while ports.iter().any(|known| known.port == port.port && known.protocol == port.protocol) {
            port.port = port.port.saturating_add(1);
        }
        ports.push(port);
    }
}

/// Labels that the selector selects, if few are enough.
fn satisfy(selector: &Selector) -> Labels {
    let mut labels = Labels::new();
    add_labels(selector, &mut labels);
    labels
}

fn add_labels(selector: &Selector, labels: &mut Labels) {
    let (key, value) = match selector {
        Selector::All(parts) => return parts.iter().for_each(|part| add_labels(part, labels)),
        Selector::Any(parts) => {
            return parts.iter().take(1).for_each(|part| add_labels(part, labels));
        }
        Selector::Is(key, value)
        | Selector::Contains(key, value)
        | Selector::StartsWith(key, value)
        | Selector::EndsWith(key, value) => (key, value.as_str()),
        Selector::In(key, values) => match values.first() {
            Some(value) => (key, value.as_str()),
            None => return,
        },
        // Every namespace has these.
        Selector::Has(key) if [NAMESPACE_NAME, CALICO_NAME].contains(&key.as_str()) => return,
        Selector::Has(key) => (key, "yes"),
        Selector::Global | Selector::Not(_) | Selector::IsNot(..) | Selector::NotIn(..) => return,
    };
    labels.entry(key.clone()).or_insert_with(|| value.to_owned());
}

/// The labels that a selector shuts out by name.
fn excluded(selector: &Selector) -> Vec<(String, String)> {
    match selector {
        Selector::All(parts) => parts.iter().flat_map(excluded).collect(),
        Selector::IsNot(key, value) => vec![(key.clone(), value.clone())],
        Selector::NotIn(key, values) => {
            values.iter().map(|value| (key.clone(), value.clone())).collect()
        }
        _ => Vec::new(),
    }
}

/// A namespace's labels, with those that it has of its name.
fn labels_of(name: &str, namespace: Option<&Namespace>) -> Labels {
    let mut labels = namespace.map(|found| found.labels.clone()).unwrap_or_default();
    for key in [NAMESPACE_NAME, CALICO_NAME] {
        labels.insert(key.to_owned(), name.to_owned());
    }
    labels
}

/// A name that kube-apiserver takes, made of the first label that has something to say.
fn name_of(labels: &Labels) -> Option<String> {
    const SAYS_NOTHING: [&str; 7] = ["", "true", "false", "yes", "no", "enabled", "allowed"];
    labels.iter().find_map(|(key, value)| {
        let says_nothing = SAYS_NOTHING.contains(&value.to_lowercase().as_str())
            || value.bytes().all(|byte| byte.is_ascii_digit());
        let word = if says_nothing { key.rsplit('/').next().unwrap_or(key) } else { value };
        let name: String = word
            .to_lowercase()
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let name = name.trim_matches('-').to_owned();
        (!name.is_empty()).then_some(name)
    })
}

#[cfg(test)]
mod tests {
    /// A policy whose peers no pod and no namespace of the text has.
    const POLICY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: np, namespace: shop}
spec:
  podSelector: {}
  ingress:
  - from:
    - podSelector: {matchLabels: {app: cart}}
    - namespaceSelector: {matchLabels: {team: red}}
";

    fn pods(namespaces: &[&str]) -> Vec<String> {
        let mut text = POLICY.to_owned();
        for namespace in namespaces {
            text = format!(
                "{text}---\n{{apiVersion: v1, kind: Pod, metadata: {{name: db, namespace: {namespace}}}}}\n"
            );
        }
        let cluster = crate::read(&text).cluster;
        cluster.pods.iter().map(|pod| format!("{}/{}", pod.namespace, pod.name)).collect()
    }

    #[test]
    fn peers_are_assumed_for_a_policy_and_its_pods() {
        assert_eq!(pods(&[]), ["shop/server", "shop/cart", "red/client"]);
        assert_eq!(pods(&["shop"]), ["shop/db", "shop/cart", "red/client"]);
        assert_eq!(pods(&["bank"]), ["bank/db", "shop/server", "shop/cart", "red/client"]);
    }

    #[test]
    fn several_pods_of_a_namespace_are_all_of_it() {
        let pods = ["db", "web"].map(|name| {
            format!(
                "---\n{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop}}}}\n"
            )
        });
        let cluster = crate::read(&format!("{POLICY}{}", pods.concat())).cluster;
        let names: Vec<_> = cluster.pods.iter().map(|pod| pod.name.as_str()).collect();
        assert_eq!(names, ["db", "web", "client"], "cart is nobody");
    }

    #[test]
    fn pods_of_several_namespaces_are_a_whole_cluster() {
        assert_eq!(pods(&["shop", "bank"]), ["shop/db", "bank/db"]);
        assert_eq!(pods(&["bank", "dev"]), ["bank/db", "dev/db"]);
    }

    /// The first flows that are proposed.
    fn proposed(text: &str) -> Vec<String> {
        crate::read(text).scenario.flows.iter().map(|found| found.flow.to_string()).collect()
    }

    #[test]
    fn a_global_policy_is_shown_between_pods_that_it_speaks_of() {
        let policy = "
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: db}
spec:
  namespaceSelector: projectcalico.org/name == 'shop'
  selector: app == 'db' && tier in {'backend', 'data'}
  ingress:
  - action: Allow
    protocol: UDP
    source: {selector: app == 'web', namespaceSelector: team != 'red'}
    destination: {ports: ['5432:5433']}
";
        let to = "pod/shop/db:5432/UDP";
        assert_eq!(
            proposed(policy),
            [format!("pod/default/web -> {to}"), format!("pod/red/web -> {to}")]
        );
    }

    #[test]
    fn names_that_a_policy_leaves_out_are_not_the_name_of_its_namespace() {
        let policy = "
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: default-deny}
spec:
  namespaceSelector: has(projectcalico.org/name) && projectcalico.org/name not in {'default'}
  types: [Ingress]
";
        assert_eq!(proposed(policy), ["pod/default-2/client -> pod/default-2/server:80"]);
    }

    #[test]
    fn each_policy_has_a_pod_that_it_selects() {
        let policy = |name: &str, spec: &str| {
            format!(
                "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {{name: {name}, namespace: shop}}
spec: {spec}
"
            )
        };
        let text = [
            policy("deny", "{podSelector: {}}"),
            policy(
                "db",
                "{podSelector: {matchLabels: {app: db}}, ingress: [{ports: [{port: pg}]}]}",
            ),
            policy("guarded", "{podSelector: {matchLabels: {app: db, guarded: 'true'}}}"),
        ];
        let cluster = crate::read(&text.concat()).cluster;
        let pods: Vec<_> = cluster.pods.iter().map(|pod| (&*pod.name, pod.labels.len())).collect();
        assert_eq!(pods, [("server", 0), ("db", 2)], "one pod fits both");
        assert_eq!(cluster.pods[1].ports[0].name, "pg");
    }

    #[test]
    fn a_policy_in_the_wrong_namespace_gets_no_pod() {
        let pod = "---\n{apiVersion: v1, kind: Pod, metadata: {name: web, labels: {app: web}}}\n";
        let policy = "---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web, namespace: shop}
spec: {podSelector: {matchLabels: {app: web}}}
";
        let pods = crate::read(&format!("{pod}{policy}")).cluster.pods;
        assert!(pods.iter().all(|pod| pod.namespace == "default"), "{pods:?}");
    }

    #[test]
    fn the_name_server_is_in_its_own_namespace() {
        let policy = "
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: deny}
spec:
  namespaceSelector: projectcalico.org/name not in {'kube-system'}
  types: [Egress]
  egress:
  - {action: Allow, protocol: UDP, destination: {selector: k8s-app == 'kube-dns', ports: [53]}}
";
        assert_eq!(proposed(policy)[0], "pod/default/server -> pod/kube-system/kube-dns:53/UDP");
    }

    #[test]
    fn an_admin_policy_is_shown_between_pods_that_it_speaks_of() {
        let policy = "
apiVersion: policy.networking.k8s.io/v1alpha1
kind: AdminNetworkPolicy
metadata: {name: red}
spec:
  priority: 10
  subject: {namespaces: {matchLabels: {kubernetes.io/metadata.name: shop}}}
  ingress:
  - {action: Deny, from: [{namespaces: {matchLabels: {team: red}}}]}
";
        assert_eq!(proposed(policy), ["pod/red/client -> pod/shop/server:80"]);
    }

    #[test]
    fn no_pod_is_assumed_for_what_means_hosts_and_networks() {
        let text = "
apiVersion: projectcalico.org/v3
kind: HostEndpoint
metadata: {name: eth0, labels: {role: host}}
spec: {node: node1, interfaceName: eth0}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: hosts}
spec: {selector: role == 'host', types: [Ingress]}
---
apiVersion: projectcalico.org/v3
kind: GlobalNetworkPolicy
metadata: {name: node-ports}
spec: {selector: role == 'any', preDNAT: true, applyOnForward: true, types: [Ingress]}
";
        assert!(crate::read(text).cluster.pods.is_empty());
    }
}
