//! What was measured as a picture: a panel for each scenario, a bar for each side, and on it the least and the most.

use std::fmt::Write;

use crate::scenarios::Scenario;
use crate::summary::{Summary, title};

const WIDTH: f64 = 860.0;
const LABELS: f64 = 110.0;
const FIGURES: f64 = 90.0;
const BAR: f64 = 18.0;
const STEP: f64 = 26.0;
const HEAD: f64 = 54.0;
/// Characters of a line below the panels, and its height.
const CAPTION: usize = 130;
const LINE: f64 = 16.0;

/// An SVG of the headline of each scenario. It is readable on light and dark pages.
pub fn svg(scenarios: &[(&Scenario, Vec<Summary>)], caption: &str) -> String {
    let caption = wrapped(caption);
    let panels: f64 = scenarios.iter().map(|(_, summaries)| HEAD + STEP * summaries.len() as f64).sum();
    let height = 14.0 + panels + LINE * caption.len() as f64;
    let mut text = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"100%\" height=\"100%\" fill=\"#ffffff\"/>\n"
    );
    let mut top = 8.0;
    for (scenario, summaries) in scenarios {
        let (headline, more_is_better) = scenario.headline();
        let spread = |summary: &Summary| summary.figures.get(headline).copied();
        let most = summaries.iter().filter_map(spread).map(|spread| spread.max).fold(0.0, f64::max);
        let better = if more_is_better { "more is better" } else { "less is better" };
        let title = title(headline);
        let _ = writeln!(
            text,
            "<text x=\"10\" y=\"{}\" font-weight=\"bold\">{}: {title} ({better})</text>\n\
             <text x=\"10\" y=\"{}\" fill=\"#57606a\" font-size=\"12\">{}</text>",
            top + 16.0,
            escaped(scenario.name),
            top + 34.0,
            escaped(scenario.about)
        );
        top += HEAD - 8.0;
        for summary in summaries {
            let colour = if summary.side.starts_with("jetlag") { "#0969da" } else { "#afb8c1" };
            let _ = writeln!(
                text,
                "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}</text>",
                LABELS - 8.0,
                top + 14.0,
                escaped(summary.side)
            );
            if let Some(spread) = spread(summary) {
                let scale = |value: f64| value / most * (WIDTH - LABELS - FIGURES);
                let (from, to, middle) =
                    (LABELS + scale(spread.min), LABELS + scale(spread.max), top + BAR / 2.0);
                let digits = if spread.median < 100.0 { 1 } else { 0 };
                let _ = writeln!(
                    text,
                    "<rect x=\"{LABELS}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"{colour}\"/>\n\
                     <path d=\"M{from:.1} {middle}H{to:.1}M{from:.1} {}v8M{to:.1} {}v8\" stroke=\"#24292f\" fill=\"none\"/>\n\
                     <text x=\"{:.1}\" y=\"{}\">{:.digits$}</text>",
                    scale(spread.median),
                    middle - 4.0,
                    middle - 4.0,
                    to + 8.0,
                    top + 14.0,
                    spread.median
                );
            }
            top += STEP;
        }
        top += 8.0;
    }
    for line in caption {
        let (y, line) = (top + 12.0, escaped(&line));
        let _ = writeln!(text, "<text x=\"10\" y=\"{y}\" fill=\"#57606a\" font-size=\"11\">{line}</text>");
        top += LINE;
    }
    text.push_str("</svg>\n");
    text
}

/// In lines that fit, each ended by a comma.
fn wrapped(caption: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    for part in caption.split_inclusive(", ") {
        match lines.last_mut() {
            Some(line) if line.len() + part.len() <= CAPTION => line.push_str(part),
            _ => lines.push(part.to_owned()),
        }
    }
    lines
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
