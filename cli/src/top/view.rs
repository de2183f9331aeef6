//! How it is drawn.

use jetlag::rfc3339;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Text};
use ratatui::widgets::{Cell, Paragraph, Row as Cells, Table};
use time::OffsetDateTime;

use super::{Bound, Order, Row, Top};
use crate::status::{Severity, grouped, span};

/// What stands above the columns, how wide they are, and what they are sorted by.
const COLUMNS: [(&str, u16, Option<Order>); 12] = [
    ("FUNCTION", 16, Some(Order::Name)),
    ("RATE/s", 9, Some(Order::Rate)),
    ("", 20, None),
    ("LAG", 9, Some(Order::Lag)),
    ("FLIGHT", 7, None),
    ("RETRIES", 8, Some(Order::Retries)),
    ("NEXT", 8, None),
    ("DEAD", 6, Some(Order::Dead)),
    ("RUNNING", 7, None),
    ("P50", 8, None),
    ("P99", 8, None),
    ("BREAKER", 14, None),
];
/// The little graph, from the least to the most.
const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// How many lines findings take at most, and at least: those that have no room are counted.
const FINDING_LINES: (u16, u16) = (2, 7);
/// What else is there: the title, the head of the table, the keys.
const OTHER_LINES: u16 = 4;
const KEYS: &str = "q quit   s sort   p pause";

/// Draws `top`. Without `colour`, what is wrong is only bold.
pub fn draw(top: &Top, colour: bool, frame: &mut Frame<'_>) {
    let rows = u16::try_from(top.rows.len()).unwrap_or(u16::MAX);
    let room = frame.area().height.saturating_sub(OTHER_LINES.saturating_add(rows));
    let findings = findings(top, colour, room.clamp(FINDING_LINES.0, FINDING_LINES.1).into());
    let height = u16::try_from(findings.len()).unwrap_or(u16::MAX);
    let parts =
        [Constraint::Length(2), Constraint::Min(2), Constraint::Length(height), Constraint::Length(1)];
    let [head, table, below, keys] = Layout::vertical(parts).areas(frame.area());
    frame.render_widget(Paragraph::new(title(top, colour)), head);
    frame.render_widget(functions(top, colour), table);
    frame.render_widget(Paragraph::new(findings), below);
    let keys_text = Line::styled(KEYS, Style::new().add_modifier(Modifier::DIM));
    frame.render_widget(Paragraph::new(keys_text), keys);
}

fn bad(colour: bool) -> Style {
    let style = Style::new().add_modifier(Modifier::BOLD);
    if colour { style.fg(Color::Red) } else { style }
}

fn title(top: &Top, colour: bool) -> Text<'static> {
    let when = top.at.map_or("looking".to_owned(), |at| rfc3339(seconds(at)));
    let pause = if top.is_paused { ", paused" } else { "" };
    let every = format!("every {} ms", top.interval.as_millis());
    let first = Line::from(format!(
        "jetlag top  {}  {when}  {every}, sorted by {}{pause}",
        top.broker,
        top.order.name()
    ));
    let second = match &top.problem {
        Some(why) => Line::styled(format!("no figures: {why}"), bad(colour)),
        None if top.at.is_some() && top.rows.is_empty() => Line::from("no function has a consumer here"),
        None => Line::default(),
    };
    Text::from(vec![first, second])
}

fn seconds(at: OffsetDateTime) -> OffsetDateTime {
    at.replace_nanosecond(0).unwrap_or(at)
}

fn functions(top: &Top, colour: bool) -> Table<'static> {
    let head = COLUMNS.map(|(name, _, order)| {
        let is_sorted = order == Some(top.order);
        let style = if is_sorted { Modifier::BOLD | Modifier::UNDERLINED } else { Modifier::BOLD };
        Cell::from(Text::from(name).alignment(side(name))).style(Style::new().add_modifier(style))
    });
    let most = top.rows.iter().flat_map(|row| &row.history).max().copied().unwrap_or_default();
    let rows = top.rows.iter().map(|row| {
        let broken = row.function.is_broken();
        let texts = texts(row, top.at.unwrap_or(OffsetDateTime::UNIX_EPOCH), most);
        let cells = COLUMNS.iter().zip(texts).map(|((name, _, _), text)| {
            let is_bad = matches!(*name, "DEAD" if text != "0") || (*name == "BREAKER" && broken);
            let cell = Cell::from(Text::from(text).alignment(side(name)));
            if is_bad { cell.style(bad(colour)) } else { cell }
        });
        Cells::new(cells)
    });
    Table::new(rows, COLUMNS.map(|(_, width, _)| Constraint::Length(width))).header(Cells::new(head))
}

/// Names stand on the left, numbers on the right.
fn side(column: &str) -> ratatui::layout::Alignment {
    match column {
        "FUNCTION" | "" | "BREAKER" => ratatui::layout::Alignment::Left,
        _ => ratatui::layout::Alignment::Right,
    }
}

fn texts(row: &Row, at: OffsetDateTime, most: u64) -> [String; COLUMNS.len()] {
    let function = &row.function;
    let none = || "-".to_owned();
    let bound = |bound: Bound| match bound {
        Bound::AtMost(ms) => format!("≤{ms} ms"),
        Bound::Over(ms) => format!(">{ms} ms"),
    };
    let breaker = match &function.breaker {
        Some(breaker) if breaker.is_open => format!("open {}", span(at - breaker.since)),
        Some(_) => "closed".to_owned(),
        None => none(),
    };
    [
        function.name.clone(),
        row.rate.map_or_else(none, |rate| format!("{}.{}", grouped(rate / 10), rate % 10)),
        graph(row, most),
        grouped(function.lag()),
        grouped(function.in_flight()),
        grouped(function.retries.waiting),
        function.retries.next.map_or_else(none, |next| span(next - at)),
        grouped(function.dead_letters.count),
        function.replicas().map_or_else(none, |replicas| replicas.to_string()),
        row.latency.map_or_else(none, |latency| bound(latency.p50)),
        row.latency.map_or_else(none, |latency| bound(latency.p99)),
        breaker,
    ]
}

/// The rates so far, beside the largest of all functions.
fn graph(row: &Row, most: u64) -> String {
    let bar = |rate: &u64| {
        let steps = BARS.len() as u64 - 1;
        let step = (rate * steps).div_ceil(most.max(1));
        usize::try_from(step).ok().and_then(|step| BARS.get(step)).copied().unwrap_or(' ')
    };
    row.history.iter().map(bar).collect()
}

fn findings(top: &Top, colour: bool, room: usize) -> Vec<Line<'static>> {
    let mut lines = Vec::new();
    let shown = if top.findings.len() > room { room.saturating_sub(1) } else { room };
    for finding in top.findings.iter().take(shown) {
        let text = match &finding.command {
            Some(command) => format!("{}: {}   $ {command}", finding.place, finding.what),
            None => format!("{}: {}", finding.place, finding.what),
        };
        let style = if finding.severity == Severity::Wrong { bad(colour) } else { Style::new() };
        lines.push(Line::styled(text, style));
    }
    let untold = top.findings.len().saturating_sub(shown);
    if untold > 0 {
        lines.push(Line::from(format!("and {untold} more: `jetlag status` has all of them")));
    }
    lines
}
