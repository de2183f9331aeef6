//! The files of `knative/`: what is written, and committed; and the same for the chart, which is KEDA's and has both.

use std::collections::BTreeMap;
use std::path::PathBuf;

use jetlag::Description;
use keda::parts::{Document, Kustomization, Page, Patch, http_name, page, takes_requests};
use keda::{Deploy, Unwritable};

use crate::{eventing, service};

/// The files for `functions`, by their path in `knative/`. `base` is where from there the base of `keda/` is.
///
/// # Errors
/// An object cannot be written: a fault of this crate.
pub fn files(
    functions: &[Description],
    deploy: &Deploy,
    base: &str,
) -> Result<BTreeMap<PathBuf, String>, Unwritable> {
    let mut functions = functions.to_vec();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    let served: Vec<&Description> = functions.iter().filter(|function| takes_requests(function)).collect();
    let triggered: Vec<&Description> =
        functions.iter().filter(|function| eventing::is_triggered(function)).collect();

    let mut pages: Vec<(&str, String, Vec<Document>)> = Vec::new();
    for function in &served {
        pages.push(("serving", function.name.clone(), service::objects(function, deploy).into()));
    }
    for function in &triggered {
        pages.push(("eventing", function.name.clone(), eventing::triggers(function, deploy)));
    }
    pages.push(("eventing", "broker".into(), vec![eventing::broker(deploy)]));

    let of = |directory: &str| {
        let names =
            pages.iter().filter(|(of, ..)| *of == directory).map(|(_, name, _)| format!("{name}.yaml"));
        Kustomization::component(names)
    };
    let mut serving = of("serving");
    serving.patches = served
        .iter()
        .flat_map(|function| {
            let (name, http) = (&function.name, http_name(&function.name));
            [
                ("apps/v1", "Deployment", &http),
                ("policy/v1", "PodDisruptionBudget", &http),
                ("v1", "Service", name),
            ]
            .map(|(api, kind, name)| Patch::delete(api, kind, name, &deploy.namespace))
        })
        .collect();
    let mut whole = Kustomization::of(std::iter::once(base.to_owned()));
    whole.components = vec!["../serving".to_owned()];
    let serving = Document::of(&serving).because(
        "resources",
        "For clusters with Knative Serving: what takes requests is scaled by them. In an overlay of your own: `components: [../../knative/serving]`.",
    );
    let serving = if served.is_empty() {
        serving
    } else {
        serving.because("patches", "In place of what serves them without Knative.")
    };
    let kustomizations = [
        ("serving", serving),
        (
            "eventing",
            Document::of(&of("eventing")).because(
                "resources",
                "For clusters with Knative Eventing, beside `serving`: events that others send as CloudEvents come to functions whose contract says trigger(http) or trigger(both).",
            ),
        ),
        (
            "base",
            Document::of(&whole).because(
                "components",
                "KEDA scales what comes from the streams, Knative what comes as requests. With events by its broker: `components: [../knative/eventing]` in an overlay over this one.",
            ),
        ),
    ];
    let documents = pages.iter().flat_map(|(_, _, documents)| documents);
    let of_kustomizations = kustomizations.iter().map(|(_, document)| document);
    let faults: Vec<String> =
        documents.chain(of_kustomizations).flat_map(Document::faults).cloned().collect();
    if !faults.is_empty() {
        return Err(Unwritable { faults });
    }
    let mut files = BTreeMap::new();
    for (directory, name, documents) in &pages {
        files.insert(PathBuf::from(directory).join(format!("{name}.yaml")), page(documents));
    }
    for (directory, document) in kustomizations {
        files.insert(PathBuf::from(directory).join("kustomization.yaml"), page(&[document]));
    }
    Ok(files)
}

/// The same for the chart, each part under a condition of its values.
pub fn chart(functions: &[Description], deploy: &Deploy) -> Vec<Page> {
    let mut functions: Vec<&Description> = functions.iter().collect();
    functions.sort_by(|one, other| one.name.cmp(&other.name));
    let served = functions.iter().filter(|function| takes_requests(function));
    let triggered = functions.iter().filter(|function| eventing::is_triggered(function));
    let triggers = triggered.flat_map(|function| eventing::triggers(function, deploy));
    [
        Page {
            name: "knative-serving".into(),
            condition: ".Values.knative.serving",
            documents: served.flat_map(|function| service::objects(function, deploy)).collect(),
        },
        Page {
            name: "knative-eventing".into(),
            condition: ".Values.knative.eventing",
            documents: std::iter::once(eventing::broker(deploy)).chain(triggers).collect(),
        },
    ]
    .into()
}
