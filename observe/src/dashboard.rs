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
    /// What it is about.
    pub of: Of,
    /// What it shows, row by row.
    pub rows: &'static [&'static [Panel]],
}

/// What is picked at the top of a dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Of {
    /// Nothing: it shows everything.
    Everything,
    /// A function; queries have it as `$function`.
    Function,
    /// An order, by its id or its trace id. No metric has either: its trace and its logs do, and the graphs show what it
    /// may be waiting for.
    Order,
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
        let head = if self.of == Of::Order { of_order().to_vec() } else { Vec::new() };
        // Graphs stand below what is taller or wider than they are.
        let first = head.len();
        let graphs = self.rows.iter().enumerate().flat_map(|(at, row)| panels(first + at, row));
        let panels: Vec<Value> = head.into_iter().chain(graphs).collect();
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
        let variables = match self.of {
            Of::Everything => vec![prometheus, traces],
            Of::Function => vec![prometheus, function, traces],
            Of::Order => {
                let loki = json!({"name": "loki", "label": "Loki", "type": "datasource", "query": "loki"});
                let text =
                    |name, label| json!({"name": name, "label": label, "type": "textbox", "query": ""});
                vec![text("order_id", "Order"), text("trace_id", "Trace id"), prometheus, loki, traces]
            }
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

/// Where an order is told of: its trace, and its logs.
fn of_order() -> [Value; 2] {
    // The span of an input has the aggregate's id as an attribute.
    let search = "${traces}/search?service=order&tags=%7B%22aggregate_id%22%3A%22${order_id}%22%7D";
    let text = format!(
        "- [The trace]({}) of the trace id above, which `jetlag trail ${{order_id}}` prints\n\
         - [The traces]({search}) of the order id\n\
         - `jetlag trail ${{order_id}} --context prod`: each step, what has it now, and what it waits for\n\
         - `jetlag dlq list --context prod`: whether it was given up, and why",
        "${traces}/trace/${trace_id}"
    );
    let at = |y: usize| json!({"x": 0, "y": y, "w": GRID_WIDTH, "h": PANEL_HEIGHT});
    // By whichever of the two is filled in.
    let lines =
        |name: &str| format!("{{service_name=~\".+\"}} | json | {name} = \"${{{name}}}\" | {name} != \"\"");
    let loki = json!({"type": "loki", "uid": "${loki}"});
    [
        json!({
            "id": 1001, "type": "text", "title": "Where it is", "gridPos": at(0),
            "options": {"mode": "markdown", "content": text},
        }),
        json!({
            "id": 1002, "type": "logs", "title": "What was logged of it", "gridPos": at(PANEL_HEIGHT),
            "description": "Where Loki has the lines of the functions. A failed attempt is one, a dead letter is one.",
            "datasource": loki, "options": {"showTime": true, "sortOrder": "Ascending", "enableLogDetails": true},
            "targets": [
                {"refId": "A", "expr": lines("order_id"), "datasource": loki},
                {"refId": "B", "expr": lines("trace_id"), "datasource": loki},
            ],
        }),
    ]
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
                // Buckets have exemplars: points of the graph that lead to a trace.
                let exemplar = query.contains("_seconds_bucket");
                json!({
                    "refId": id, "expr": query, "legendFormat": legend, "datasource": source(),
                    "exemplar": exemplar,
                })
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
