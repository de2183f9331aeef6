//! A dashboard of Grafana.

use serde_json::{Value, json};

/// A dashboard.
#[derive(Debug, Clone, Copy)]
pub struct Dashboard {
    /// Its file in the repository.
    pub path: &'static str,
    /// Its id in Grafana.
    pub uid: &'static str,
    /// Its title.
    pub title: &'static str,
    /// Whether a function is picked at its top; queries have it as `$function`.
    pub of_function: bool,
    /// What it shows, row by row.
    pub rows: &'static [&'static [Panel]],
}

/// A graph.
#[derive(Debug, Clone, Copy)]
pub struct Panel {
    /// Its title.
    pub title: &'static str,
    /// Grafana's word for the unit.
    pub unit: &'static str,
    /// What it tells, in a sentence or two.
    pub about: &'static str,
    /// Queries, and what their lines are called.
    pub queries: &'static [(&'static str, &'static str)],
}

/// The width of Grafana's grid.
const GRID_WIDTH: usize = 24;
/// The height of a graph in it.
const PANEL_HEIGHT: usize = 8;

impl Dashboard {
    /// Every query, with `function` where one is picked.
    pub fn queries(&self, function: &str) -> Vec<String> {
        let panels = self.rows.iter().flat_map(|row| row.iter());
        let queries = panels.flat_map(|panel| panel.queries.iter());
        queries.map(|(query, _)| query.replace("$function", function)).collect()
    }

    /// As Grafana reads it.
    pub(crate) fn json(&self) -> Result<String, serde_json::Error> {
        let panels: Vec<Value> = self.rows.iter().enumerate().flat_map(|(at, row)| panels(at, row)).collect();
        let function = json!({
            "name": "function", "label": "Function", "type": "query", "refresh": 2, "sort": 1,
            "datasource": source(),
            "query": {"query": "label_values(jetlag_lag, function)", "refId": "function"},
        });
        let prometheus =
            json!({"name": "prometheus", "label": "Prometheus", "type": "datasource", "query": "prometheus"});
        let traces = json!({
            "name": "traces", "label": "Jaeger", "type": "textbox", "query": "http://127.0.0.1:16686",
        });
        let variables = match self.of_function {
            true => vec![prometheus, function, traces],
            false => vec![prometheus, traces],
        };
        let links = [
            json!({"title": "Jetlag", "type": "dashboards", "tags": ["jetlag"], "keepTime": true, "asDropdown": false}),
            json!({"title": "Traces", "type": "link", "url": "${traces}/search", "targetBlank": true}),
        ];
        let dashboard = json!({
            "uid": self.uid, "title": self.title, "tags": ["jetlag"], "schemaVersion": 39, "editable": true,
            "timezone": "utc", "refresh": "30s", "time": {"from": "now-1h", "to": "now"},
            "description": crate::HEADER,
            "templating": {"list": variables}, "links": links, "panels": panels,
        });
        Ok(serde_json::to_string_pretty(&dashboard)? + "\n")
    }
}

fn source() -> Value {
    json!({"type": "prometheus", "uid": "${prometheus}"})
}

fn panels(row: usize, panels: &[Panel]) -> Vec<Value> {
    let width = GRID_WIDTH.checked_div(panels.len()).unwrap_or(GRID_WIDTH);
    let panel = |(at, panel): (usize, &Panel)| {
        let refs = ["A", "B", "C", "D", "E"];
        let targets: Vec<Value> = panel
            .queries
            .iter()
            .zip(refs)
            .map(|((query, legend), id)| {
                json!({"refId": id, "expr": query, "legendFormat": legend, "datasource": source()})
            })
            .collect();
        json!({
            "id": row * 10 + at + 1, "type": "timeseries", "title": panel.title, "description": panel.about,
            "datasource": source(),
            "gridPos": {"x": at * width, "y": row * PANEL_HEIGHT, "w": width, "h": PANEL_HEIGHT},
            "fieldConfig": {"defaults": {"unit": panel.unit, "min": 0}, "overrides": []},
            "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
            "targets": targets,
        })
    };
    panels.iter().enumerate().map(panel).collect()
}
