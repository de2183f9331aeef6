//! Which process a pid stands for: a number is used again, number and time of start are not.

use std::process::Command;

/// A token that is the same for as long as `pid` is the same process, and `None` if there is none.
pub(crate) fn of(pid: u32) -> Option<String> {
    if cfg!(target_os = "linux") { from_proc(pid) } else { from_ps(pid) }
}

/// The boot, and the clock ticks from there to the start of the process.
fn from_proc(pid: u32) -> Option<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name of the program stands in parentheses and may hold spaces; after it, the state is field 3 and the
    // start time field 22. A zombie is no process any more.
    let (_, fields) = stat.rsplit_once(") ")?;
    let mut fields = fields.split(' ');
    if fields.next() == Some("Z") {
        return None;
    }
    let started = fields.nth(18)?;
    Some(format!("{}:{started}", boot.trim()))
}

fn from_ps(pid: u32) -> Option<String> {
    let output = Command::new("ps").args(["-o", "lstart=", "-p", &pid.to_string()]).output().ok()?;
    let started = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !started.is_empty()).then_some(started)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_itself_and_no_other() {
        let own = of(std::process::id());
        assert!(own.is_some());
        assert_eq!(own, of(std::process::id()));
        let mut child = Command::new("sleep").arg("60").spawn().unwrap();
        assert_ne!(of(child.id()), None);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(of(child.id()), None);
    }
}
