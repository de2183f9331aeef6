//! The bugs that are planted, as their file has them.

/// A bug.
#[derive(Debug, Default, Clone)]
pub struct Bug {
    pub name: String,
    /// Whether it was in the core once, before it was released.
    pub was_there: bool,
    pub edits: Vec<Edit>,
}

/// A text in a file, and what takes its place.
#[derive(Debug, Default, Clone)]
pub struct Edit {
    /// Below `runtime/src`.
    pub file: String,
    pub find: String,
    pub replace: String,
}

impl Edit {
    /// `text` with the edit made.
    ///
    /// # Errors
    /// What is to be replaced is not there, or more than once.
    pub fn of(&self, text: &str) -> Result<String, String> {
        match text.matches(&self.find).count() {
            1 => Ok(text.replacen(&self.find, &self.replace, 1)),
            count => {
                Err(format!("it is {count} times in {}, and must be there once:\n{}", self.file, self.find))
            }
        }
    }
}

/// Which text the lines that come belong to.
enum Part {
    Head,
    Find,
    Replace,
}

/// Reads the file of bugs.
///
/// # Errors
/// A line is none of the format.
pub fn read(text: &str) -> Result<Vec<Bug>, String> {
    let (mut bugs, mut part) = (Vec::<Bug>::new(), Part::Head);
    for (number, line) in text.lines().enumerate() {
        let wrong = || format!("line {} of the bugs is out of place: {line}", number + 1);
        let (word, rest) = line.split_once(": ").unwrap_or((line, ""));
        match (&part, word) {
            (Part::Head, "bug") => bugs.push(Bug { name: rest.to_owned(), ..Bug::default() }),
            (Part::Head, _) if bugs.is_empty() => {}
            (Part::Head, "once") => bugs.last_mut().ok_or_else(wrong)?.was_there = true,
            (Part::Head, "in") => {
                let edit = Edit { file: rest.to_owned(), ..Edit::default() };
                bugs.last_mut().ok_or_else(wrong)?.edits.push(edit);
            }
            (Part::Head, "find:") => part = Part::Find,
            (Part::Head, "") => {}
            (Part::Head, _) => return Err(wrong()),
            (Part::Find, "replace:") => part = Part::Replace,
            (Part::Replace, "end") => part = Part::Head,
            (Part::Find | Part::Replace, _) => {
                let edit = bugs.last_mut().and_then(|bug| bug.edits.last_mut()).ok_or_else(wrong)?;
                let text = if matches!(part, Part::Find) { &mut edit.find } else { &mut edit.replace };
                if !text.is_empty() {
                    text.push('\n');
                }
                text.push_str(line);
            }
        }
    }
    Ok(bugs)
}
