//! Where pods run and which addresses they have, as far as nothing tells.

use std::collections::HashMap;
use std::net::IpAddr;

use ipnet::IpNet;

use super::address::Addresses;
use super::nodes;
use crate::cluster::pods::Draft;
use crate::cluster::{Cluster, NodeId};
use crate::net::{Family, InFamily};

/// Gives pods their nodes, nodes their blocks and tunnels, and pods their addresses.
pub(crate) fn place(cluster: &mut Cluster, drafts: Vec<Draft>) {
    let by_name: HashMap<String, usize> =
        cluster.nodes.iter().enumerate().map(|(index, node)| (node.name.clone(), index)).collect();
    let by_ip: HashMap<IpAddr, usize> = cluster
        .nodes
        .iter()
        .enumerate()
        .flat_map(|(index, node)| node.addresses.iter().map(move |own| (own.addr(), index)))
        .collect();
    let count = cluster.nodes.len().max(1);
    let mut placed: Vec<(usize, Draft)> = Vec::with_capacity(drafts.len());
    let (mut serving, mut others) = (0, 0);
    for draft in drafts {
        let named = draft.node.as_ref().and_then(|name| by_name.get(name)).copied();
        let of_host = draft
            .pod
            .addresses
            .first()
            .filter(|_| draft.pod.host_network)
            .and_then(|ip| by_ip.get(ip))
            .copied();
        // Pods that serve start on the second node, so that the first is one without an endpoint.
        let at = named.or(of_host).unwrap_or_else(|| {
            let serves = !draft.pod.ports.is_empty();
            let next = if serves { &mut serving } else { &mut others };
            let index = *next + usize::from(serves);
            *next += 1;
            index % count
        });
        placed.push((at, draft));
    }
    let mut addresses = Addresses::default();
    let known: Vec<(usize, IpAddr)> = placed
        .iter()
        .filter(|(_, draft)| !draft.pod.host_network && !draft.pod.finished)
        .flat_map(|(at, draft)| draft.pod.addresses.iter().map(|ip| (*at, *ip)))
        .collect();
    nodes::give_blocks(&mut cluster.nodes, &cluster.network, &known, &mut addresses);
    nodes::give_tunnels(&mut cluster.nodes, &cluster.network, &mut addresses);
    for (at, mut draft) in placed {
        draft.pod.node = NodeId(at);
        let Some(node) = cluster.nodes.get_mut(at) else { continue };
        if draft.pod.host_network {
            draft.pod.addresses = node.addresses.iter().map(IpNet::addr).collect();
        } else if draft.pod.addresses.is_empty() && !draft.pod.finished {
            let families = Family::ALL
                .into_iter()
                .filter(|family| cluster.network.pools.iter().any(|p| p.cidr.family() == *family));
            for family in families {
                draft.pod.addresses.extend(addresses.pod(node, &cluster.network.pools, family));
            }
        }
        cluster.pods.push(draft.pod);
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use crate::cluster::Cluster;
    use crate::read;
    use crate::text::Origin;

    const NODES: &str = "
{apiVersion: v1, kind: Node, metadata: {name: node1, annotations: {projectcalico.org/IPv4Address: 192.168.1.11/24}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node2, annotations: {projectcalico.org/IPv4Address: 192.168.1.12/24}}}
---
{apiVersion: v1, kind: Node, metadata: {name: node3, annotations: {projectcalico.org/IPv4Address: 192.168.1.13/24}}}
---
apiVersion: projectcalico.org/v3
kind: IPPool
metadata: {name: pool}
spec: {cidr: 10.244.0.0/16, blockSize: 26, ipipMode: Always}
";

    /// A cluster of pods, each with a name and with what stands in its `spec` and its `status`.
    fn cluster(nodes: &str, pods: &[(&str, &str, &str)]) -> Cluster {
        let mut text = nodes.to_owned();
        for (name, spec, status) in pods {
            let _ = write!(
                text,
                "---
apiVersion: v1
kind: Pod
metadata: {{name: {name}, namespace: app}}
spec: {{{spec}}}
status: {{{status}}}
"
            );
        }
        let reading = read(&text);
        assert!(reading.problems.is_empty(), "{:?}", reading.problems);
        reading.cluster
    }

    /// Where each of the text's pods is, and which addresses it has.
    fn placed(cluster: &Cluster) -> Vec<String> {
        let written = cluster.pods.iter().filter(|pod| matches!(pod.origin, Origin::Written(_)));
        let pods = written.map(|pod| {
            let node = &cluster.node(pod.node).unwrap().name;
            let own: Vec<String> = pod.addresses.iter().map(ToString::to_string).collect();
            format!("{} on {node}: {}", pod.name, own.join(" "))
        });
        pods.collect()
    }

    const SERVES: &str = "containers: [{name: main, ports: [{containerPort: 80}]}]";
    const ASKS: &str = "containers: [{name: main}]";

    #[test]
    fn pods_are_spread_those_that_serve_from_the_second_node_on() {
        let pods = [
            ("asks1", ASKS, ""),
            ("serves1", SERVES, ""),
            ("asks2", ASKS, ""),
            ("serves2", SERVES, ""),
            ("serves3", SERVES, ""),
            ("named", &format!("nodeName: node3, {SERVES}"), ""),
            ("asks3", ASKS, ""),
        ];
        assert_eq!(
            placed(&cluster(NODES, &pods)),
            [
                "asks1 on node1: 10.244.0.32",
                "serves1 on node2: 10.244.0.96",
                "asks2 on node2: 10.244.0.97",
                "serves2 on node3: 10.244.0.160",
                "serves3 on node1: 10.244.0.33",
                "named on node3: 10.244.0.161",
                "asks3 on node3: 10.244.0.162",
            ]
        );
    }

    #[test]
    fn processes_of_a_node_have_its_addresses() {
        let host = "hostNetwork: true, containers: [{name: main}]";
        let pods = [
            ("found", host, "podIP: 192.168.1.13"),
            ("named", &format!("nodeName: node2, {host}"), ""),
        ];
        assert_eq!(
            placed(&cluster(NODES, &pods)),
            ["found on node3: 192.168.1.13", "named on node2: 192.168.1.12"]
        );
    }

    #[test]
    fn what_the_text_tells_is_kept_and_given_to_nobody_else() {
        let on = format!("nodeName: node1, {ASKS}");
        let pods = [
            ("told", on.as_str(), "podIP: 10.244.0.32"),
            ("gone", &on, "phase: Succeeded, podIP: 10.244.0.33"),
            ("done", &on, "phase: Failed"),
            ("asks", &on, ""),
        ];
        assert_eq!(
            placed(&cluster(NODES, &pods)),
            [
                "told on node1: 10.244.0.32",
                "gone on node1: 10.244.0.33",
                "done on node1: ",
                // What has finished has given its address back.
                "asks on node1: 10.244.0.33",
            ]
        );
    }

    #[test]
    fn pods_have_an_address_of_each_family_that_has_a_pool() {
        let both = format!(
            "{}---\napiVersion: projectcalico.org/v3\nkind: IPPool\nmetadata: {{name: six}}\nspec: {{cidr: 'fd00:244::/64', blockSize: 122}}\n",
            NODES.replace("11/24}", "11/24, projectcalico.org/IPv6Address: 'fd00::11/64'}")
        );
        assert_eq!(
            placed(&cluster(&both, &[("asks", ASKS, "")])),
            ["asks on node1: 10.244.0.32 fd00:244::20"]
        );
    }

    #[test]
    fn a_block_is_its_tunnels_node_else_that_of_the_first_pod_in_it() {
        let tunnel = "12/24, projectcalico.org/IPv4IPIPTunnelAddr: 10.244.8.0}";
        let nodes = NODES.replace("12/24}", tunnel);
        let pods = [
            ("first", &*format!("nodeName: node3, {ASKS}"), "podIP: 10.244.5.5"),
            ("borrows", &format!("nodeName: node1, {ASKS}"), "podIP: 10.244.5.6"),
            ("guest", &format!("nodeName: node3, {ASKS}"), "podIP: 10.244.8.9"),
        ];
        let cluster = cluster(&nodes, &pods);
        let blocks = cluster.nodes.iter().map(|node| {
            let own: Vec<String> = node.network.blocks.iter().map(ToString::to_string).collect();
            let tunnel = node.network.ipip.as_ref().unwrap().value;
            format!("{}: {} tunl0 {tunnel}", node.name, own.join(" "))
        });
        assert_eq!(
            blocks.collect::<Vec<_>>(),
            [
                // A free one, and each tunnel has the first free address of its node's block.
                "node1: 10.244.0.0/26 tunl0 10.244.0.0",
                "node2: 10.244.8.0/26 tunl0 10.244.8.0",
                "node3: 10.244.5.0/26 tunl0 10.244.5.0",
            ]
        );
    }
}
