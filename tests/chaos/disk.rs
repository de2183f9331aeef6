//! A disk that can lose its power: a file system in a file, shut down without its journal being written.
//!
//! What was synced before is there afterwards, and what the kernel still had in memory is gone, as after a power cut. It
//! needs root, loop devices and python3 (for one ioctl).

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

/// The size of the disk; the file is sparse.
const BYTES: u64 = 2 * 1024 * 1024 * 1024;
/// How often unmounting is tried, while the last process that had files open there is ending.
const UNMOUNTS_MAX: u32 = 400;
const UNMOUNT_PAUSE: Duration = Duration::from_millis(25);
/// `EXT4_IOC_SHUTDOWN` with `EXT4_GOING_FLAGS_NOLOGFLUSH`: nothing more reaches the disk, not even the journal.
const SHUTDOWN: &str = "import fcntl, os, struct, sys; \
    fcntl.ioctl(os.open(sys.argv[1], os.O_RDONLY), 0x8004587d, struct.pack('I', 2))";

/// A mounted disk. Dropping it unmounts it.
#[derive(Debug)]
pub struct Disk {
    image: PathBuf,
    mount: PathBuf,
}

impl Disk {
    /// Makes and mounts a disk in `directory`.
    ///
    /// # Errors
    /// Why that cannot be done here.
    pub fn make(directory: &Path) -> Result<Self, String> {
        let disk = Self { image: directory.join("disk.img"), mount: directory.join("disk") };
        let file = std::fs::File::create(&disk.image).map_err(|error| error.to_string())?;
        file.set_len(BYTES).map_err(|error| error.to_string())?;
        std::fs::create_dir_all(&disk.mount).map_err(|error| error.to_string())?;
        run(Command::new("mkfs.ext4").arg("-q").arg(&disk.image))?;
        disk.mount()?;
        run(Command::new("python3").args(["-c", "import fcntl"]))?;
        Ok(disk)
    }

    /// Where its files are.
    pub fn path(&self) -> &Path {
        &self.mount
    }

    /// Cuts the power: whatever is not on the disk now is lost.
    pub fn cut(&self) {
        run(Command::new("python3").args(["-c", SHUTDOWN]).arg(&self.mount)).unwrap();
    }

    /// The power comes back: the file system recovers from its journal. Whoever had files open must have ended.
    pub async fn recover(&self) {
        for _ in 0..UNMOUNTS_MAX {
            if run(Command::new("umount").arg(&self.mount)).is_ok() {
                return self.mount().unwrap();
            }
            tokio::time::sleep(UNMOUNT_PAUSE).await;
        }
        panic!("{} cannot be unmounted", self.mount.display());
    }

    fn mount(&self) -> Result<(), String> {
        run(Command::new("mount").args(["-t", "ext4", "-o", "loop"]).arg(&self.image).arg(&self.mount))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, if a process of a failed test still holds it.
        let _ = run(Command::new("umount").arg("--lazy").arg(&self.mount));
    }
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    if output.status.success() { Ok(()) } else { Err(format!("{command:?}: {}", said.trim())) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    #[tokio::test]
    async fn what_was_synced_survives_and_what_was_not_does_not() {
        let directory = tempfile::tempdir().unwrap();
        let Some(disk) = crate::disk_or_skip(directory.path()) else { return };
        let mut synced = std::fs::File::create(disk.path().join("synced")).unwrap();
        synced.write_all(b"there").unwrap();
        synced.sync_all().unwrap();
        std::fs::write(disk.path().join("unsynced"), "gone").unwrap();
        drop(synced);
        disk.cut();
        disk.recover().await;
        assert_eq!(std::fs::read(disk.path().join("synced")).unwrap(), b"there");
        assert!(std::fs::read(disk.path().join("unsynced")).is_err());
    }
}
