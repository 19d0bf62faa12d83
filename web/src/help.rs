//! What a newcomer needs to know, on one page.

use yew::prelude::*;

use crate::dialog::Dialog;

/// Prints everything that Hopwise reads.
pub(crate) const EXPORT_COMMAND: &str = "kubectl get -A -o yaml networkpolicies,services,\
     endpointslices,pods,namespaces,nodes";
/// Prints Calico's part, where its API is served.
pub(crate) const EXPORT_CALICO: &str = "kubectl get -A -o yaml ippools.crd.projectcalico.org,bgpconfigurations.crd.projectcalico.org,\
     felixconfigurations.crd.projectcalico.org";

#[derive(Debug, PartialEq, Properties)]
pub(crate) struct HelpProps {
    pub(crate) onclose: Callback<()>,
}

#[component]
pub(crate) fn Help(props: &HelpProps) -> Html {
    html! {
        <Dialog title="How Hopwise works" onclose={props.onclose.clone()}>
            <p>
                { "Hopwise follows a connection through a Kubernetes cluster with Calico: every \
                   rewrite, every route, every policy, and the line of your YAML that decided." }
            </p>
            <h3>{ "Everything is the text" }</h3>
            <p>
                { "Paste a policy and a Service; that is enough to start. What the text does not \
                   contain is assumed, listed under the editor, and can be written into the text. \
                   The buttons for Calico mode, kube-proxy mode and traffic policy change the text \
                   too, so undo works for them, and what you end up with can be applied." }
            </p>
            <h3>{ "From your cluster" }</h3>
            <pre class="command" tabindex="0">{ EXPORT_COMMAND }</pre>
            <pre class="command" tabindex="0">{ EXPORT_CALICO }</pre>
            <p>
                { "Paste the output, or drop files onto the page. Nothing leaves your browser: \
                   there is no server, and a link keeps its scenario behind the #, which browsers \
                   do not send." }
            </p>
            <h3>{ "Flows" }</h3>
            <table class="forms">
                <thead><tr><th>{ "from" }</th><th>{ "to" }</th></tr></thead>
                <tbody>
                    <tr><td><code>{ "client/NAME" }</code></td><td><code>{ "service/NAMESPACE/NAME:PORT" }</code></td></tr>
                    <tr><td><code>{ "ip/ADDRESS" }</code></td><td><code>{ "nodePort/NODE:PORT" }</code></td></tr>
                    <tr><td><code>{ "pod/NAMESPACE/NAME" }</code></td><td><code>{ "loadBalancer/NAMESPACE/NAME:PORT" }</code></td></tr>
                    <tr><td><code>{ "node/NAME" }</code></td><td><code>{ "pod/NAMESPACE/NAME:PORT" }</code></td></tr>
                </tbody>
            </table>
            <h3>{ "Keys" }</h3>
            <dl class="keys">
                <dt><kbd>{ "←" }</kbd>{ " " }<kbd>{ "→" }</kbd></dt><dd>{ "in the diagram: from hop to hop" }</dd>
                <dt><kbd>{ "Esc" }</kbd>{ ", then " }<kbd>{ "Tab" }</kbd></dt><dd>{ "leave the editor" }</dd>
                <dt><kbd>{ "←" }</kbd>{ " " }<kbd>{ "→" }</kbd></dt><dd>{ "on the bar between the panes: move it" }</dd>
            </dl>
        </Dialog>
    }
}
