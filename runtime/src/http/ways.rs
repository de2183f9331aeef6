//! The ways in that a function has of its own: endpoints, which make events of requests, and views, which tell of them.

use crate::Endpoint;
use crate::http::probes;
use crate::view::{VIEW_TYPES_MAX, View};

/// Every one of them, none with a path of another.
#[derive(Debug, Default)]
pub(crate) struct Ways {
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) views: Vec<View>,
}

impl Ways {
    /// What is wrong with their paths, each a sentence; empty if nothing is.
    pub(crate) fn faults(&self, trigger: bool) -> Vec<String> {
        let Self { endpoints, views } = self;
        let mut faults = Vec::new();
        let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
        let is_path = |path: &str| {
            let segments = path.strip_prefix('/').map(|rest| rest.split('/'));
            segments.is_some_and(|mut all| all.all(|one| !one.is_empty() && one.chars().all(is_plain)))
        };
        let form = |path: &str| {
            format!("the path {path:?} must be / or like /orders/new: letters, digits, -, _ and .")
        };
        for (at, endpoint) in endpoints.iter().enumerate() {
            let path = endpoint.path;
            if path != "/" && !is_path(path) {
                faults.push(form(path));
            }
            if probes::PATHS.contains(&path) || (trigger && path == "/") {
                faults.push(format!("the path {path:?} is answered by Jetlag itself"));
            }
            if endpoints.iter().take(at).any(|earlier| earlier.path == path) {
                faults.push(format!("the path {path:?} is there twice"));
            }
        }
        for (at, view) in views.iter().enumerate() {
            let path = view.path;
            if !is_path(path) {
                faults.push(form(path));
            }
            if views.iter().take(at).any(|earlier| earlier.path == path) {
                faults.push(format!("the view {path:?} is there twice"));
            }
            let types = view.kinds.len();
            if types > VIEW_TYPES_MAX {
                faults.push(format!(
                    "the view {path:?} reads {types} types of event; it may read {VIEW_TYPES_MAX}"
                ));
            }
            if view.kinds.iter().any(|kind| kind.name == "*.*") {
                faults.push(format!("the view {path:?} must name the types that it reads"));
            }
        }
        faults
    }
}
