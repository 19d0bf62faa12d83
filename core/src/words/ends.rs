//! Why a flow cannot be asked.

use std::net::IpAddr;

use super::names;
use super::phrase::{Part, Phrase, code, joined, name, object, phrase, pod, service};
use crate::cluster::{Cluster, Holder, PodId, ServiceId, Side, Unresolved};
use crate::net::{Family, InFamily, Party};
use crate::text::{Cite, ObjectRef};

/// What is not there, or has not what is asked of it, and what to write instead where that is known.
pub fn unresolved(cluster: &Cluster, why: &Unresolved) -> Phrase {
    let service = |id: ServiceId| service_called(cluster, id);
    match why {
        Unresolved::NoClient { name } => phrase![
            "no client is called ",
            code(name),
            ": name it in the Scenario's spec.clients, or write ip/ADDRESS"
        ],
        Unresolved::NoPod { namespace, name, near } => {
            let mut says = phrase![format!("there is no pod {namespace}/{name}")];
            if let Some(near) = near {
                says.add(phrase!["; did you mean ", pod(cluster, *near), "?"]);
            }
            says
        }
        Unresolved::NoWorkload { kind, namespace, name } => {
            format!("there is no {kind} {namespace}/{name}, or it has no pods").into()
        }
        Unresolved::Finished { pod, side } => {
            let so = match side {
                Side::From => "it sends nothing",
                Side::To => "nobody answers",
            };
            phrase![pod_called(cluster, *pod), " has finished: ", so]
        }
        Unresolved::NoNode { name: asked } => {
            let nodes = cluster.nodes.iter().take(5).map(|node| name(&node.name));
            phrase!["there is no node ", code(asked), "; nodes are ", joined(nodes, ", ")]
        }
        Unresolved::NoHostEndpoint { name } => {
            phrase!["there is no host endpoint ", code(name)]
        }
        Unresolved::OnlyPoliciesKnow { endpoint, side } => {
            let endpoint = names::host_endpoint(cluster, *endpoint);
            let instead = match side {
                Side::From => "node/NAME",
                Side::To => "node/NAME:PORT",
            };
            phrase![
                name(&format!("hostEndpoint/{endpoint}")),
                " is known to policies only: name the node instead, as ",
                instead
            ]
        }
        Unresolved::NoService { namespace, name } => {
            format!("there is no Service {namespace}/{name}").into()
        }
        Unresolved::OnlyAName { service: id } => {
            let dns = cluster.service(*id).and_then(|it| it.external_name.as_deref());
            phrase![
                service(*id),
                " is only a name in DNS for ",
                name(dns.unwrap_or_default()),
                ": kube-proxy does nothing for it; ask for that address instead"
            ]
        }
        Unresolved::NoPort { service: id, port, protocol } => {
            let ports = cluster.service(*id).into_iter().flat_map(|it| &it.ports);
            let known: Vec<String> =
                ports.map(|known| format!("{}/{}", known.port, known.protocol)).collect();
            let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
            phrase![service(*id), format!(" has no port {port}/{protocol}; it has {known}")]
        }
        Unresolved::NoContainerPort { pod, name, protocol } => {
            let what = format!(" has no {protocol} port called ");
            phrase![pod_called(cluster, *pod), what, code(name)]
        }
        Unresolved::NoNodePort { service: id } => phrase![service(*id), " has no node port"],
        Unresolved::NoBalancer { name } => phrase![
            "no balancer is called ",
            code(name),
            ": name it in the Scenario's spec.loadBalancers"
        ],
        Unresolved::NoLoadBalancerIp { service: id } => phrase![
            service(*id),
            " has no load balancer IP in status.loadBalancer.ingress: name a balancer of the scenario with ",
            code("@BALANCER")
        ],
        Unresolved::HeadlessWithoutEndpoints { service: id } => phrase![
            service(*id),
            " is headless and has no ready endpoints: DNS has no address for it"
        ],
        Unresolved::NoAddress { of } => phrase![holder(cluster, *of), " has no address"],
        Unresolved::OtherFamily { of, has } => {
            let (has, not) = families(*has);
            let only = format!(" has only {has} addresses, and the sender only {not}");
            phrase![holder(cluster, *of), only]
        }
        Unresolved::SenderOfOtherFamily { from, to } => {
            let (needs, has) = families(*to);
            let only = format!(" has only {has} addresses, but ");
            phrase![party(from), only, *to, format!(" needs {needs}")]
        }
    }
}

/// The address's family, and the other one.
fn families(of: IpAddr) -> (Family, Family) {
    (of.family(), of.family().other())
}

fn party(party: &Party) -> Part {
    match party {
        Party::Pod(namespace, name) => Part::Pod(ObjectRef::new("Pod", namespace, name)),
        other => name(&other.to_string()),
    }
}

fn holder(cluster: &Cluster, of: Holder) -> Phrase {
    match of {
        Holder::Pod(pod) => pod_called(cluster, pod),
        Holder::Node(node) => name(names::node(cluster, node)).into(),
        Holder::HostEndpoint(id) => {
            let host = cluster.host_endpoint(id);
            host.map_or_else(Phrase::default, |it| object(&it.object).into())
        }
        Holder::Service(service) => service_called(cluster, service),
        Holder::LoadBalancer(_) => "the load balancer".into(),
        Holder::Address => "it".into(),
    }
}

/// `pod NAMESPACE/NAME`.
fn pod_called(cluster: &Cluster, pod: PodId) -> Phrase {
    cluster.pod(pod).map_or_else(Phrase::default, |pod| {
        let object = ObjectRef::new("Pod", &pod.namespace, &pod.name);
        phrase!["pod ", Part::ObjectName(Cite { object, field: String::new(), span: None })]
    })
}

fn service_called(cluster: &Cluster, id: ServiceId) -> Phrase {
    cluster.service(id).map_or_else(Phrase::default, |it| service(it).into())
}
