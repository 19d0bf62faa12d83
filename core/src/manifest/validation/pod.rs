//! `Pod` and pod templates (kubernetes `pkg/apis/core/validation`).

use super::{address, port, port_name, selector, word};
use crate::manifest::Object;
use crate::manifest::fault::Faults;
use crate::manifest::kubernetes::{Container, Pod, PodSpec, Workload};

pub(super) fn validate(faults: &mut Faults, pod: &Pod) {
    validate_spec(faults, "spec", &pod.spec);
    let status = &pod.status;
    let written = |ip: &&String| !ip.is_empty();
    if let Some(ip) = status.pod_ip.as_ref().filter(written) {
        address(faults, "status.podIP", ip);
    }
    if let Some(ip) = status.host_ip.as_ref().filter(written) {
        address(faults, "status.hostIP", ip);
    }
    for (index, entry) in status.pod_ips.iter().enumerate() {
        address(faults, &format!("status.podIPs[{index}].ip"), &entry.ip);
    }
    let phases = ["Failed", "Pending", "Running", "Succeeded", "Unknown"];
    word(faults, "status.phase", status.phase.as_ref().filter(written), &phases);
}

/// What a workload makes pods from.
pub(super) fn validate_template(faults: &mut Faults, object: &Object, workload: &Workload) {
    let path = workload.template_path;
    let labels = format!("{path}.metadata.labels");
    faults.tolerated(|faults| {
        selector::labels(faults, &object.node, &labels, &workload.template.metadata.labels);
    });
    validate_spec(faults, &format!("{path}.spec"), &workload.template.spec);
    if let Some(count) = workload.replicas.filter(|count| *count < 0) {
        let detail = "must be greater than or equal to 0";
        faults.invalid("spec.replicas", &count.to_string(), detail);
    }
}

fn validate_spec(faults: &mut Faults, path: &str, spec: &PodSpec) {
    containers(faults, &format!("{path}.containers"), &spec.containers);
    containers(faults, &format!("{path}.initContainers"), &spec.init_containers);
}

fn containers(faults: &mut Faults, list: &str, containers: &[Container]) {
    for (index, container) in containers.iter().enumerate() {
        for (number, entry) in container.ports.iter().enumerate() {
            let path = format!("{list}[{index}].ports[{number}]");
            if let Some(name) = entry.name.as_deref().filter(|name| !name.is_empty()) {
                faults.tolerated(|faults| port_name(faults, &format!("{path}.name"), name));
            }
            let container_port = format!("{path}.containerPort");
            if entry.container_port == 0 {
                faults.required(&container_port, "");
            } else {
                port(faults, &container_port, entry.container_port);
            }
            if let Some(number) = entry.host_port.filter(|number| *number != 0) {
                port(faults, &format!("{path}.hostPort"), number);
            }
            let protocols = ["SCTP", "TCP", "UDP"];
            word(faults, &format!("{path}.protocol"), entry.protocol.as_ref(), &protocols);
        }
    }
}
