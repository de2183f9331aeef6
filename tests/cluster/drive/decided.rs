//! What KEDA and the HPA did, held against the decision (`keda::decision`).

use std::path::Path;

use keda::decision::Recording;

/// How many changes of replicas in the recording have a look at the lag that decides so, and those that have none.
///
/// None is a fault by itself: while KEDA's operator or the API server is away, looks come late or not at all.
pub fn changes(recording: &Path) -> Result<(String, Vec<String>), String> {
    let text = std::fs::read_to_string(recording).map_err(|error| error.to_string())?;
    let recording: Recording = serde_json::from_str(&text).map_err(|error| error.to_string())?;
    let explained = recording.explain().map_err(|undecided| undecided.to_string())?;
    let all: usize = explained.values().map(Vec::len).sum();
    let open: Vec<String> = explained
        .iter()
        .flat_map(|(name, changes)| changes.iter().map(move |change| (name, change)))
        .filter(|(_, change)| change.explained.is_none())
        .map(|(name, change)| {
            format!("{name} at {} s: {} to {}", change.at.as_secs(), change.from, change.to)
        })
        .collect();
    Ok((format!("{} of {all}", all - open.len()), open))
}
