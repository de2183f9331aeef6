//! Two texts compared line by line, as `diff -u` prints it.

/// How many equal lines are shown around what differs.
const CONTEXT_LINES: usize = 3;

/// A line of one text or of both.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Same(&'a str),
    Gone(&'a str),
    New(&'a str),
}

/// What makes `after` of `before`; empty if nothing does.
pub(crate) fn unified(from: &str, to: &str, before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    let lines = lines(&old, &new);
    let changed: Vec<usize> = lines
        .iter()
        .enumerate()
        .filter(|(_, line)| !matches!(line, Line::Same(_)))
        .map(|(at, _)| at)
        .collect();
    let Some(first) = changed.first() else { return String::new() };
    let mut hunks = vec![(*first, *first)];
    for at in changed.iter().skip(1) {
        match hunks.last_mut() {
            Some((_, end)) if at - *end <= 2 * CONTEXT_LINES => *end = *at,
            _ => hunks.push((*at, *at)),
        }
    }
    let mut text = format!("--- {from}\n+++ {to}\n");
    for (start, end) in hunks {
        let start = start.saturating_sub(CONTEXT_LINES);
        let hunk = lines.get(start..=(end + CONTEXT_LINES).min(lines.len() - 1)).unwrap_or_default();
        let above = lines.get(..start).unwrap_or_default();
        text.push_str(&format!("@@ -{} +{} @@\n", range(above, hunk, is_old), range(above, hunk, is_new)));
        for line in hunk {
            let (mark, line) = match line {
                Line::Same(line) => (' ', line),
                Line::Gone(line) => ('-', line),
                Line::New(line) => ('+', line),
            };
            text.push_str(&format!("{mark}{line}\n"));
        }
    }
    text
}

const fn is_old(line: &Line<'_>) -> bool {
    !matches!(line, Line::New(_))
}

const fn is_new(line: &Line<'_>) -> bool {
    !matches!(line, Line::Gone(_))
}

/// First line, counted from one, and number of lines; an empty range is named by the line before it.
fn range(above: &[Line<'_>], hunk: &[Line<'_>], counts: fn(&Line<'_>) -> bool) -> String {
    let before = above.iter().filter(|line| counts(line)).count();
    let count = hunk.iter().filter(|line| counts(line)).count();
    format!("{},{count}", before + usize::from(count > 0))
}

/// Every line of both, by their longest common subsequence: manifests are some hundred lines long.
fn lines<'a>(old: &[&'a str], new: &[&'a str]) -> Vec<Line<'a>> {
    let width = new.len() + 1;
    let mut longest = vec![0_usize; (old.len() + 1) * width];
    let at = |longest: &[usize], row: usize, column: usize| {
        longest.get(row * width + column).copied().unwrap_or_default()
    };
    for (row, old) in old.iter().enumerate().rev() {
        for (column, new) in new.iter().enumerate().rev() {
            let best = if old == new {
                at(&longest, row + 1, column + 1) + 1
            } else {
                at(&longest, row + 1, column).max(at(&longest, row, column + 1))
            };
            if let Some(cell) = longest.get_mut(row * width + column) {
                *cell = best;
            }
        }
    }
    let (mut row, mut column) = (0, 0);
    let mut lines = Vec::with_capacity(old.len().max(new.len()));
    loop {
        match (old.get(row), new.get(column)) {
            (Some(one), Some(other)) if one == other => {
                lines.push(Line::Same(one));
                (row, column) = (row + 1, column + 1);
            }
            (Some(gone), other)
                if other.is_none() || at(&longest, row + 1, column) >= at(&longest, row, column + 1) =>
            {
                lines.push(Line::Gone(gone));
                row += 1;
            }
            (_, Some(new)) => {
                lines.push(Line::New(new));
                column += 1;
            }
            (_, None) => return lines,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_shown_with_three_lines_around_it() {
        let before = "1\n2\n3\n4\n5\n6\n7\n8\n9\n10\n11\n12\n13\n14\n";
        let after = before.replace("5\n", "five\n").replace("14\n", "14\n15\n");
        assert_eq!(
            unified("a", "b", before, &after),
            "--- a\n+++ b\n@@ -2,7 +2,7 @@\n 2\n 3\n 4\n-5\n+five\n 6\n 7\n 8\n@@ -12,3 +12,4 @@\n 12\n 13\n 14\n+15\n"
        );
        assert_eq!(unified("a", "b", before, before), "");
    }

    #[test]
    fn a_new_file_is_nothing_but_new_lines() {
        assert_eq!(
            unified("/dev/null", "b", "", "x\ny\n"),
            "--- /dev/null\n+++ b\n@@ -0,0 +1,2 @@\n+x\n+y\n"
        );
    }
}
