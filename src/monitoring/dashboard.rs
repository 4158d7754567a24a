//! The dashboard of a fleet, as Grafana imports it.

use serde_json::{Value, json};

use super::panels::{Form, Panel, ROWS};

/// Width of Grafana's grid.
const WIDTH: usize = 24;

/// The dashboard's JSON.
pub fn json() -> String {
    let mut panels = Vec::new();
    let mut y = 0;
    for row in ROWS {
        panels.push(json!({
            "type": "row", "title": row.title, "collapsed": false, "id": panels.len() + 1, "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }));
        y += 1;
        let height = row.panels.iter().map(|panel| panel.form.height()).max().unwrap_or(0);
        let width = WIDTH / row.panels.len();
        for (at, panel) in row.panels.iter().enumerate() {
            let place = json!({"x": at * width, "y": y, "w": width, "h": height});
            panels.push(drawn(panel, panels.len() + 1, place));
        }
        y += height;
    }
    let dashboard = json!({
        "uid": "seedcar-fleet",
        "title": "seedcar / fleet",
        "tags": ["seedcar"],
        "schemaVersion": 39,
        "version": 1,
        "editable": true,
        "refresh": "30s",
        "time": {"from": "now-6h", "to": "now"},
        "timezone": "utc",
        "templating": {"list": variables()},
        "annotations": {"list": []},
        "panels": panels,
    });
    format!("{dashboard:#}\n")
}

fn drawn(panel: &Panel, id: usize, place: Value) -> Value {
    let source = json!({"type": "prometheus", "uid": "${datasource}"});
    let targets: Vec<Value> = panel
        .queries
        .iter()
        .zip('A'..)
        .map(|((expr, legend), name)| {
            json!({"refId": name.to_string(), "datasource": source, "expr": expr, "legendFormat": legend})
        })
        .collect();
    json!({
        "id": id, "type": panel.form.word(), "title": panel.title, "gridPos": place,
        "datasource": source, "targets": targets,
        "fieldConfig": {"defaults": {"unit": panel.unit}, "overrides": []},
        "options": {},
    })
}

/// Each narrows the next; all of each is the default.
fn variables() -> Vec<Value> {
    let mut list = vec![json!({
        "name": "datasource", "type": "datasource", "query": "prometheus", "label": "Data source",
    })];
    let mut narrowed = String::new();
    for name in ["cluster", "namespace", "job", "pod"] {
        let query = format!("label_values(seedcar_build_info{{{narrowed}}}, {name})");
        list.push(json!({
            "name": name, "type": "query", "label": name, "refresh": 2, "multi": true,
            "includeAll": true, "allValue": ".*", "sort": 1,
            "datasource": {"type": "prometheus", "uid": "${datasource}"},
            "query": {"query": query, "refId": name}, "definition": query,
            "current": {"text": ["All"], "value": ["$__all"]},
        }));
        narrowed += &format!("{}{name}=~\"${name}\"", if narrowed.is_empty() { "" } else { ", " });
    }
    list
}

// === impl Form ===

impl Form {
    fn word(self) -> &'static str {
        match self {
            Self::Stat => "stat",
            Self::Lines => "timeseries",
            Self::States => "state-timeline",
        }
    }

    fn height(self) -> usize {
        match self {
            Self::Stat => 4,
            Self::Lines | Self::States => 8,
        }
    }
}
