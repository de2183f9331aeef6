//! JSON as text: laid out or compact, without a change to the order of its members or to a digit of its numbers.

/// How far a member stands to the right of what it is in.
const INDENT: &str = "  ";

/// `json`, a member on each line. What is not JSON comes back in some form that is no more JSON than it was.
pub(crate) fn laid_out(json: &str) -> String {
    written(json, true)
}

/// `json` without a space between its tokens.
pub(crate) fn compact(json: &str) -> String {
    written(json, false)
}

fn written(json: &str, on_lines: bool) -> String {
    let mut text = String::with_capacity(json.len());
    let mut depth = 0_usize;
    let mut tokens = Tokens { rest: json }.peekable();
    while let Some(token) = tokens.next() {
        let closes = |token: &&str| matches!(*token, "}" | "]");
        match token {
            "{" | "[" => {
                text.push_str(token);
                depth += 1;
                if tokens.peek().is_some_and(|next| !closes(next)) {
                    line(&mut text, depth, on_lines);
                }
            }
            "}" | "]" => {
                depth = depth.saturating_sub(1);
                if !text.ends_with(['{', '[']) {
                    line(&mut text, depth, on_lines);
                }
                text.push_str(token);
            }
            "," => {
                text.push(',');
                line(&mut text, depth, on_lines);
            }
            ":" => text.push_str(if on_lines { ": " } else { ":" }),
            token => text.push_str(token),
        }
    }
    text
}

fn line(text: &mut String, depth: usize, on_lines: bool) {
    if on_lines {
        text.push('\n');
        text.push_str(&INDENT.repeat(depth));
    }
}

/// The tokens of a JSON text: marks, strings with their quotes, and everything else as words.
struct Tokens<'a> {
    rest: &'a str,
}

impl<'a> Iterator for Tokens<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.rest = self.rest.trim_start();
        let first = self.rest.chars().next()?;
        let end = match first {
            '{' | '}' | '[' | ']' | ',' | ':' => 1,
            '"' => string_end(self.rest),
            _ => self
                .rest
                .find(|c: char| c.is_whitespace() || "{}[],:\"".contains(c))
                .unwrap_or(self.rest.len()),
        };
        let (token, rest) = self.rest.split_at_checked(end)?;
        self.rest = rest;
        Some(token)
    }
}

/// Where the string that `text` begins with ends.
fn string_end(text: &str) -> usize {
    let mut is_escaped = false;
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_digits_and_strings_stay_as_they_are() {
        let json = r#"{"b":12.50,"a":[1e400,{},[]],"t\"{,":"x: \\","z":{"n":null}}"#;
        let text = laid_out(json);
        assert_eq!(
            text,
            "{\n  \"b\": 12.50,\n  \"a\": [\n    1e400,\n    {},\n    []\n  ],\n  \"t\\\"{,\": \"x: \\\\\",\n  \"z\": {\n    \"n\": null\n  }\n}"
        );
        assert_eq!(compact(&text), json);
    }

    #[test]
    fn what_is_not_json_does_no_harm() {
        for text in ["", "{", "]]]", "\"open", "\"\\", "{\"a\" 1}", "é\u{a0}{"] {
            let _ = (laid_out(text), compact(text));
        }
    }
}
