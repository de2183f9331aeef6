//! A dead letter's event in an editor: what is shown, what is wrong with what comes back, and where.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jetlag::invoke::Checked;
use jetlag::{DeadLetter, Envelope, RawValue};
use serde::Deserialize;
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::difference::unified;
use crate::json;
use crate::problem::{Exit, Problem};

/// How often an editor is opened for one letter: whoever has not mended it by then does it in peace, in the file that is
/// kept.
const EDITS_MAX: usize = 20;
/// How long a function's program may take to read one event.
const CHECK_LIMIT: Duration = Duration::from_secs(20);
/// What lines at the top begin with that are not part of the event.
const COMMENT: char = '#';
/// What edits where neither VISUAL nor EDITOR says it.
const EDITOR: &str = "vi";

/// An event that was edited.
#[derive(Debug)]
pub struct Draft {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What was changed, as `diff -u` prints it.
    pub difference: String,
}

/// What is wrong with a text.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    what: String,
    /// Line and column in the text, from 1.
    place: Option<(usize, usize)>,
}

/// Opens `letter`'s event in the editor until it is one that `program`, its function's, can read; nothing if it was left
/// as it was, or empty. Where no program is known, it is checked as an event only.
///
/// # Errors
/// It has no text (65), the editor fails (69), or what is wrong was left as it was (65).
pub async fn edit(letter: &DeadLetter, program: Option<&Path>) -> Result<Option<Draft>, Problem> {
    let original = std::str::from_utf8(&letter.payload).map(json::laid_out).map_err(|error| {
        Problem::new(Exit::Data, format!("the bytes of dead letter {} are no text", letter.sequence))
            .because(error)
            .remedy("send it with other bytes: `jetlag dlq redrive SEQUENCE --with FILE`")
    })?;
    let mut text = original.clone();
    let mut fault: Option<Fault> = None;
    for _ in 0..EDITS_MAX {
        let shown = shown(letter, fault.as_ref(), &text);
        let (edited, file) = open(letter.sequence, &shown).await?;
        let edited = without_comments(&edited).trim_end().to_owned();
        if edited.trim().is_empty() || edited == original.trim_end() {
            return Ok(None);
        }
        if let Some(fault) = fault.as_ref().filter(|_| edited == text.trim_end()) {
            return Err(refused(letter, fault, &shown, file));
        }
        match check(letter, &edited, program).await? {
            None => {
                let difference = unified(
                    "as it died",
                    "as it is sent",
                    &(original + "\n"),
                    &(json::laid_out(&edited) + "\n"),
                );
                return Ok(Some(Draft { bytes: json::compact(&edited).into_bytes(), difference }));
            }
            Some(found) => (fault, text) = (Some(found), edited),
        }
    }
    Err(Problem::new(
        Exit::Data,
        format!("it was opened {EDITS_MAX} times and is still wrong; nothing was sent"),
    ))
}

/// What the editor shows: what this is, what is wrong with it, and the text.
fn shown(letter: &DeadLetter, fault: Option<&Fault>, text: &str) -> String {
    let DeadLetter { sequence, function, reason, error, .. } = letter;
    let error = error.lines().next().unwrap_or_default();
    let mut head = vec![
        format!("Dead letter {sequence} of {function}, given up as {reason}: {error}"),
        "Change its data, save and leave: it is checked, and sent to its function again.".to_owned(),
        "Left as it is, or empty, nothing is done. Lines like these are left out.".to_owned(),
    ];
    if let Some(fault) = fault {
        // The lines of the head count too: the number is the one that the editor shows.
        let above = head.len() + 1;
        head.push(format!("WRONG: {}", fault.at(above)));
    }
    let head: String = head.iter().map(|line| format!("{COMMENT} {}\n", line.replace('\n', " "))).collect();
    format!("{head}{text}\n")
}

impl Fault {
    /// In one line, its place being below so many other lines.
    fn at(&self, above: usize) -> String {
        match self.place {
            Some((line, column)) => format!("line {}, column {column}: {}", line + above, self.what),
            None => self.what.clone(),
        }
    }
}

/// The text below the comments at the top. A line that begins like one cannot be JSON.
fn without_comments(text: &str) -> &str {
    let mut rest = text;
    while rest.starts_with(COMMENT) {
        rest = rest.split_once('\n').map_or("", |(_, below)| below);
    }
    rest
}

/// Opens `text` in the editor: what came of it, and the file.
async fn open(sequence: u64, text: &str) -> Result<(String, tempfile::TempPath), Problem> {
    let unwritten = |error: std::io::Error| {
        Problem::new(Exit::CannotCreate, "no file can be made for the editor").because(error)
    };
    let file = tempfile::Builder::new()
        .prefix(&format!("dead-letter-{sequence}-"))
        .suffix(".json")
        .tempfile()
        .map_err(unwritten)?
        .into_temp_path();
    tokio::fs::write(&file, text).await.map_err(unwritten)?;
    let named = ["VISUAL", "EDITOR"]
        .iter()
        .find_map(|name| std::env::var(name).ok().filter(|v| !v.trim().is_empty()));
    let editor = named.unwrap_or_else(|| EDITOR.to_owned());
    let failed = |why: String| {
        Problem::new(Exit::Unavailable, format!("the editor `{editor}` {why}; nothing was sent"))
            .remedy("say in VISUAL or EDITOR which editor you want")
    };
    // By a shell, as git does it: the variable may hold arguments.
    let mut command = Command::new("sh");
    command.arg("-c").arg(format!("{editor} \"$@\"")).arg(&editor).arg(&file);
    let status = command.status().await.map_err(|error| failed("cannot be run".to_owned()).because(error))?;
    if !status.success() {
        return Err(failed(format!("ended with {status}")));
    }
    let edited = tokio::fs::read_to_string(&file)
        .await
        .map_err(|error| failed("left no text".to_owned()).because(error))?;
    Ok((edited, file))
}

/// What is wrong with `text` in the place of `letter`'s event.
async fn check(letter: &DeadLetter, text: &str, program: Option<&Path>) -> Result<Option<Fault>, Problem> {
    if let Err(error) = serde_json::from_str::<serde_json::Value>(text) {
        return Ok(Some(Fault {
            what: bare(&error.to_string()),
            place: Some((error.line(), error.column())),
        }));
    }
    let event = match Envelope::read(text.as_bytes()) {
        Ok(event) => event,
        Err(error) => {
            return Ok(Some(Fault { what: format!("{:#}", anyhow::Error::new(error)), place: None }));
        }
    };
    if letter.input.parse_event().is_some() && event.subject() != letter.input {
        let what = format!(
            "id, type and aggregate_id must stay: it is the event {} now, and what died is {}",
            event.subject(),
            letter.input
        );
        return Ok(Some(Fault { what, place: None }));
    }
    let Some(program) = program else { return Ok(None) };
    let Checked { error, place } = ask(program, text).await?;
    Ok(error.map(|what| Fault { what: bare(&what), place: place.and_then(|place| in_whole(text, place)) }))
}

/// Without the place that a message names itself: it is one in a part of the text.
fn bare(message: &str) -> String {
    message.rsplit_once(" at line ").map_or(message, |(what, _)| what).to_owned()
}

/// The place in the whole text of a place in its data.
fn in_whole(text: &str, (line, column): (usize, usize)) -> Option<(usize, usize)> {
    #[derive(Deserialize)]
    struct Parts<'a> {
        #[serde(borrow)]
        data: &'a RawValue,
    }
    let parts: Parts<'_> = serde_json::from_str(text).ok()?;
    let start = (parts.data.get().as_ptr() as usize).checked_sub(text.as_ptr() as usize)?;
    let before = text.get(..start)?;
    let lines = before.matches('\n').count();
    let beside = before.rsplit('\n').next().unwrap_or_default().len();
    Some((lines + line, if line == 1 { beside + column } else { column }))
}

/// Whether `program` could read the event in `text`.
async fn ask(program: &Path, text: &str) -> Result<Checked, Problem> {
    let failed = |why: String| {
        Problem::new(Exit::Config, format!("`{} --check` {why}; nothing was sent", program.display()))
            .remedy("it may be older than this command: build it again, or say --unchecked")
    };
    let mut command = Command::new(program);
    command
        .arg("--check")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let mut child = command.spawn().map_err(|error| failed("cannot be run".into()).because(error))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not know the question ends without reading.
        let _ = stdin.write_all(text.as_bytes()).await;
    }
    let output = tokio::time::timeout(CHECK_LIMIT, child.wait_with_output())
        .await
        .map_err(|_| failed(format!("did not end within {} s", CHECK_LIMIT.as_secs())))?
        .map_err(|error| failed("cannot be waited for".into()).because(error))?;
    if !output.status.success() {
        return Err(failed(format!("ended with {}", output.status)));
    }
    serde_json::from_slice(&output.stdout)
        .map_err(|error| failed("printed something else than an answer".into()).because(error))
}

/// It was opened again with what is wrong, and left as it was.
fn refused(letter: &DeadLetter, fault: &Fault, shown: &str, file: tempfile::TempPath) -> Problem {
    let above = shown.lines().take_while(|line| line.starts_with(COMMENT)).count();
    let what = format!("dead letter {} was not sent: {}", letter.sequence, fault.at(above));
    let problem = Problem::new(Exit::Data, what);
    match file.keep() {
        Ok(kept) => problem.remedy(kept_in(&kept)),
        Err(_) => problem,
    }
}

fn kept_in(kept: &Path) -> String {
    format!("your text is in {}", kept.display())
}

#[cfg(test)]
mod tests {
    use super::*;
    use jetlag::Reason;
    use time::OffsetDateTime;

    fn letter(data: &str) -> DeadLetter {
        let headers = [
            ("Jetlag-Function", "payment"),
            ("Jetlag-Reason", Reason::InvalidData.code()),
            ("Jetlag-Subject", "orders.placed.O.e"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let body = event(data);
        DeadLetter::read(7, "dlq.payment.x", OffsetDateTime::UNIX_EPOCH, headers, body.into()).unwrap()
    }

    fn event(data: &str) -> String {
        format!(
            r#"{{"id":"e","type":"orders.placed","aggregate_id":"O","data":{data},"timestamp":"2026-01-01T00:00:00Z"}}"#
        )
    }

    #[test]
    fn comments_are_left_out_at_the_top_only() {
        assert_eq!(without_comments("# a\n# b\n{\n# c\n}"), "{\n# c\n}");
        assert_eq!(without_comments("# all"), "");
    }

    #[test]
    fn the_line_that_is_told_is_the_one_that_the_editor_shows() {
        let fault = Fault { what: "expected value".into(), place: Some((2, 8)) };
        let shown = shown(&letter("{}"), Some(&fault), "{\n  \"id\": }");
        let told = shown.lines().find(|line| line.contains("WRONG")).unwrap();
        let (number, _) = told.split_once("line ").unwrap().1.split_once(',').unwrap();
        assert_eq!(shown.lines().nth(number.parse::<usize>().unwrap() - 1), Some("  \"id\": }"), "{shown}");
    }

    #[tokio::test]
    async fn what_is_wrong_is_told_with_its_place() {
        let letter = letter("{}");
        let wrong = async |text: &str| check(&letter, text, None).await.unwrap().unwrap();
        let syntax = wrong("{\n  \"id\" 7\n}").await;
        assert_eq!((syntax.what.as_str(), syntax.place), ("expected `:`", Some((2, 8))));
        assert!(wrong("[]").await.what.starts_with("not an event"));
        let other = wrong(&event("{}").replace("\"e\"", "\"f\"")).await;
        assert!(other.what.contains("orders.placed.O.f"), "{other:?}");
        assert_eq!(check(&letter, &event("{\"a\":1}"), None).await.unwrap(), None);
    }

    #[test]
    fn a_place_in_the_data_is_one_in_the_whole() {
        let text = "{\"a\": 1,\n \"data\": {\n  \"x\": 1}}";
        assert_eq!(in_whole(text, (2, 4)), Some((3, 4)));
        assert_eq!(in_whole(text, (1, 1)), Some((2, 10)), "the brace itself");
    }
}
