//! The same objects as a Helm chart: with the values that it comes with, it renders what `kubectl kustomize` does.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use jetlag::Description;
use serde::Serialize;

use crate::contracts::Contracts;
use crate::deploy::Deploy;
use crate::document::{Document, literal};
use crate::environment::{CHECKSUM_CHARS, Environment};
use crate::names;
use crate::parts::Page;
use crate::values::Values;

/// Chart.yaml.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Chart {
    api_version: &'static str,
    name: &'static str,
    description: &'static str,
    r#type: &'static str,
    version: &'static str,
    app_version: String,
}

/// The chart's own version.
const VERSION: &str = env!("CARGO_PKG_VERSION");

const NOTES: &str = "\
What the chart does not bring:
- the label pod-security.kubernetes.io/enforce=restricted of the namespace {{ .Release.Namespace }}
- a Secret for each function, under its name, and for jetlag-provision, jetlag-rescue and jetlag-metrics

Streams and consumers are made by a Job; until it is done, nothing is scaled:
  kubectl -n {{ .Release.Namespace }} wait --for=condition=complete job -l app.kubernetes.io/name=jetlag-provision
";

/// The files of the chart, of the pages of the base.
pub(crate) fn files<'a>(
    functions: &[Description],
    deploy: &Deploy,
    pages: impl Iterator<Item = (&'a String, &'a Vec<Document>)>,
    more: &[Page],
    header: &str,
) -> BTreeMap<PathBuf, String> {
    let root = PathBuf::from("chart");
    let templates = root.join("templates");
    let values = Values::of(functions, deploy);
    let chart = Chart {
        api_version: "v2",
        name: "jetlag",
        description: "Functions on NATS JetStream, scaled by KEDA and by Knative.",
        r#type: "application",
        version: VERSION,
        app_version: deploy.images.tag.clone(),
    };
    let mut files = BTreeMap::from([
        (root.join("Chart.yaml"), format!("{header}{}", Document::of(&chart).text())),
        (root.join("values.yaml"), format!("{header}{}", reasons(Document::of(&values)).text())),
        (root.join("values.schema.json"), pretty(&values.schema())),
        (templates.join("NOTES.txt"), NOTES.to_owned()),
        (templates.join("_helpers.tpl"), helpers(functions, deploy)),
    ]);
    for (name, documents) in pages {
        let text: Vec<String> = documents.iter().map(Document::template).collect();
        files.insert(templates.join(format!("{name}.yaml")), format!("{header}{}", text.join("---\n")));
    }
    for Page { name, condition, documents } in more {
        let text: Vec<String> = documents.iter().map(Document::template).collect();
        let text = format!("{header}{{{{- if {condition} }}}}\n{}{{{{- end }}}}\n", text.join("---\n"));
        files.insert(templates.join(format!("{name}.yaml")), text);
    }
    files
}

fn reasons(values: Document) -> Document {
    values
        .because(
            "images/prefix",
            "An image is <prefix><function>:<tag>, and <prefix>jetlag:<tag> for the command line.",
        )
        .because("broker/url", "Where this is another, `egress` must be too.")
        .because(
            "streams/replicas",
            "How streams are made where they are not there yet: 3 copies where there are three servers.",
        )
        .because("egress", "What every pod may connect to: DNS and the broker. Rules of a NetworkPolicy.")
        .because("rescue/schedule", "At least every eighth of the horizon.")
        .because(
            "metrics/verify_audit",
            "How often the audit trail is read from end to end; JetlagAuditNotVerified fires after 26 h without.",
        )
        .because("metrics/egress", "Where `broker.monitoring` is another, this must be too.")
        .because(
            "knative/serving",
            "Where Knative Serving is: what takes requests is scaled by them, in place of a Deployment that always runs.",
        )
        .because("knative/eventing", "Where Knative Eventing is: a broker, and a trigger for each type of input.")
        .because(
            "functions",
            "What each is told (env), what else it may connect to (egress), and how it is scaled.",
        )
}

/// What templates share: the file of contracts, and the content of each function's ConfigMap.
fn helpers(functions: &[Description], deploy: &Deploy) -> String {
    let mut text = format!(
        "{{{{- define \"jetlag.contracts\" -}}}}\n{}\n{{{{- end -}}}}\n",
        Contracts::of(functions, &deploy.streams).to_template()
    );
    let _ = writeln!(
        text,
        "{{{{- define \"jetlag.hash\" -}}}}\n{{{{ printf \"%s%s:%s\\n%s\" .Values.images.prefix {command:?} .Values.images.tag \
         (include \"jetlag.contracts\" .) | sha256sum | trunc 8 }}}}\n{{{{- end -}}}}",
        command = names::COMMAND
    );
    for function in functions {
        let _ = writeln!(text, "{{{{- define \"{}\" -}}}}", config(&function.name));
        for (name, value) in Environment::of(function, deploy).given() {
            let value = if name == "NATS_URL" {
                "{{ .Values.broker.url | quote }}".to_owned()
            } else {
                literal(&format!("{value:?}"))
            };
            let _ = writeln!(text, "{name}: {value}");
        }
        let _ = writeln!(
            text,
            "{{{{- range $name, $value := {} }}}}\n{{{{ $name }}}}: {{{{ $value | quote }}}}\n{{{{- end }}}}\n{{{{- end -}}}}",
            crate::values::of_function(&function.name, "env")
        );
    }
    text
}

/// The name of the template that has the content of the ConfigMap of `function`.
pub(crate) fn config(function: &str) -> String {
    format!("jetlag.config.{function}")
}

/// A checksum of that content, as an expression.
pub(crate) fn checksum(function: &str) -> String {
    format!(
        "include {:?} . | fromYaml | toJson | sha256sum | trunc {CHECKSUM_CHARS} | quote",
        config(function)
    )
}

fn pretty(value: &serde_json::Value) -> String {
    serde_json::to_string_pretty(value).unwrap_or_default() + "\n"
}
