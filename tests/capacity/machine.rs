//! What the system says of a process and of a directory.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

use tests::until;

/// How far two looks may differ for the memory to count as settled, in permille.
const STILL_PERMILLE: u64 = 10;
/// The time between two looks: longer than a collection of garbage takes.
const LOOK: Duration = Duration::from_secs(2);

/// The resident memory of a process, in bytes; nothing if there is none.
pub fn resident_bytes(pid: u32) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().trim_end_matches(" kB").parse().ok()?;
    Some(kib * 1024)
}

/// The same, once it changes no more.
pub async fn settled(pid: u32) -> u64 {
    let mut last = 0;
    until("memory that stays as it is", async || {
        tokio::time::sleep(LOOK).await;
        let now = resident_bytes(pid)?;
        let is_still = now.abs_diff(last) * 1000 <= now * STILL_PERMILLE;
        last = now;
        is_still.then_some(now)
    })
    .await
}

/// What the files below `directory` take of the disk.
pub fn disk_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let of = |entry: std::io::Result<std::fs::DirEntry>| {
        let entry = entry.ok()?;
        let metadata = entry.metadata().ok()?;
        // The system counts blocks of 512 bytes.
        Some(if metadata.is_dir() { disk_bytes(&entry.path()) } else { metadata.blocks() * 512 })
    };
    entries.filter_map(of).sum()
}
