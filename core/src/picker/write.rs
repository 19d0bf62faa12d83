//! What the text becomes when a control is used: the smallest change that makes it say so.

use serde_json::{Value, json};

use super::dial::{is_internal, service_of};
use super::{Dial, Picker, pickers};
use crate::cluster::{Cluster, EncapMode, ProxyMode};
use crate::manifest::{self, Kind, Object};
use crate::net::{Family, Flow, InFamily};
use crate::scenario::read;
use crate::text::{Edit, ObjectRef, edit};

/// The label by which Calico's documentation tells route reflectors from other nodes.
const REFLECTOR_LABEL: &str = "route-reflector";
/// The annotation that makes a node one.
const REFLECTOR_ANNOTATION: &str = "projectcalico.org/RouteReflectorClusterID";
/// Any address does; it only names the reflectors that belong together.
const REFLECTOR_CLUSTER: &str = "244.0.0.1";

/// The text with `dial` set to `choice`. Unchanged if that is in force already, and if there is
/// nothing to set, or no such choice.
pub fn pick(
    text: &str,
    cluster: &Cluster,
    flow: Option<&Flow>,
    dial: Dial,
    choice: &str,
) -> String {
    let in_force = |row: &Picker| {
        row.dial == dial && row.choices.iter().any(|it| it.chosen && it.value == choice)
    };
    if pickers(cluster, flow).iter().any(in_force) {
        return text.to_owned();
    }
    let mut writer = Writer { text: text.to_owned() };
    match dial {
        Dial::Calico => writer.calico(cluster, choice),
        Dial::KubeProxy => {
            let mode = ObjectRef::new("KubeProxyConfiguration", "", "");
            writer.set(&mode, &[("mode", json!(choice))], || {
                json!({
                    "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
                    "kind": "KubeProxyConfiguration",
                    // Installers set it, and Hopwise assumes it where there is no such document.
                    "clusterCIDR": pod_ranges(cluster),
                })
            });
        }
        Dial::TrafficPolicy => writer.traffic_policy(cluster, flow, choice),
    }
    // Where the choice would make no difference, or an object that cannot be read, nothing is written.
    let now = read(&writer.text);
    if pickers(&now.cluster, flow).iter().any(in_force) { writer.text } else { text.to_owned() }
}

/// The text with `flow` among the scenario's flows, under `name` if it is not empty.
pub fn keep(text: &str, flow: &Flow, name: &str) -> String {
    let (from, to) = (flow.from.to_string(), flow.to_string());
    let to = to.split_once(" -> ").map_or("", |(_, to)| to);
    let item = if name.is_empty() {
        json!({ "from": from, "to": to })
    } else {
        json!({ "name": name, "from": from, "to": to })
    };
    let mut writer = Writer { text: text.to_owned() };
    let scenario = manifest::read(text).objects.into_iter().find(is_scenario);
    let scenario = scenario.or_else(|| {
        writer.append(&serde_yaml::to_string(&new_scenario()).unwrap_or_default());
        manifest::read(&writer.text).objects.into_iter().find(is_scenario)
    });
    let edit =
        scenario.and_then(|scenario| edit::push(&writer.text, &scenario.node, "spec.flows", &item));
    writer.make(edit);
    writer.text
}

fn is_scenario(object: &Object) -> bool {
    matches!(object.kind, Kind::Scenario(_))
}

fn new_scenario() -> Value {
    json!({
        "apiVersion": "hopwise.dev/v1",
        "kind": "Scenario",
        "metadata": { "name": "scenario" },
    })
}

/// A text that is being changed, one field after the other.
struct Writer {
    text: String,
}

impl Writer {
    fn calico(&mut self, cluster: &Cluster, choice: &str) {
        let (ipip, vxlan) = match choice {
            "ipip" => ("Always", "Never"),
            "vxlan" => ("Never", "Always"),
            "mesh" | "reflectors" => ("Never", "Never"),
            "ebpf" => return self.bpf(true),
            _ => return,
        };
        if cluster.proxy.mode.value == ProxyMode::Ebpf {
            self.bpf(false);
        }
        for pool in cluster.network.pools.iter().filter(|pool| !pool.load_balancer_only) {
            // IPIP carries IPv4 only.
            let ipip = if pool.cidr.addr().is_ipv4() { ipip } else { "Never" };
            let differs =
                |mode: EncapMode, wanted| (mode == EncapMode::Never) != (wanted == "Never");
            let mut fields = Vec::new();
            if differs(pool.ipip.value, ipip) {
                fields.push(("spec.ipipMode", json!(ipip)));
            }
            if differs(pool.vxlan.value, vxlan) {
                fields.push(("spec.vxlanMode", json!(vxlan)));
            }
            // Calico refuses a pool that has both, so one goes before the other comes.
            fields.sort_by_key(|(_, mode)| *mode != "Never");
            self.set_assumed(cluster, &ObjectRef::new("IPPool", "", &pool.name), &fields);
        }
        match (choice, cluster.network.bgp.mesh.value) {
            ("mesh", false) => self.mesh(true),
            ("reflectors", true) => {
                self.mesh(false);
                self.reflect(cluster);
            }
            _ => {}
        }
    }

    fn bpf(&mut self, enabled: bool) {
        let felix = ObjectRef::new("FelixConfiguration", "", "default");
        self.set(&felix, &[("spec.bpfEnabled", json!(enabled))], || calico(&felix));
    }

    fn mesh(&mut self, enabled: bool) {
        let bgp = ObjectRef::new("BGPConfiguration", "", "default");
        self.set(&bgp, &[("spec.nodeToNodeMeshEnabled", json!(enabled))], || calico(&bgp));
    }

    /// Makes the first node a route reflector, and every node its peer.
    fn reflect(&mut self, cluster: &Cluster) {
        let objects = manifest::read(&self.text).objects;
        let has_reflector = objects.iter().any(|object| {
            matches!(object.kind, Kind::Node(_))
                && object.metadata.annotations.contains_key(REFLECTOR_ANNOTATION)
        });
        if let (false, Some(first)) = (has_reflector, cluster.nodes.first()) {
            // With one node written down, the others would no longer be assumed.
            for node in &cluster.nodes {
                self.set_assumed(cluster, &ObjectRef::new("Node", "", &node.name), &[]);
            }
            let first = ObjectRef::new("Node", "", &first.name);
            let annotation = format!("metadata.annotations[{REFLECTOR_ANNOTATION}]");
            let label = format!("metadata.labels[{REFLECTOR_LABEL}]");
            let fields =
                [(label.as_str(), json!("true")), (annotation.as_str(), json!(REFLECTOR_CLUSTER))];
            self.set_assumed(cluster, &first, &fields);
        }
        if !objects.iter().any(|object| matches!(object.kind, Kind::BgpPeer(_))) {
            let peer = ObjectRef::new("BGPPeer", "", "peer-with-route-reflectors");
            let fields = [
                ("spec.nodeSelector", json!("all()")),
                ("spec.peerSelector", json!(format!("{REFLECTOR_LABEL} == 'true'"))),
            ];
            self.set(&peer, &fields, || calico(&peer));
        }
    }

    fn traffic_policy(&mut self, cluster: &Cluster, flow: Option<&Flow>, choice: &str) {
        let Some(flow) = flow else { return };
        let Some(service) = service_of(cluster, &flow.to).and_then(|id| cluster.services.get(id.0))
        else {
            return;
        };
        let field = if is_internal(service, &flow.to) {
            "spec.internalTrafficPolicy"
        } else {
            "spec.externalTrafficPolicy"
        };
        self.set_assumed(cluster, &service.cite.object, &[(field, json!(choice))]);
    }

    /// Sets fields of an object that the text has, or that is assumed: then it is written first.
    fn set_assumed(&mut self, cluster: &Cluster, object: &ObjectRef, fields: &[(&str, Value)]) {
        let assumed = cluster.assumed.iter().find(|assumed| assumed.object == *object);
        if self.find(object).is_none() {
            let Some(assumed) = assumed else { return };
            self.append(&assumed.yaml);
        }
        self.set_fields(object, fields);
    }

    /// Sets fields of an object, which is written first if the text does not have it.
    fn set(&mut self, object: &ObjectRef, fields: &[(&str, Value)], new: impl Fn() -> Value) {
        if self.find(object).is_none() {
            self.append(&serde_yaml::to_string(&new()).unwrap_or_default());
        }
        self.set_fields(object, fields);
    }

    fn set_fields(&mut self, object: &ObjectRef, fields: &[(&str, Value)]) {
        for (path, value) in fields {
            if let Some(object) = self.find(object) {
                let edit = edit::set(&self.text, &object.node, path, value);
                self.make(edit);
            }
        }
    }

    fn find(&self, wanted: &ObjectRef) -> Option<Object> {
        let is_it = |object: &Object| {
            object.reference.kind == wanted.kind
                && object.reference.namespace == wanted.namespace
                // kube-proxy's configuration has no name.
                && (wanted.name.is_empty() || object.reference.name == wanted.name)
        };
        manifest::read(&self.text).objects.into_iter().find(is_it)
    }

    fn append(&mut self, document: &str) {
        self.make(Some(edit::append(&self.text, document)));
    }

    fn make(&mut self, edit: Option<Edit>) {
        if let Some(edit) = edit {
            self.text = edit::apply(&self.text, &[edit]);
        }
    }
}

/// A new object of Calico's API, without a spec.
fn calico(object: &ObjectRef) -> Value {
    json!({
        "apiVersion": "projectcalico.org/v3",
        "kind": object.kind,
        "metadata": { "name": object.name },
    })
}

/// The pools' ranges, as `clusterCIDR` takes them: one a family.
fn pod_ranges(cluster: &Cluster) -> String {
    let mut ranges: Vec<String> = Vec::new();
    for family in Family::ALL {
        let pool = cluster.network.pools.iter().find(|pool| pool.cidr.family() == family);
        ranges.extend(pool.map(|pool| pool.cidr.to_string()));
    }
    ranges.join(",")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::picker::{Picker, pickers};
    use crate::read;

    const TEXT: &str = "\
# the service
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec:
  type: NodePort
  externalTrafficPolicy: Cluster # as it was
  selector: {app: web}
  ports:
  - port: 80
    nodePort: 30080
";
    const POOL: &str = "\
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata:
  name: pool
spec:
  cidr: 10.1.0.0/16
  ipipMode: Always # tunnels
";

    fn flow(notation: &str) -> Flow {
        notation.parse().unwrap()
    }

    fn picked(text: &str, notation: &str, dial: Dial, choice: &str) -> String {
        pick(text, &read(text).cluster, Some(&flow(notation)), dial, choice)
    }

    fn shown(text: &str, notation: &str, dial: Dial) -> Picker {
        let rows = pickers(&read(text).cluster, Some(&flow(notation)));
        rows.into_iter().find(|row| row.dial == dial).unwrap()
    }

    const OUTSIDE: &str = "ip/192.0.2.1 -> nodePort/node1:30080";

    #[test]
    fn every_available_choice_is_in_force_once_it_is_chosen() {
        for start in [TEXT.to_owned(), format!("{TEXT}{POOL}"), String::new()] {
            for first in pickers(&read(&start).cluster, Some(&flow(OUTSIDE))) {
                for choice in &first.choices {
                    let once = picked(&start, OUTSIDE, first.dial, choice.value);
                    let row = shown(&once, OUTSIDE, first.dial);
                    let chosen = row.choices.iter().find(|it| it.chosen).map(|it| it.value);
                    assert_eq!(chosen, Some(choice.value), "{:?} in\n{once}", first.dial);
                    // Back again, by any of the others.
                    for other in &first.choices {
                        let twice = picked(&once, OUTSIDE, first.dial, other.value);
                        let row = shown(&twice, OUTSIDE, first.dial);
                        let chosen = row.choices.iter().find(|it| it.chosen).map(|it| it.value);
                        assert_eq!(chosen, Some(other.value), "{:?} in\n{twice}", first.dial);
                        assert!(read(&twice).problems.is_empty(), "{:?}", read(&twice).problems);
                    }
                }
            }
        }
    }

    #[test]
    fn a_choice_changes_only_its_own_field() {
        let text = format!("{TEXT}{POOL}");
        assert_eq!(
            picked(&text, OUTSIDE, Dial::TrafficPolicy, "Local"),
            text.replace("externalTrafficPolicy: Cluster #", "externalTrafficPolicy: Local #")
        );
        assert_eq!(
            picked(&text, OUTSIDE, Dial::Calico, "vxlan"),
            text.replace("ipipMode: Always #", "ipipMode: Never #") + "  vxlanMode: Always\n"
        );
    }

    #[test]
    fn flows_inside_the_cluster_have_the_internal_traffic_policy() {
        let inside = "node/node1 -> service/shop/web:80";
        assert_eq!(shown(TEXT, inside, Dial::TrafficPolicy).label, "internal traffic");
        let text = picked(TEXT, inside, Dial::TrafficPolicy, "Local");
        assert!(text.ends_with("nodePort: 30080\n  internalTrafficPolicy: Local\n"), "{text}");
    }

    #[test]
    fn a_choice_that_is_in_force_changes_nothing() {
        let text = format!("{TEXT}{POOL}");
        assert_eq!(picked(&text, OUTSIDE, Dial::Calico, "ipip"), text);
        assert_eq!(picked(&text, OUTSIDE, Dial::Calico, "none such"), text);
    }

    #[test]
    fn writing_an_assumed_object_keeps_the_others() {
        let before = read(TEXT).cluster;
        let after = read(&picked(TEXT, OUTSIDE, Dial::Calico, "reflectors")).cluster;
        let names = |cluster: &Cluster| -> Vec<String> {
            cluster.nodes.iter().map(|node| node.name.clone()).collect()
        };
        assert_eq!(names(&before), names(&after));
        assert!(!after.network.bgp.mesh.value && after.network.bgp.reflectors.len() == 1);
    }

    #[test]
    fn a_kept_flow_is_the_scenarios_last() {
        let asked = flow("pod/shop/web-1 -> nodePort/node1:30080");
        let text = keep(TEXT, &asked, "no");
        let flows = read(&text).scenario.flows;
        assert_eq!(flows.len(), 1);
        assert_eq!((flows[0].name.as_str(), &flows[0].flow), ("no", &asked));
        let udp = flow("node/node1 -> service/shop/web:80/UDP");
        let flows = read(&keep(&text, &udp, "")).scenario.flows;
        assert_eq!(flows.last().map(|it| it.flow.to_string()), Some(udp.to_string()));
        assert_eq!(flows.len(), 2);
    }
}
